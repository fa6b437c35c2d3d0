"""Studies saved to a review session: without names, for a time, in a folder of this server.

A study holds no name, id or date when it comes here (`hemodetect.imaging`), but its files' names may
be a patient's: they are counted instead. What is burnt into pixels stays.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hemodetect.errors import HemodetectError
from hemodetect.imaging.study import Series, Slice, SliceGeometry, Study
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import Person
from hemodetect.storage.whole_file import left_over, whole_file

_KEY = re.compile(r"[0-9a-f]{24}")
_SUFFIX = ".study.npz"
_HALF_SAVED_SECONDS = 24 * 3600.0


class StudyGone(HemodetectError):
    """The images of a session's study are gone for good, or damaged."""


def saved_studies() -> Path:
    """The folder that they are kept in."""
    return settings().state / "studies"


def save_study(study: Study, who: Person) -> str:
    """Keeps the chosen series of a study; its key, by which `saved_study` gives it back."""
    who.require("lead")
    folder, key = saved_studies(), secrets.token_hex(12)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    series = study.series[study.chosen]
    about = {
        "id": study.id,
        "series": series.id,
        "description": series.description,
        "expires": (datetime.now(UTC) + timedelta(days=settings().retention_days)).isoformat(),
        "slices": [
            {"units": image.units, "geometry": image.geometry and asdict(image.geometry)}
            for image in series.slices
        ],
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    arrays |= {f"slice-{number:05}": image.values for number, image in enumerate(series.slices, 1)}
    with whole_file(folder / f"{key}{_SUFFIX}") as partial:
        np.savez_compressed(partial, **arrays)
        audit_trail.record(
            who.name, "upload", study.id, {"slices": len(series.slices), "saved": key}
        )
    return key


def remove_saved(key: str, who: Person) -> None:
    """Removes a saved study that no session has."""
    who.require("lead")
    if _KEY.fullmatch(key):
        audit_trail.record(who.name, "remove", key)
        (saved_studies() / f"{key}{_SUFFIX}").unlink(missing_ok=True)


def saved_study(key: str) -> Study:
    """The study that `save_study` kept.

    Raises:
        StudyGone: its time is over, or its file is damaged.
        OSError: the disk does not give it now.
    """
    if not _KEY.fullmatch(key):
        raise StudyGone("This is no key of a saved study.")
    path = saved_studies() / f"{key}{_SUFFIX}"
    try:
        with np.load(path, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
            slices = tuple(
                _slice(kept[f"slice-{number:05}"], told, number)
                for number, told in enumerate(about["slices"], 1)
            )
    except FileNotFoundError:
        if not path.parent.is_dir():  # all of them are away, and may be back
            raise
        raise StudyGone(
            "The images of this study were removed when their time was over; what was read of it is"
            " kept."
        ) from None
    except OSError:
        raise
    except Exception as error:  # of damaged bytes numpy raises anything, SyntaxError among it
        raise StudyGone(
            f"The images of this study are damaged ({type(error).__name__})."
        ) from error
    return Study(about["id"], (Series(about["series"], about["description"], slices),))


def sweep(now: datetime | None = None) -> int:
    """Removes the studies whose time is over, and what a kill left of one half saved; how many."""
    moment, removed = now or datetime.now(UTC), 0
    for path in saved_studies().glob(f"[!.]*{_SUFFIX}"):
        try:
            over = _expires(path) <= moment
        except OSError:
            continue  # gone, or not to be opened just now: its time is not known to be over
        if over:
            audit_trail.record("hemodetect", "sweep", path.name.removesuffix(_SUFFIX))
            path.unlink(missing_ok=True)
            removed += 1
    for partial in left_over(saved_studies()):
        with contextlib.suppress(OSError):
            if moment.timestamp() - partial.stat().st_mtime > _HALF_SAVED_SECONDS:
                partial.unlink()
    return removed


def _expires(path: Path) -> datetime:
    """When a study's time is over; raises `OSError` where its file cannot be opened."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return datetime.fromisoformat(json.loads(str(kept["about"]))["expires"])
    except OSError:
        raise
    except Exception:  # noqa: BLE001  see above
        # Damaged: nobody can read it, and nothing says how long it may stay.
        return datetime.min.replace(tzinfo=UTC)


def _slice(values: np.ndarray, told: dict, number: int) -> Slice:
    values.setflags(write=False)
    place = told["geometry"]
    geometry = SliceGeometry(**place | {"normal": tuple(place["normal"])}) if place else None
    return Slice(values, told["units"], f"slice {number}", geometry)
