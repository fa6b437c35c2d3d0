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

from hemodetect.dataset.files import FileStat, is_nifti_name, is_picture_name
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
    table = read_labels(path)
    if "label" not in table.columns and any(is_picture_name(file.file) for file in files):
        return None  # the table of a set of pictures
    if "label" not in table.columns:
        raise DatasetError(f"{path}: column label is missing.")
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
        else _of_names(path, table, volumes, kinds, named)
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
    path: Path,
    table: pd.DataFrame,
    volumes: list[FileStat],
    kinds: Mapping[str, str],
    named: Sequence[str],
) -> list[LabelledStudy]:
    """Rows that name a patient or a study: all files of a folder, or one file."""
    places = by_name(volumes)
    found = []
    owner: dict[str, str] = {}
    for _, rows in table.groupby(list(named), sort=True):
        patient = str(rows[named[0]].iloc[0])
        study = str(rows[named[-1]].iloc[0])
        files = in_natural_order(places.get(study, ()))
        if len(named) == 2 and patient in places:
            # A study's name may occur in the folders of several patients.
            files = tuple(file for file in files if file in places[patient])
        for file in files:
            if owner.setdefault(file.file, f"{patient}/{study}") != f"{patient}/{study}":
                # By line: a name could be a patient's, and errors reach the log of a job.
                raise DatasetError(
                    f"{path}: {_line(rows)} names files that another line names too; give names that"
                    " occur once, or the column file."
                )
        if files:
            found.append(_labelled(path, patient, files, rows, kinds))
    return found


def _labelled(
    path: Path,
    patient: str,
    files: tuple[FileStat, ...],
    rows: pd.DataFrame,
    kinds: Mapping[str, str],
) -> LabelledStudy:
    if "slice" not in rows.columns:
        if rows["label"].nunique() > 1:
            raise DatasetError(
                f"{path}: {_line(rows)} and another line give one study both labels."
            )
        return LabelledStudy(patient, files, label=int(rows["label"].iloc[0]))
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
    for line, given in enumerate(table["file"], start=2):
        # A path is one file; only a name alone is looked for in all folders.
        same = {} if "/" in str(given) else {one.file: one for one in names.get(str(given), ())}
        if str(given) not in exact and len(same) > 1:
            raise DatasetError(f"{path}: line {line} fits {len(same)} files; give the path.")
        located.append(exact.get(str(given)) or next(iter(same.values()), None))
    table = table[[file is not None for file in located]].assign(
        place=[file.file for file in located if file is not None]
    )
    patients = table["patient"] if "patient" in table.columns else table.get("study")
    table["person"] = [_person(file) for file in table["place"]] if patients is None else patients
    found = []
    volumes_rows = table["place"].map(is_nifti_name).astype(bool)
    for place, rows in table[volumes_rows].groupby("place"):
        owner = str(rows["person"].iloc[0])
        found.append(_labelled(path, owner, (exact[str(place)],), rows, kinds))
    for person, rows in table[~volumes_rows].groupby("person"):
        labels = {str(row["place"]): _slice_label(row, kinds) for _, row in rows.iterrows()}
        files = in_natural_order(exact[file] for file in labels)
        found.append(LabelledStudy(str(person), files, by_file=labels))
    return found


def _person(file: str) -> str:
    """Whose file it is, where no column says so: that of its folder; a volume counts for itself."""
    folder = PurePosixPath(file).parent.as_posix()
    return file if is_nifti_name(file) or folder == "." else folder


def _line(rows: pd.DataFrame) -> str:
    """Where the first of some rows stands in the table; the header is line 1."""
    return f"line {int(rows.index[0]) + 2}"


def _slice_label(row: pd.Series, kinds: Mapping[str, str]) -> SliceLabel:
    return SliceLabel(int(row["label"]), {kind: int(row[name]) for kind, name in kinds.items()})
