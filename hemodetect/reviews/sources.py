"""Where the studies of a review session come from, and how they are opened again.

Folder names and file names may tell a study's label, so a reader must not see them.
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
from hemodetect.imaging.study import Study
from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Bleed, head_phantom
from hemodetect.registry.training_patients import trained_on
from hemodetect.reviews.saved import StudyGone, saved_study
from hemodetect.settings import settings
from hemodetect.storage import audit_trail

Truth = Literal["hemorrhage", "none"]


class SourceGone(HemodetectError):
    """The images of a session's study cannot be found now; they may become available again."""


@dataclass(frozen=True)
class SyntheticPhantom:
    """A synthetic phantom of a head; the same numbers give the same images."""

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
    """A saved upload."""

    key: str


Source = SyntheticPhantom | OfSet | Saved
_KINDS: dict[str, type[SyntheticPhantom] | type[OfSet] | type[Saved]] = {
    "made-up": SyntheticPhantom,
    "set": OfSet,
    "saved": Saved,
}


def as_json(source: Source) -> dict[str, Any]:
    """The source as it is stored in the database."""
    kind = next(name for name, source_type in _KINDS.items() if isinstance(source, source_type))
    return {"kind": kind, **asdict(source)}


def from_json(raw: Mapping[str, Any]) -> Source:
    """The source that `as_json` stored."""
    values = dict(raw)
    return _KINDS[values.pop("kind")](**values)


def open_source(source: Source) -> Study:
    """The study; its slices are named only by their number.

    Raises:
        StudyGone: its images are gone for good, or cannot be read.
        SourceGone: its images cannot be opened now.
    """
    with _from_disk():
        return _opened(source)


@contextmanager
def _from_disk() -> Iterator[None]:
    """Raises `SourceGone` where the disk fails, because that may be temporary."""
    try:
        yield
    except OSError as error:
        raise SourceGone(
            f"The images of this study cannot be read from the disk now ({error.strerror})."
        ) from error


def _opened(source: Source) -> Study:
    if isinstance(source, Saved):
        return saved_study(source.key)
    if isinstance(source, SyntheticPhantom):
        return _phantom_study(source)
    located_set = _located_set(source)
    names = located_set.page_names(source.patient)
    pictures = [
        UploadedFile(names[name], file.read_bytes())
        for name, file in located_set.patient_files(source.patient).items()
    ]
    try:
        return _unnamed(read_study(pictures))
    except EmptyStudy as error:
        # The text of `error` is left out: it names files, and in some sets file names tell the label.
        raise StudyGone("The images of this study are damaged; none can be read.") from error


@lru_cache(maxsize=4)  # 34 MB each; a phantom takes 2 s to make, and readers open the same few
def _phantom_study(source: SyntheticPhantom) -> Study:
    bleeds = [Bleed(source.bleed, source.millilitres)] if source.bleed else []  # type: ignore[arg-type]
    files = dicom_files(head_phantom(bleeds, seed=source.seed))
    return _unnamed(read_study([UploadedFile(name, data) for name, data in files]))


def trained_on_source(source: Source) -> dict[str, bool]:
    """Version of a model in use -> whether it was trained on this patient; empty for an upload.

    Raises:
        StudyGone, SourceGone: as `open_source`.
    """
    slices = _slices_of(source)
    if slices is None:
        return {}
    patient = source.patient if isinstance(source, OfSet) else ""
    return trained_on(settings().artifacts, patient, slices)


def labelled_patients(name: str) -> dict[str, Truth]:
    """Patient -> label, of the set in this folder; hemorrhage where any slice is labelled so.

    Raises:
        SourceGone: there is no such set.
    """
    for _, table in named_sets(name):
        worst = table.groupby("patient", sort=False)["label"].max()
        return {str(p): "hemorrhage" if label else "none" for p, label in worst.items()}
    raise SourceGone(_NO_SET.format(name))


def _slices_of(source: Source) -> tuple[str, ...] | None:
    """Names of a study's slices in its set; empty for a synthetic phantom, None for an upload.

    Raises:
        StudyGone, SourceGone: as `open_source`.
    """
    if isinstance(source, Saved):
        return None
    if isinstance(source, SyntheticPhantom):
        return ()
    with _from_disk():
        return tuple(_located_set(source).patient_files(source.patient))


_NO_SET = "The set {} is not on this server; restore it to a folder listed in HEMODETECT_DATA."


def _located_set(source: OfSet) -> LocatedSet:
    """The set on this server that holds the patient.

    Raises:
        StudyGone: the set no longer has this patient, or was removed.
        SourceGone: there is no such set.
    """
    set_exists = False
    for root, table in named_sets(source.set):
        if (table["patient"] == source.patient).any():
            return LocatedSet.of(root, table)
        set_exists = True
    if set_exists:
        raise StudyGone(f"The set {source.set} no longer has this patient.")
    if any(
        entry.action == "remove" and entry.subject == source.set for entry in audit_trail.entries()
    ):
        raise StudyGone(f"The set {source.set} was removed from this server.")
    raise SourceGone(_NO_SET.format(source.set))


def _unnamed(study: Study) -> Study:
    series = study.series[study.chosen]
    slices = tuple(
        replace(image, source=f"slice {number}") for number, image in enumerate(series.slices, 1)
    )
    return Study(study.id, (replace(series, slices=slices, numbers=()),))
