"""Where the studies of a review session come from, and how they are opened again.

What is shown of a study while it is read must not tell its label: no folder, no file name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from hemodetect.dataset.lookup import LocatedSet, named_sets
from hemodetect.errors import EmptyStudy, HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Slice, Study
from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Bleed, head_phantom
from hemodetect.registry.training_patients import trained_on
from hemodetect.reviews.saved import StudyGone, saved_study
from hemodetect.settings import settings
from hemodetect.storage import audit_trail

Truth = Literal["hemorrhage", "none"]


class SourceGone(HemodetectError):
    """A study of a session is not where it was; it may come back."""


@dataclass(frozen=True)
class MadeUp:
    """A made-up head: with the same numbers the same again."""

    seed: int
    bleed: str | None = None
    millilitres: float = 0.0


@dataclass(frozen=True)
class OfSet:
    """A patient of a labelled set on this server."""

    set: str
    patient: str


@dataclass(frozen=True)
class Saved:
    """An upload that was saved."""

    key: str


Source = MadeUp | OfSet | Saved
_KINDS: dict[str, type[MadeUp] | type[OfSet] | type[Saved]] = {
    "made-up": MadeUp,
    "set": OfSet,
    "saved": Saved,
}


def as_json(source: Source) -> dict[str, Any]:
    """As the database keeps it."""
    kind = next(name for name, made in _KINDS.items() if isinstance(source, made))
    return {"kind": kind, **asdict(source)}


def from_json(raw: Mapping[str, Any]) -> Source:
    """What `as_json` gave."""
    values = dict(raw)
    return _KINDS[values.pop("kind")](**values)


def open_source(source: Source) -> Study:
    """The study; its slices are named by their number alone.

    Raises:
        StudyGone: its images are gone for good, or cannot be read.
        SourceGone: they are not there now.
    """
    with _from_disk():
        return _opened(source)


@contextmanager
def _from_disk() -> Iterator[None]:
    """A disk that fails is one that may be back in a moment."""
    try:
        yield
    except OSError as error:
        raise SourceGone(
            f"The images of this study cannot be read from the disk now ({error.strerror})."
        ) from error


def _opened(source: Source) -> Study:
    if isinstance(source, Saved):
        return saved_study(source.key)
    if isinstance(source, MadeUp):
        return _made_up_head(source)
    found = _found(source)
    names = found.page_names(source.patient)
    pictures = [
        UploadedFile(names[name], file.read_bytes())
        for name, file in found.patient_files(source.patient).items()
    ]
    try:
        return _unnamed(read_study(pictures))
    except EmptyStudy as error:
        # Without its words: they name files, and in some sets a file's name tells the label.
        raise StudyGone("The images of this study are damaged; none can be read.") from error


@lru_cache(maxsize=4)  # 34 MB each; a head takes 2 s to make, and readers meet the same few
def _made_up_head(source: MadeUp) -> Study:
    bleeds = [Bleed(source.bleed, source.millilitres)] if source.bleed else []  # type: ignore[arg-type]
    files = dicom_files(head_phantom(bleeds, seed=source.seed))
    return _unnamed(read_study([UploadedFile(name, data) for name, data in files]))


def trained_on_source(source: Source) -> dict[str, bool]:
    """Version -> whether that model in use was trained on this patient; an upload is not known.

    Raises:
        StudyGone, SourceGone: as `open_source`.
    """
    slices = _slices_of(source)
    if slices is None:
        return {}
    patient = source.patient if isinstance(source, OfSet) else ""
    return trained_on(settings().artifacts, patient, slices)


def labelled_patients(name: str) -> dict[str, Truth]:
    """Patient -> label of a set by its folder's name; hemorrhage where any slice is labelled so.

    Raises:
        SourceGone: there is no such set.
    """
    for _, table in named_sets(name):
        worst = table.groupby("patient", sort=False)["label"].max()
        return {str(p): "hemorrhage" if label else "none" for p, label in worst.items()}
    raise SourceGone(_NO_SET.format(name))


def _slices_of(source: Source) -> tuple[str, ...] | None:
    """Names of the slices of a study in its set, none of a made-up head's; None of an upload.

    Raises:
        StudyGone, SourceGone: as `open_source`.
    """
    if isinstance(source, Saved):
        return None
    if isinstance(source, MadeUp):
        return ()
    with _from_disk():
        return tuple(_found(source).patient_files(source.patient))


_NO_SET = "The set {} is not on this server; put it back into a folder that HEMODETECT_DATA names."


def _found(source: OfSet) -> LocatedSet:
    there = False
    for root, table in named_sets(source.set):
        if (table["patient"] == source.patient).any():
            return LocatedSet.of(root, table)
        there = True
    if there:
        raise StudyGone(f"The set {source.set} has lost this patient.")
    if any(
        entry.action == "remove" and entry.subject == source.set for entry in audit_trail.entries()
    ):
        raise StudyGone(f"The set {source.set} was removed from this server.")
    raise SourceGone(_NO_SET.format(source.set))


def _unnamed(study: Study) -> Study:
    series = study.series[study.chosen]
    slices = tuple(
        Slice(image.values, image.units, f"slice {number}", image.geometry)
        for number, image in enumerate(series.slices, 1)
    )
    return Study(study.id, (replace(series, slices=slices),))
