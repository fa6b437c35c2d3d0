"""One labelled study of a set, before its slices are read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.files import FileStat, is_dicom_name, is_nifti_name
from hemodetect.dataset.slice_tables import read_table
from hemodetect.errors import DatasetError
from hemodetect.imaging.naming import natural_key


@dataclass(frozen=True)
class SliceLabel:
    """What is known about one slice.

    Attributes:
        label: 1 is hemorrhage.
        kinds: 1 or 0 for kinds of hemorrhage (`slice_tables.SUBTYPES`); empty where nobody says.
    """

    label: int
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LabelledStudy:
    """The files of one study and its labels. One of the four kinds of labels is given.

    Attributes:
        patient: as the set names the patient; it never leaves the machine.
        files: paths under the set's folder, in natural order.
        label: of the whole study; the series that `read_study` proposes is read.
        by_number: by the number of a slice in its series, from 1 (DICOM Instance Number, place in a
            NIfTI file); slices without one are left out.
        by_file: by file; every labelled file is read, whatever its series.
        mask: NIfTI file with the bleeds outlined, on the grid of the only file.
    """

    patient: str
    files: tuple[FileStat, ...]
    label: int | None = None
    by_number: Mapping[int, SliceLabel] = field(default_factory=dict)
    by_file: Mapping[str, SliceLabel] = field(default_factory=dict)
    mask: str | None = None


def in_natural_order(files: Iterable[FileStat]) -> tuple[FileStat, ...]:
    """Files as people number them: 2 before 10."""
    return tuple(sorted(files, key=lambda f: natural_key(f.file)))


def dicom_files(files: Iterable[FileStat]) -> list[FileStat]:
    """The files that may be DICOM, by name."""
    return [f for f in files if is_dicom_name(f.file)]


def nifti_files(files: Iterable[FileStat]) -> list[FileStat]:
    """The NIfTI files, by name."""
    return [f for f in files if is_nifti_name(f.file)]


def stem(file: str) -> str:
    """A file's name without folder and suffix; ``049.nii.gz`` gives ``049``."""
    name = PurePosixPath(file).name
    return re.sub(r"(\.nii(\.gz)?|\.\w{2,5})$", "", name, flags=re.IGNORECASE)


def by_name(files: Sequence[FileStat]) -> dict[str, list[FileStat]]:
    """Files by the name of every folder around them; by their own name without suffix where no folder
    has that name.
    """
    of_folders: defaultdict[str, list[FileStat]] = defaultdict(list)
    of_files: defaultdict[str, list[FileStat]] = defaultdict(list)
    for file in files:
        for name in set(PurePosixPath(file.file).parts[:-1]):
            of_folders[name].append(file)
        of_files[stem(file.file)].append(file)
    return {**of_files, **of_folders}


def read_labels(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    """A table of labels as text, names of columns in lower case.

    Raises:
        DatasetError: it is no table, or lacks a column.
    """
    table = read_table(path)
    table.columns = [str(name).strip().lower() for name in table.columns]
    for name in needed:
        if name not in table.columns:
            raise DatasetError(f"{path}: column {name} is missing.")
    return table


def labels_of(path: Path, values: pd.Series) -> list[int]:
    """0 or 1 for each value; raises `DatasetError` where one is neither."""
    labels = []
    for value in values:
        text = str(value).strip()
        if text not in ("0", "1", "0.0", "1.0"):
            raise DatasetError(f"{path}: a label is {text[:20]!r}; expected 0 or 1.")
        labels.append(int(float(text)))
    return labels
