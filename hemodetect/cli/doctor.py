"""The command that says what this machine can do, and what to do about what is missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from hemodetect.cli.options import Subparsers, command
from hemodetect.errors import HemodetectError

_GIGABYTE = 1e9
_LEAST_FREE = 5 * _GIGABYTE
"""Bytes on a disk: a decoded set and the states of a training."""
_LEAST_MEMORY = 4 * _GIGABYTE
"""Bytes: the five models, and a study of 300 slices."""
_SMI_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: of the thing.
        found: what there is.
        advice: what to do; "" where nothing is missing.
        needed: the app cannot do its work without it.
    """

    name: str
    found: str
    advice: str = ""
    needed: bool = False

    @property
    def mark(self) -> str:
        """``ok``, ``note`` (something could be better) or ``MISSING``."""
        if not self.advice:
            return "ok"
        return "MISSING" if self.needed else "note"


def add_commands(subparsers: Subparsers) -> None:
    """Adds the command doctor."""
    doctor_parser = command(
        subparsers,
        "doctor",
        doctor,
        "say what this machine can do, and what to do about what is missing",
    )
    doctor_parser.add_argument("--json", action="store_true", help="print JSON")


def doctor(options: argparse.Namespace) -> int:
    """Prints the findings; 1 where something is missing that the app needs."""
    found = findings()
    if options.json:
        print(json.dumps([asdict(finding) | {"mark": finding.mark} for finding in found], indent=2))
    else:
        width = max(len(finding.name) for finding in found)
        for finding in found:
            print(f"{finding.mark:<8}{finding.name:<{width}}  {finding.found}")
            if finding.advice:
                print(f"{'':<8}{'':<{width}}  -> {finding.advice}")
    return int(any(finding.mark == "MISSING" for finding in found))


def findings() -> list[Finding]:
    """What there is, in the order that a person would ask."""
    cards = nvidia_cards()
    checks: list[Callable[[], Finding]] = [
        _processor,
        _memory,
        lambda: _backend(cards),
        lambda: _cards(cards),
        _viewer,
        _releases,
        _sets,
        _database,
        lambda: _disk("Disk for cache", "cache"),
        lambda: _disk("Disk for state", "state"),
        _sign_in,
        _receiving,
        _pacs,
        _results,
    ]
    return [check() for check in checks]


