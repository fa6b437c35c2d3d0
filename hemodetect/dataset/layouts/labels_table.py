"""DICOM or NIfTI files with a table ``labels.csv`` of our own.

Columns: ``label`` (0 or 1) and one or more of ``patient``, ``study`` (names of a folder, or of a file
without its suffix) and ``file`` (path under the set's folder, or a file name that occurs once);
optional ``slice`` (number in the series, from 1) and the five kinds of hemorrhage, which are kept
where a row is about one slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.files import FileStat, is_nifti_name
from hemodetect.dataset.layouts.study import (
    LabelledStudy,
    SliceLabel,
    by_name,
    dicom_files,
    in_natural_order,
    labels_of,
    nifti_files,
    read_labels,
    stem,
)
from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import DatasetError

EXPECTED = "DICOM or NIfTI files with labels.csv (columns label and patient, study or file)"
TABLE = "labels.csv"
_NAMES = ("patient", "study", "file")


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """The studies that rows of the table are about.

    Raises:
        DatasetError: the table cannot be understood, or no row fits a file.
    """
    volumes = [*dicom_files(files), *nifti_files(files)]
    path = root / TABLE
    if not path.is_file() or not volumes:
        return None
    table = read_labels(path, ["label"])
    named = [name for name in _NAMES if name in table.columns]
    if not named:
        raise DatasetError(f"{path}: needs a column patient, study or file.")
    table["label"] = labels_of(path, table["label"])
    kinds = {kind: kind.lower() for kind in SUBTYPES if kind.lower() in table.columns}
    for kind in kinds.values():
        table[kind] = labels_of(path, table[kind])
    if "slice" in table.columns:
        table["slice"] = _numbers(path, table["slice"])
    found = (
        _of_files(path, table, volumes, kinds)
        if "file" in named
        else _of_names(table, volumes, kinds, "study" if "study" in named else "patient")
    )
    if not found:
        raise DatasetError(
            f"{path}: none of its {len(table):,} rows names a DICOM or NIfTI file that is there; names"
            " are those of folders and files under the set's folder."
        )
    return found


def _numbers(path: Path, values: pd.Series) -> list[int]:
    try:
        return [int(float(value)) for value in values]
    except (ValueError, OverflowError):
        raise DatasetError(f"{path}: a number of a slice is not a number.") from None


def _of_names(
    table: pd.DataFrame, volumes: list[FileStat], kinds: Mapping[str, str], column: str
) -> list[LabelledStudy]:
    """Rows that name a patient or a study: all files of a folder, or one file."""
    places = by_name(volumes)
    found = []
    for name, rows in table.groupby(column, sort=True):
        files = in_natural_order(places.get(str(name), ()))
        if not files:
            continue
        patient = str(rows["patient"].iloc[0]) if "patient" in rows.columns else str(name)
        found.append(_labelled(patient, files, rows, kinds))
    return found


def _labelled(
    patient: str, files: tuple[FileStat, ...], rows: pd.DataFrame, kinds: Mapping[str, str]
) -> LabelledStudy:
    if "slice" not in rows.columns:
        return LabelledStudy(patient, files, label=int(rows["label"].max()))
    numbers = {int(row["slice"]): _slice_label(row, kinds) for _, row in rows.iterrows()}
    return LabelledStudy(patient, files, by_number=numbers)


def _of_files(
    path: Path, table: pd.DataFrame, volumes: list[FileStat], kinds: Mapping[str, str]
) -> list[LabelledStudy]:
    """Rows that name a file: volumes are studies; DICOM files of one folder, or patient, make one."""
    exact = {file.file: file for file in volumes}
    names: defaultdict[str, list[FileStat]] = defaultdict(list)
    for file in volumes:
        names[PurePosixPath(file.file).name].append(file)
        names[stem(file.file)].append(file)
    located = []
    for given in table["file"]:
        same = {one.file: one for one in names.get(PurePosixPath(str(given)).name, ())}
        if str(given) not in exact and len(same) > 1:
            raise DatasetError(f"{path}: {str(given)[:100]} fits {len(same)} files; give its path.")
        located.append(exact.get(str(given)) or next(iter(same.values()), None))
    table = table[[file is not None for file in located]].assign(
        place=[file.file for file in located if file is not None]
    )
    patients = table["patient"] if "patient" in table.columns else table.get("study")
    table["person"] = [_person(file) for file in table["place"]] if patients is None else patients
    found = []
    volumes_rows = table["place"].map(is_nifti_name).astype(bool)
    for place, rows in table[volumes_rows].groupby("place"):
        found.append(_labelled(str(rows["person"].iloc[0]), (exact[str(place)],), rows, kinds))
    for person, rows in table[~volumes_rows].groupby("person"):
        labels = {str(row["place"]): _slice_label(row, kinds) for _, row in rows.iterrows()}
        files = in_natural_order(exact[file] for file in labels)
        found.append(LabelledStudy(str(person), files, by_file=labels))
    return found


def _person(file: str) -> str:
    """Whose file it is, where no column says so: the folder's, or a person of its own."""
    folder = PurePosixPath(file).parent.as_posix()
    return stem(file) if is_nifti_name(file) or folder == "." else folder


def _slice_label(row: pd.Series, kinds: Mapping[str, str]) -> SliceLabel:
    return SliceLabel(int(row["label"]), {kind: int(row[name]) for kind, name in kinds.items()})
