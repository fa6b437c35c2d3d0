"""Sets whose slices are labelled one by one, in the layouts of their downloads.

- **ct-ich**: ``hemorrhage_diagnosis.csv`` with a row for every slice, images under
  ``Patients_CT/<patient>/brain/<slice>.jpg``; ``boxes.csv``, where there is one, has boxes of bleeds.
- **RSNA**: ``labels.csv`` with file, study, any and the five kinds; single slices in ``images``. A
  slice whose study is not known counts as a patient of its own.
- **PHE-SICH**: ``labels.csv`` with patient, slice, hemorrhage (1, 0, or empty for unknown) and a box;
  ``<patient>/<slice>.jpg``. Slices of unknown label are left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.errors import DatasetError

SUBTYPES = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")
"""Kinds of hemorrhage: columns of a table of slices."""
BOXES = "boxes"
"""Column of a table of slices: boxes around bleeds as JSON, [[x_min, y_min, x_max, y_max], ...] in
pixels of the file; empty where nobody has drawn any."""
_CT_ICH_LABELS, _CT_ICH_BOXES, _LABELS = "hemorrhage_diagnosis.csv", "boxes.csv", "labels.csv"
_RSNA_COLUMNS = ("file", "study", "any", *(kind.lower() for kind in SUBTYPES))
_BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max")
_PHE_COLUMNS = ("patient", "slice", "hemorrhage", *_BOX_COLUMNS)


def labelled_by_slice(root: Path, pictures: Sequence[tuple[str, int]]) -> pd.DataFrame | None:
    """The table of a set in one of these layouts; None where it has no table of labels.

    Args:
        root: folder of the set.
        pictures: path within it and size in bytes of every picture.

    Returns:
        Columns file, patient, series, number, label, size, and those of `SUBTYPES` and `BOXES`
        that the layout has.

    Raises:
        DatasetError: the table lacks a column, or has no row for any picture.
    """
    files = pd.DataFrame(pictures, columns=["file", "size"])
    if (root / _CT_ICH_LABELS).is_file():
        table = _ct_ich(root, files)
    elif (root / _LABELS).is_file():
        labels = read_table(root / _LABELS)
        table = _rsna(labels, files) if "any" in labels.columns else _phe_sich(root, labels, files)
    else:
        return None
    if table.empty:
        raise DatasetError(f"{root}: no slice has a row in its table of labels.")
    table["series"] = ""
    whole = ["label", *(kind for kind in SUBTYPES if kind in table.columns)]
    return table.astype(dict.fromkeys(whole, "int8"))


def has_public_names(table: pd.DataFrame) -> bool:
    """Whether patients and files have the numbers of the public downloads, which name nobody.

    A hospital's own set in one of these layouts may call a folder after its patient.
    """
    patients = table["patient"].str.fullmatch(r"\d{3,4}|ID_[0-9a-f]{1,12}")
    files = (
        table["file"]
        .str.rpartition("/")[2]
        .str.fullmatch(r"(\d+|ID_[0-9a-f]{1,12})(\.\w+)+(#\d+)?")
    )
    return bool(patients.all() and files.all())


def read_table(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table as text; raises `DatasetError` where it is none, or lacks one of `columns`."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a table of labels ({error}).") from error
    for name in columns:
        if name not in table.columns:
            raise DatasetError(f"{path}: column {name} is missing.")
    return table


def _numbers(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    try:
        return table.assign(**{name: pd.to_numeric(table[name]) for name in columns})
    except ValueError as error:
        raise DatasetError(f"{path}: a label is not a number ({error}).") from error


def _ct_ich(root: Path, files: pd.DataFrame) -> pd.DataFrame:
    path = root / _CT_ICH_LABELS
    numbers = ["PatientNumber", "SliceNumber", *SUBTYPES, "No_Hemorrhage"]
    diagnoses = _numbers(path, read_table(path, numbers), numbers)
    parts = files["file"].str.extract(r"^Patients_CT/(?P<patient>\d+)/brain/(?P<number>\d+)\.\w+$")
    found = files.assign(**parts).dropna()
    found["number"] = found["number"].astype(int)
    diagnoses = _keyed(diagnoses)
    table = found.merge(
        diagnoses[["patient", "number", *SUBTYPES, "No_Hemorrhage"]], on=["patient", "number"]
    )
    table["label"] = 1 - table.pop("No_Hemorrhage")
    if (path := root / _CT_ICH_BOXES).is_file():
        numbers = ["PatientNumber", "SliceNumber", *_BOX_COLUMNS]
        boxes = _keyed(_numbers(path, read_table(path, numbers), numbers))
        table = _with_boxes(table, boxes, ["patient", "number"])
    return table


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """With the names of ct-ich's folders and files: patient "049", number 1."""
    return table.assign(
        patient=table["PatientNumber"].astype(int).astype(str).str.zfill(3),
        number=table["SliceNumber"].astype(int),
    )


def _rsna(labels: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    path = Path(_LABELS)
    for name in _RSNA_COLUMNS:
        if name not in labels.columns:
            raise DatasetError(f"{path}: column {name} is missing.")
    labels = _numbers(path, labels, _RSNA_COLUMNS[2:])
    labels = labels.rename(columns={"any": "label", **{kind.lower(): kind for kind in SUBTYPES}})
    labels["name"] = labels.pop("file")
    files = files.assign(name=[PurePosixPath(file).name for file in files["file"]])
    table = files.merge(labels, on="name")
    single = table["name"].str.rpartition(".")[0]
    table["patient"] = table.pop("study").mask(lambda study: study == "", single)
    table["number"] = table.groupby("patient").cumcount()
    return table.drop(columns="name")


def _phe_sich(root: Path, labels: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    path = root / _LABELS
    for name in _PHE_COLUMNS:
        if name not in labels.columns:
            raise DatasetError(f"{path}: column {name} is missing.")
    labels = _numbers(path, labels[labels["hemorrhage"] != ""], ["slice", *_PHE_COLUMNS[2:]])
    labels = labels.rename(columns={"slice": "number", "hemorrhage": "label"})
    parts = files["file"].str.extract(r"^(?P<patient>[^/]+)/(?P<number>\d+)\.\w+$")
    found = files.assign(**parts).dropna()
    found["number"] = found["number"].astype(int)
    slices = labels.drop_duplicates(["patient", "number"])[["patient", "number", "label"]]
    table = found.merge(slices, on=["patient", "number"])
    return _with_boxes(table, labels.dropna(subset=list(_BOX_COLUMNS)), ["patient", "number"])


def _with_boxes(table: pd.DataFrame, boxes: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    drawn = {
        name: json.dumps(rows[list(_BOX_COLUMNS)].to_numpy(float).round(1).tolist())
        for name, rows in boxes.groupby(key)
    }
    names = zip(*(table[column] for column in key), strict=True)
    return table.assign(**{BOXES: [drawn.get(name, "") for name in names]})