def nvidia_cards() -> tuple[str, ...]:
    """Names of the NVIDIA cards, as `nvidia-smi` lists them; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=_SMI_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _processor() -> Finding:
    return Finding(
        "Processor",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    )


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.total / _GIGABYTE:.0f} GB, {memory.available / _GIGABYTE:.0f} GB free"
    advice = (
        "Close other programs: the models need 4 GB." if memory.available < _LEAST_MEMORY else ""
    )
    return Finding("Memory", found, advice)


def _backend(cards: tuple[str, ...]) -> Finding:
    import keras

    seen = keras.distribution.list_devices("gpu")
    backend = keras.backend.backend()
    names = ("tensorflow", "tensorflow-cpu") if backend == "tensorflow" else (backend,)
    version = next((v for name in names if (v := _version(name))), "of unknown version")
    found = f"Keras {keras.__version__} on {backend} {version}; sees {len(seen) or 'no'} GPU"
    advice = ""
    if cards and not seen:
        advice = "There is an NVIDIA card: run `GPU=1 make env` to install the build that uses it."
    return Finding("Backend", found, advice)


def _version(distribution: str) -> str | None:
    try:
        return f"{metadata.version(distribution)} ({distribution})"
    except metadata.PackageNotFoundError:
        return None


def _cards(cards: tuple[str, ...]) -> Finding:
    if not cards:
        return Finding("NVIDIA cards", "none; trainings use the processor")
    return Finding("NVIDIA cards", "; ".join(cards))


def _viewer() -> Finding:
    from hemodetect.viewer.niivue import VERSION, niivue_file

    if niivue_file().is_file():
        return Finding("Viewer", f"NiiVue {VERSION}")
    return Finding(
        "Viewer",
        "NiiVue is not installed; slices are shown in a plain view",
        "Run `make env` with a connection to the registry of npm.",
    )


def _releases() -> Finding:
    from hemodetect.models.families import FAMILY_NAMES
    from hemodetect.registry.releases import load_releases
    from hemodetect.settings import settings

    loaded = load_releases(settings().artifacts)
    found = ", ".join(model.card.version for model in loaded.models.values()) or "none"
    if not loaded.missing:
        return Finding("Releases", found)
    missing = "; ".join(f"{FAMILY_NAMES[name]}: {why}" for name, why in loaded.missing.items())
    advice = f"{missing} Promote a bundle, or get the artifacts again."
    return Finding("Releases", found, advice, needed=not loaded.models)


def _sets() -> Finding:
    from hemodetect.dataset.lookup import data_folders
    from hemodetect.settings import settings

    sets = sorted(
        entry.name
        for folder in data_folders()
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if sets:
        return Finding("Labelled sets", ", ".join(sets))
    return Finding(
        "Labelled sets",
        "none",
        "To train, or to see pictures on Compare, put sets into one of these folders, or set"
        f" HEMODETECT_DATA: {settings().data}",
    )


def _database() -> Finding:
    from hemodetect.settings import settings
    from hemodetect.storage.database import engine

    kind = "PostgreSQL or other server" if settings().database_url else "SQLite file"
    try:
        with engine().connect():
            return Finding("Database", f"{kind}, {engine().dialect.name}")
    except HemodetectError as error:
        return Finding("Database", f"{kind}: not reached", str(error), needed=True)


def _disk(name: str, setting: str) -> Finding:
    from hemodetect.settings import settings

    folder: Path = getattr(settings(), setting)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIGABYTE:.0f} GB free at {folder}"
    if not os.access(existing, os.W_OK):
        advice = f"Set HEMODETECT_{setting.upper()} to a folder that can be written."
        return Finding(name, f"{folder} cannot be written", advice, needed=True)
    advice = "Make room: a decoded set takes gigabytes." if free < _LEAST_FREE else ""
    return Finding(name, found, advice)


def _sign_in() -> Finding:
    from hemodetect.settings import SECRETS_FILE

    if SECRETS_FILE.is_file() and "[auth]" in SECRETS_FILE.read_text():
        return Finding("Sign-in", "set up")
    return Finding("Sign-in", "none; everybody who reaches the app may do everything")


def _receiving() -> Finding:
    from hemodetect.settings import settings

    current = settings()
    if not current.receive_from:
        return Finding("Receiving studies", "off (HEMODETECT_RECEIVE_FROM is empty)")
    if current.receive_certificate:
        secured, advice = "with TLS", ""
    else:
        secured = "without TLS"
        advice = (
            "Names travel in clear; set HEMODETECT_RECEIVE_CERTIFICATE where senders can do TLS."
        )
    found = (
        f"{current.ae_title}, port {current.receive_port}, {secured}, from {current.receive_from}"
    )
    return Finding("Receiving studies", found, advice)


def _pacs() -> Finding:
    from hemodetect.pacs.dicomweb import Pacs
    from hemodetect.settings import settings

    if not settings().dicomweb_url:
        return Finding("PACS", "none (HEMODETECT_DICOMWEB_URL is empty)")
    # The address may hold a password.
    host = urlsplit(settings().dicomweb_url).hostname or "an address that is none"
    try:
        Pacs().ask()
    except HemodetectError as error:
        return Finding("PACS", host, str(error))
    return Finding("PACS", f"answers at {host}")


def _results() -> Finding:
    from hemodetect.pacs.sending import ask
    from hemodetect.settings import settings

    target = settings().send_to
    if not target:
        return Finding("Results to the PACS", "not sent (HEMODETECT_SEND_TO is empty)")
    how = "automatically" if settings().send_automatically else "when a person asks for it"
    try:
        ask()
    except HemodetectError as error:
        return Finding("Results to the PACS", f"to {target}, {how}", str(error))
    return Finding("Results to the PACS", f"to {target}, {how}")
