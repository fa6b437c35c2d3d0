"""Finds the pictures of a data set on this machine by the set's name.

Comparisons and review sessions store only names of slices; the pictures are found here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.files import listed_files
from hemodetect.dataset.manifest import labelled_slices, uploaded_sets
from hemodetect.errors import DatasetError
from hemodetect.settings import settings


@dataclass(frozen=True, eq=False)
class LocatedSet:
    """The folder and files of a data set's pictures.

    Attributes:
        root: its folder.
        slices: a row a slice, ordered by patient, series and number; index patient and slice,
            columns file (path under `root`) and series.
    """

    root: Path
    slices: pd.DataFrame

    @classmethod
    def of(cls, root: Path, slices: pd.DataFrame) -> LocatedSet:
        """The located set of a folder and its `labelled_slices`."""
        return cls(root, slices.set_index(["patient", "slice"])[["file", "series"]])

    def file(self, patient: str, name: str) -> Path:
        """The picture of a slice; raises `DatasetError` where there is none."""
        try:
            return self.root / str(self.slices.loc[(patient, name), "file"])
        except KeyError:
            raise DatasetError(f"{self.root.name}: holds no slice {name} of {patient}.") from None

    def patient_files(self, patient: str) -> dict[str, Path]:
        """Slice name -> file, of a patient, in order; raises `DatasetError` where there are none."""
        rows = self._patient_rows(patient)
        return {
            str(name): self.root / str(file)
            for name, file in zip(rows.index, rows["file"], strict=True)
        }

    def page_names(self, patient: str) -> dict[str, str]:
        """Slice name -> the file name that a page may display.

        Files of a public set keep their names. In other sets a folder or file may contain the
        patient's name, so series and slice are numbered instead, in the same order.

        Raises:
            DatasetError: the set has no such patient.
        """
        rows = self._patient_rows(patient)
        count = {series: number for number, series in enumerate(rows["series"].unique(), start=1)}
        columns = zip(rows.index, rows["file"], rows["series"], strict=True)
        names = {}
        for number, (name, file, series) in enumerate(columns, start=1):
            path = PurePosixPath(str(file))
            numbered = f"series-{count[series]}/{number:04}{path.suffix}"
            names[str(name)] = path.name if name == file else numbered
        return names

    def _patient_rows(self, patient: str) -> pd.DataFrame:
        rows = self.slices[self.slices.index.get_level_values("patient") == patient]
        if rows.empty:
            raise DatasetError(f"{self.root.name}: holds no patient {patient}.")
        return rows.droplevel("patient")


def data_folders() -> list[Path]:
    """The existing folders that are searched for data sets."""
    configured = [Path(part).expanduser() for part in settings().data.split(os.pathsep) if part]
    return [folder for folder in (*configured, uploaded_sets()) if folder.is_dir()]


def find_set(name: str, slices: pd.DataFrame) -> LocatedSet | None:
    """The set `name` in one of `data_folders`, if it holds all of `slices` with the same labels.

    Args:
        name: of the set's folder.
        slices: columns patient, slice, label.
    """
    for root, labelled in named_sets(name):
        table = labelled.set_index(["patient", "slice"]).sort_index()
        keys = pd.MultiIndex.from_frame(slices[["patient", "slice"]])
        if not table.index.is_unique or not keys.isin(table.index).all():
            continue
        if (table["label"].reindex(keys).to_numpy() == slices["label"].to_numpy()).all():
            return LocatedSet.of(root, labelled)
    return None


def named_sets(name: str) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Folders called `name` in `data_folders` that hold a labelled set, with its slices.

    `name` may come from an untrusted file: a name that is not a plain folder name finds nothing.
    """
    if name in ("", ".", "..") or Path(name).name != name:
        return
    for folder in data_folders():
        root = folder / name
        if root.is_dir() and not root.is_symlink():
            with contextlib.suppress(DatasetError):
                yield root, labelled_slices(root, listed_files(root))
