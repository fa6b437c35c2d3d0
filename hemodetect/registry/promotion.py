"""Putting a bundle into use, and going back.

A kill at any moment leaves the old release or the new one in use, never half of one. In this order:

1. the bundle is copied beside the releases, checked, and renamed to ``.<family>.incoming``;
2. who did it and why is appended to the promotions' trail, and is on disk;
3. the two change places in one step, so that there is a release at every moment; the old one moves on
   to ``earlier/<family>/<version>``.

`settle` finishes what was cut off after step 2 and drops what was cut off before; loading or changing a
release calls it. Each entry of the trail holds the hash of the one before it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.weight_files import BLOOD_NETWORK, SHARED, network_file
from hemodetect.registry.bundle import CARD, Card, read_card
from hemodetect.storage import audit_trail
from hemodetect.storage.hash_chain import FIRST_LINK, ChainBroken, checked_entries, entry_digest
from hemodetect.storage.people import Person
from hemodetect.storage.whole_file import left_over, whole_file, whole_folder

RELEASES = "releases"
"""Folder under `settings().artifacts`; one bundle a family, named by its key."""
PUBLISHED = "published"
"""Folder under `settings().artifacts` of the study's own models, which are never in use."""
EARLIER = "earlier"
TRAIL = "promotions.jsonl"
_HERE, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD and the flag of renameat2


@dataclass(frozen=True)
class Promotion:
    """One entry of the trail.

    Attributes:
        when: UTC, ISO 8601.
        who, why: as given.
        action: "promote", or "rollback" to an earlier release.
        family: its key.
        old: version that was in use, None where there was none.
        new: version that is in use from then on.
        previous: hash of the entry before.
    """

    when: str
    who: str
    why: str
    action: Literal["promote", "rollback"]
    family: str
    old: str | None
    new: str
    previous: str

    @property
    def digest(self) -> str:
        """SHA-256 of the entry."""
        return entry_digest(self)


def promote(
    bundle: Path, artifacts: Path, *, who: Person, why: str, check: Callable[[Path], object]
) -> Promotion:
    """Makes the bundle the release of its family.

    Args:
        bundle: its folder; it is copied.
        artifacts: where the releases are.
        who: needs the role trainer; kept in both trails, as `why` is.
        check: raises `BundleError` where the model in a folder cannot be used (`load_bundle`).

    Raises:
        NotAllowed: not a trainer.
        BundleError: no whole bundle, one without a model or made under a split that leaks, one that
            is in use already, or no reason given.
    """
    who.require("trainer")
    check(bundle)
    with _locked(artifacts):
        return _into_use(bundle, artifacts, "promote", who, why)


def rollback(
    family: str, artifacts: Path, *, who: Person, why: str, version: str | None = None
) -> Promotion:
    """Puts an earlier release of a family back into use; by default the one before.

    Raises:
        NotAllowed: not a trainer.
        BundleError: there is none, or no reason given.
    """
    who.require("trainer")
    with _locked(artifacts):
        if version is None:
            replaced = [p.old for p in promotions(artifacts) if p.family == family and p.old]
            if not replaced:
                raise BundleError(f"{FAMILY_NAMES[family]}: no release was in use before this one.")
            version = replaced[-1]
        earlier = {folder.name for folder in (artifacts / EARLIER / family).glob("*")}
        if version not in earlier:
            names = ", ".join(sorted(earlier)) or "none"
            raise BundleError(
                f"{FAMILY_NAMES[family]}: no earlier release {version}; kept: {names}."
            )
        return _into_use(artifacts / EARLIER / family / version, artifacts, "rollback", who, why)


def promotions(artifacts: Path) -> list[Promotion]:
    """The trail, oldest first.

    Raises:
        BundleError: an entry was changed or removed; says which.
    """
    path = artifacts / TRAIL
    try:
        return list(checked_entries(_chain(path)))
    except ChainBroken as broken:
        raise BundleError(
            f"{path}: line {broken.number} or the one before it was changed."
        ) from None


def release_state(artifacts: Path, kind: str = RELEASES) -> tuple[tuple[str, int, int], ...]:
    """Changes when a release does, or a published model; cheap enough to ask at every step."""
    states = []
    for card in sorted((artifacts / kind).glob("*/card.json")):
        try:
            stat = card.stat()
        except FileNotFoundError:  # being replaced at this moment
            continue
        states.append((card.parent.name, stat.st_ino, stat.st_mtime_ns))
    return tuple(states)


def settle(artifacts: Path) -> None:
    """Finishes or drops promotions that were cut off; does nothing where there are none."""
    if any((artifacts / RELEASES).glob(".*.incoming")):
        with _locked(artifacts):
            pass


