"""Where the studies of a review session come from, and how they are opened again.

What is shown of a study while it is read must not tell its label: no folder, no file name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hemodetect.dataset.lookup import data_folders, find_set
from hemodetect.dataset.manifest import labelled_slices, listed_files
from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.phantom import Bleed, head_phantom
from hemodetect.imaging.phantom_files import dicom_files
from hemodetect.imaging.study import Slice, Study
from hemodetect.reviews.saved import saved_study

Truth = Literal["hemorrhage", "none"]


class SourceGone(HemodetectError):
    """A study of a session is not where it was."""


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
        HemodetectError: it is not there any more, or cannot be read.
    """
    if isinstance(source, Saved):
        return saved_study(source.key)
    if isinstance(source, MadeUp):
        bleeds = [Bleed(source.bleed, source.millilitres)] if source.bleed else []  # type: ignore[arg-type]
        files = dicom_files(head_phantom(bleeds, seed=source.seed))
        return _unnamed(read_study([UploadedFile(name, data) for name, data in files]))
    found = find_set(source.set, labelled_patients(source.set).slices_of(source.patient))
    if found is None:
        raise SourceGone(_NO_SET.format(source.set))
    names = found.shown_names(source.patient)
    return _unnamed(
        read_study(
            [
                UploadedFile(names[name], file.read_bytes())
                for name, file in found.patient_files(source.patient).items()
            ]
        )
    )


_NO_SET = "The set {} is not on this server; put it back into a folder that HEMODETECT_DATA names."


@dataclass(frozen=True, eq=False)
class LabelledPatients:
    """The patients of a labelled set.

    Attributes:
        truth: patient -> label; hemorrhage where any slice is labelled so.
    """

    truth: dict[str, Truth]
    _table: Any

    def slices_of(self, patient: str) -> Any:
        """Table of a patient's slices: patient, slice, label."""
        own = self._table[self._table["patient"] == patient]
        if own.empty:
            raise SourceGone(f"The set holds no patient {patient} any more.")
        return own[["patient", "slice", "label"]]


def labelled_patients(name: str) -> LabelledPatients:
    """The patients of a set by its folder's name; raises `SourceGone` where there is none."""
    for folder in data_folders():
        root = folder / name
        if root.is_dir() and not root.is_symlink() and root.parent == folder:
            table = labelled_slices(root, listed_files(root))
            worst = table.groupby("patient", sort=False)["label"].max()
            truth: dict[str, Truth] = {
                str(patient): "hemorrhage" if label else "none" for patient, label in worst.items()
            }
            return LabelledPatients(truth, table)
    raise SourceGone(_NO_SET.format(name))


def _unnamed(study: Study) -> Study:
    series = study.series[study.chosen]
    slices = tuple(
        Slice(image.values, image.units, f"slice {number}", image.geometry)
        for number, image in enumerate(series.slices, 1)
    )
    return Study(study.id, (replace(series, slices=slices),))
