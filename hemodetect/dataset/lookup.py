"""Finds the pictures of a named set on this machine, for whoever holds only numbers about them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.manifest import labelled_slices, listed_files, uploaded_sets
from hemodetect.errors import DatasetError
from hemodetect.settings import settings


@dataclass(frozen=True, eq=False)
class FoundSet:
    """Where the pictures of a set lie.

    Attributes:
        root: its folder.
        slices: a row a slice, ordered by patient, series and number; index patient and slice,
            columns file (path under `root`) and series.
    """

    root: Path
    slices: pd.DataFrame

    @classmethod
    def of(cls, root: Path, slices: pd.DataFrame) -> FoundSet:
        """From a folder and its `labelled_slices`."""
        return cls(root, slices.set_index(["patient", "slice"])[["file", "series"]])

    def file(self, patient: str, name: str) -> Path:
        """The picture of a slice; raises `DatasetError` where there is none."""
        try:
            return self.root / str(self.slices.loc[(patient, name), "file"])
        except KeyError:
            raise DatasetError(f"{self.root.name}: holds no slice {name} of {patient}.") from None

    def patient_files(self, patient: str) -> dict[str, Path]:
        """Slice -> picture, of a patient, in order; raises `DatasetError` where there are none."""
        own = self._of(patient)
        return {
            str(name): self.root / str(file)
            for name, file in zip(own.index, own["file"], strict=True)
        }

    def shown_names(self, patient: str) -> dict[str, str]:
        """Slice -> the name its picture may have on a page.

        Files of a public set keep theirs. Elsewhere folders and files may be called after the
        patient, so theirs count the series and the slice instead, which keeps the order.
        """
        own = self._of(patient)
        count = {series: number for number, series in enumerate(own["series"].unique(), start=1)}
        rows = zip(own.index, own["file"], own["series"], strict=True)
        shown = {}
        for number, (name, file, series) in enumerate(rows, start=1):
            path = PurePosixPath(str(file))
            counted = f"series-{count[series]}/{number:04}{path.suffix}"
            shown[str(name)] = path.name if name == file else counted
        return shown

    def _of(self, patient: str) -> pd.DataFrame:
        own = self.slices[self.slices.index.get_level_values("patient") == patient]
        if own.empty:
            raise DatasetError(f"{self.root.name}: holds no patient {patient}.")
        return own.droplevel("patient")


def data_folders() -> list[Path]:
    """The folders that data sets are looked for in, those that exist."""
    named = [Path(part).expanduser() for part in settings().data.split(os.pathsep) if part]
    return [folder for folder in (*named, uploaded_sets()) if folder.is_dir()]


def find_set(name: str, wanted: pd.DataFrame) -> FoundSet | None:
    """The set `name` in one of `data_folders`, if it holds all of `wanted` with the same labels.

    Args:
        name: of the set's folder.
        wanted: columns patient, slice, label.
    """
    for root, found in named_sets(name):
        table = found.set_index(["patient", "slice"]).sort_index()
        keys = pd.MultiIndex.from_frame(wanted[["patient", "slice"]])
        if not table.index.is_unique or not keys.isin(table.index).all():
            continue
        if (table["label"].reindex(keys).to_numpy() == wanted["label"].to_numpy()).all():
            return FoundSet.of(root, found)
    return None


def named_sets(name: str) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Folders called `name` in `data_folders` that hold a labelled set, with its slices.

    `name` may come from a file that somebody made: nothing is found where it is no plain name.
    """
    if name in ("", ".", "..") or Path(name).name != name:
        return
    for folder in data_folders():
        root = folder / name
        if root.is_dir() and not root.is_symlink():
            with contextlib.suppress(DatasetError):
                yield root, labelled_slices(root, listed_files(root))
