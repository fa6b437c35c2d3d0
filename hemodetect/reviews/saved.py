"""Studies saved for a review session: without names, for a limited time, in a folder of this server.

`hemodetect.imaging` has already removed names, ids and dates from a study. Its file names may still
name a patient, so slices are saved under numbers. Text burnt into the pixels stays.
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
    """The folder of the saved studies."""
    return settings().state / "studies"


def save_study(study: Study, who: Person) -> str:
    """Saves the chosen series of a study; returns the key for `saved_study`."""
    who.require("lead")
    folder, key = saved_studies(), secrets.token_hex(12)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    series = study.series[study.chosen]
    facts = {
        "id": study.id,
        "series": series.id,
        "description": series.description,
        "cautions": series.cautions,
        "is_ordered": series.is_ordered,
        "contrast": series.contrast,
        "expires": (datetime.now(UTC) + timedelta(days=settings().retention_days)).isoformat(),
        "slices": [
            {
                "units": image.units,
                "geometry": image.geometry and asdict(image.geometry),
                "is_coloured": image.is_coloured,
            }
            for image in series.slices
        ],
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(facts))}
    arrays |= {f"slice-{number:05}": image.values for number, image in enumerate(series.slices, 1)}
    with whole_file(folder / f"{key}{_SUFFIX}") as partial:
        np.savez_compressed(partial, **arrays)
        audit_trail.record(
            who.name, "upload", study.id, {"slices": len(series.slices), "saved": key}
        )
    return key


def remove_saved(key: str, who: Person) -> None:
    """Removes a saved study that no session uses."""
    who.require("lead")
    if _KEY.fullmatch(key):
        audit_trail.record(who.name, "remove", key)
        (saved_studies() / f"{key}{_SUFFIX}").unlink(missing_ok=True)


def saved_study(key: str) -> Study:
    """The study that `save_study` saved.

    Raises:
        StudyGone: it was removed after its retention time, or its file is damaged.
        OSError: the disk cannot read it now.
    """
    if not _KEY.fullmatch(key):
        raise StudyGone("This is not the key of a saved study.")
    path = saved_studies() / f"{key}{_SUFFIX}"
    try:
        with np.load(path, allow_pickle=False) as archive:
            facts = json.loads(str(archive["about"]))
            slices = tuple(
                _slice(archive[f"slice-{number:05}"], slice_facts, number)
                for number, slice_facts in enumerate(facts["slices"], 1)
            )
    except FileNotFoundError:
        if not path.parent.is_dir():  # the whole folder is missing, perhaps for a time
            raise
        raise StudyGone(
            "The images of this study were removed at the end of their retention time; its reads are"
            " kept."
        ) from None
    except OSError:
        raise
    except Exception as error:  # numpy raises any error on damaged bytes, even SyntaxError
        raise StudyGone(
            f"The images of this study are damaged ({type(error).__name__})."
        ) from error
    # Studies that were saved before these were known lack them.
    series = Series(
        facts["series"],
        facts["description"],
        slices,
        cautions=tuple(facts.get("cautions", ())),
        is_ordered=facts.get("is_ordered", True),
        contrast=facts.get("contrast", False),
    )
    return Study(facts["id"], (series,))


def sweep(now: datetime | None = None) -> int:
    """Removes studies whose retention time is over, and partial files of a killed process.

    Returns:
        Number of studies removed.
    """
    moment, removed = now or datetime.now(UTC), 0
    for path in saved_studies().glob(f"[!.]*{_SUFFIX}"):
        try:
            expired = _expires(path) <= moment
        except OSError:
            continue  # removed, or cannot be opened now: its retention time is unknown
        if expired:
            audit_trail.record("hemodetect", "sweep", path.name.removesuffix(_SUFFIX))
            path.unlink(missing_ok=True)
            removed += 1
    for partial in left_over(saved_studies()):
        with contextlib.suppress(OSError):
            if moment.timestamp() - partial.stat().st_mtime > _HALF_SAVED_SECONDS:
                partial.unlink()
    return removed


def _expires(path: Path) -> datetime:
    """End of a study's retention time; raises `OSError` where its file cannot be opened."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return datetime.fromisoformat(json.loads(str(archive["about"]))["expires"])
    except OSError:
        raise
    except Exception:  # noqa: BLE001  see above
        # The file is damaged: nobody can read it, and its retention time is unknown.
        return datetime.min.replace(tzinfo=UTC)


def _slice(values: np.ndarray, facts: dict, number: int) -> Slice:
    values.setflags(write=False)
    geometry = None
    if facts["geometry"]:
        vectors = {k: tuple(v) for k, v in facts["geometry"].items() if isinstance(v, list)}
        geometry = SliceGeometry(**facts["geometry"] | vectors)
    coloured = facts.get("is_coloured", False)
    return Slice(values, facts["units"], f"slice {number}", geometry, coloured)
