"""The command that says what this machine can do; and which build of TensorFlow `make env` installs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hemodetect.cli import main
from hemodetect.cli.doctor import findings, nvidia_cards
from hemodetect.settings import settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program nvidia-smi on the PATH that lists one card."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'NVIDIA Test 9000, 81920 MiB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Separate folders: no test reads anything of this machine's user."""
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEMODETECT_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("HEMODETECT_DATA", str(tmp_path / "sets"))
    monkeypatch.setenv("HEMODETECT_DATABASE_URL", "")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def of(name: str):
    return next(finding for finding in findings() if finding.name == name)


def test_a_machine_without_releases_fails_and_says_what_to_do(machine: Path, capsys) -> None:
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "MISSING Releases" in text
    assert "-> " in text


def test_json_has_a_mark_for_each_finding(machine: Path, capsys) -> None:
    main(["doctor", "--json"])
    marks = {entry["name"]: entry["mark"] for entry in json.loads(capsys.readouterr().out)}
    assert marks["Releases"] == "MISSING"
    assert marks["Processor"] == marks["Database"] == "ok"
    assert marks["Labelled sets"] == "note"


def test_a_card_without_its_build_is_named_with_the_command(machine: Path, card: None) -> None:
    assert nvidia_cards() == ("NVIDIA Test 9000, 81920 MiB",)
    assert "NVIDIA Test 9000" in of("NVIDIA cards").found
    # The tests run on the build without CUDA.
    assert "GPU=1 make env" in of("Backend").advice


def test_no_card_is_no_fault(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert nvidia_cards() == ()


def test_a_card_program_that_fails_counts_as_no_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_cards() == ()


def test_sets_are_named(machine: Path) -> None:
    (machine / "sets" / "ours").mkdir(parents=True)
    assert of("Labelled sets").found == "ours"


def test_a_database_that_is_not_reached_is_missing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:9/none"
    monkeypatch.setenv("HEMODETECT_DATABASE_URL", url)
    settings.cache_clear()
    finding = of("Database")
    assert finding.mark == "MISSING"
    assert "secret" not in finding.found + finding.advice


def planned(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What `make env` would do."""
    command = ["make", "--dry-run", "--always-make", "env", *arguments]
    dry_run = subprocess.run(
        command, cwd=ROOT, env=os.environ | (environment or {}), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return dry_run.stdout


def test_make_env_installs_the_build_that_is_asked_for() -> None:
    assert "-r requirements.txt" in planned("GPU=0")
    with_card = planned("GPU=1")
    assert "-r requirements-gpu.txt" in with_card
    assert "uninstall" in with_card
    assert "tensorflow-cpu" in with_card


def test_make_env_looks_for_a_card(card: None) -> None:
    assert "-r requirements-gpu.txt" in planned(environment={"PATH": os.environ["PATH"]})


def test_both_lock_files_pin_the_same_versions() -> None:
    def pins(file: str) -> dict[str, str]:
        lines = (ROOT / file).read_text().splitlines()
        return dict(line.split("==") for line in lines if "==" in line and line[0].isalnum())

    cpu, gpu = pins("requirements.txt"), pins("requirements-gpu.txt")
    assert cpu.pop("tensorflow-cpu") == gpu.pop("tensorflow")
    cuda = {name for name in gpu if name.startswith("nvidia-")}
    assert len(cuda) > 5
    assert {name: version for name, version in gpu.items() if name not in cuda} == cpu