def _into_use(
    bundle: Path, artifacts: Path, action: Literal["promote", "rollback"], who: Person, why: str
) -> Promotion:
    if not why.strip():
        raise BundleError("A promotion needs a reason; it is kept.")
    card = read_card(bundle)
    _check_fit(bundle, card)
    release = artifacts / RELEASES / card.family
    old = _version(release)
    if old == card.version:
        raise BundleError(f"{FAMILY_NAMES[card.family]}: {old} is in use already.")
    trail = promotions(artifacts)
    with whole_folder(_incoming(artifacts, card.family)) as partial:
        # What its card lists and nothing else: a folder from elsewhere may hold links and more.
        for name in (CARD, *card.files):
            if name != BLOOD_NETWORK:
                shutil.copyfile(bundle / name, partial / name)
        if BLOOD_NETWORK in card.files:
            _share(network_file(bundle, BLOOD_NETWORK), artifacts, card.files[BLOOD_NETWORK])
        if read_card(partial).version != card.version:
            raise BundleError(f"{bundle}: changed while it was copied; try again.")
    entry = Promotion(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        who=who.name,
        why=why,
        action=action,
        family=card.family,
        old=old,
        new=card.version,
        previous=trail[-1].digest if trail else FIRST_LINK,
    )
    detail = {"family": card.family, "instead_of": old, "why": why}
    audit_trail.record(who.name, action, card.version, detail)
    _append(artifacts / TRAIL, entry)
    _swap(artifacts, entry)
    return entry


def _share(file: Path, artifacts: Path, digest: str) -> None:
    """Releases that rest on one network share its file."""
    shared = artifacts / SHARED / f"{digest}.skops"
    if not shared.is_file():
        shared.parent.mkdir(exist_ok=True)
        with whole_file(shared) as partial:
            shutil.copyfile(file, partial)


def _check_fit(bundle: Path, card: Card) -> None:
    if card.split == "paper":
        raise BundleError(
            f"{bundle}: its figures were made with the same patients on both sides of the split and"
            " say nothing of new ones; train it with `--split patient`."
        )
    if not card.has_model:
        raise BundleError(f"{bundle}: holds figures but no model; train it again to put it in use.")


def _incoming(artifacts: Path, family: str) -> Path:
    return artifacts / RELEASES / f".{family}.incoming"


def _append(path: Path, entry: Promotion) -> None:
    line = json.dumps({**asdict(entry), "digest": entry.digest}, ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _swap(artifacts: Path, entry: Promotion) -> None:
    release, incoming = artifacts / RELEASES / entry.family, _incoming(artifacts, entry.family)
    if not release.is_dir():
        incoming.rename(release)
        return
    if _version(incoming) == entry.new:
        _exchange(incoming, release)
    # A damaged release has no version; it is set aside too.
    earlier = artifacts / EARLIER / entry.family / (_version(incoming) or "damaged")
    earlier.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(earlier, ignore_errors=True)
    incoming.rename(earlier)


def _exchange(first: Path, second: Path) -> None:
    """Two folders change names in one step (renameat2 of Linux); where the file system cannot do that,
    in three.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        failed = rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _RENAME_EXCHANGE)
    except (AttributeError, OSError):
        failed = -1
    if failed:
        aside = first.with_name(first.name + "-old")
        shutil.rmtree(aside, ignore_errors=True)
        second.rename(aside)
        first.rename(second)
        aside.rename(first)


def _version(release: Path) -> str | None:
    """Version of the bundle in use, None where there is none or it is damaged."""
    try:
        return read_card(release).version
    except BundleError:
        return None


def _settle(artifacts: Path) -> None:
    for partial in left_over(artifacts / RELEASES):
        shutil.rmtree(partial)
    for incoming in (artifacts / RELEASES).glob(".*.incoming"):
        family = incoming.name[1 : -len(".incoming")]
        written = [entry for entry in promotions(artifacts) if entry.family == family]
        release = artifacts / RELEASES / family
        if written and written[-1].new in (_version(incoming), _version(release)):
            _swap(artifacts, written[-1])
        else:
            shutil.rmtree(incoming)


@contextmanager
def _locked(artifacts: Path) -> Iterator[None]:
    """One at a time; first finishes or drops what a killed process left."""
    artifacts.mkdir(parents=True, exist_ok=True)
    with (artifacts / ".promotions.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _cut_line(artifacts / TRAIL)
        _settle(artifacts)
        yield


def _chain(trail: Path) -> Iterator[tuple[Promotion, str]]:
    """Every entry with its digest as written; raises `BundleError` for a line that is no entry."""
    try:
        lines = trail.read_text(encoding="utf-8").splitlines() if trail.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{trail}: cannot be read ({error}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            raw = json.loads(line)
            digest = raw.pop("digest")
            entry = Promotion(**raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{trail}: line {number} is no entry ({error}).") from error
        yield entry, digest


def _cut_line(trail: Path) -> None:
    """Drops the end of a line that was cut off while it was written: it was never in force."""
    if trail.is_file():
        text = trail.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(trail, whole)
