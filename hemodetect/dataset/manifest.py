"""A folder of labelled pictures, as a table of slices.

Layouts that are known here: the three of `slice_tables`, labelled slice by slice, and

- **by class**: ``<class>/.../<patient>/*.jpg``, where the first folder names the class and the
  last one the patient. The near-east download has this layout.

Sets of DICOM and NIfTI files have the layouts of `hemodetect.dataset.layouts`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.class_folders import class_label
from hemodetect.dataset.files import (
    FileStat,
    is_dicom_name,
    is_nifti_name,
    is_picture_name,
    listed_files,
)
from hemodetect.dataset.layouts import rsna
from hemodetect.dataset.layouts.choose import EXPECTED, labelled_studies
from hemodetect.dataset.layouts.study import dicom_files
from hemodetect.dataset.slice_tables import has_public_names, labelled_by_slice
from hemodetect.errors import DatasetError
from hemodetect.imaging.naming import natural_key, series_and_number
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.settings import settings

CLASS_LAYOUT_HELP = (
    "expected one folder a class (for example NORMAL and Hemorrhagic), in it one folder a patient"
)
"""The layout by class, as error messages describe it."""


def uploaded_sets() -> Path:
    """The folder of the data sets that were uploaded to the app."""
    return settings().state / "sets"


def was_uploaded(root: Path) -> bool:
    """Whether a set was uploaded; it then never counts as public, whatever its layout."""
    return root.resolve().parent == uploaded_sets().resolve()


def labelled_slices(root: Path, files: Iterable[FileStat]) -> pd.DataFrame:
    """One row a slice, ordered by patient, series and slice number.

    Columns: file, slice, patient, series, number, label (int8, 1 is hemorrhage), size, and where
    the set has them the five subtypes (int8) and boxes (`slice_tables`). `slice` names a slice in
    bundles and splits, which may leave this machine: the file of a public set, a pseudonym of it in
    other sets.

    Raises:
        DatasetError: no known layout, or only one class.
    """
    pictures = [f for f in files if is_picture_name(f.file)]
    if not pictures:
        raise DatasetError(
            f"{root}: no labelled slices found. Looked for {'; '.join(EXPECTED)}; and for JPEG, PNG or"
            f" TIFF slices, {CLASS_LAYOUT_HELP}."
        )
    table = labelled_by_slice(root, [(f.file, f.size) for f in pictures])
    table = _by_class(root, pictures) if table is None else named_slices(root, table)
    return in_order(root, table)


def named_slices(root: Path, table: pd.DataFrame) -> pd.DataFrame:
    """With the column `slice`, and pseudonyms unless all names are those of public sets.

    Args:
        root: folder of the set.
        table: with columns patient and file.
    """
    if not was_uploaded(root) and has_public_names(table):
        return table.assign(slice=table["file"])
    return table.assign(  # they may be a hospital's
        patient=[pseudonym("patient", name) for name in table["patient"]],
        slice=[pseudonym("slice", file) for file in table["file"]],
    )


def is_picture_set(root: Path) -> bool:
    """Whether a labelled set consists of pictures, whose slices the pages can show."""
    files = listed_files(root)
    volumes = [f for f in files if is_dicom_name(f.file) or is_nifti_name(f.file)]
    return any(is_picture_name(f.file) for f in files) and not volumes


def is_labelled_set(root: Path) -> bool:
    """Whether a folder has one of the layouts; no slice is decoded."""
    try:
        files = listed_files(root)
        # The headers of 750,000 files are not read to find that out.
        if (root / rsna.TABLE).is_file() and dicom_files(files):
            return True
        return bool(labelled_studies(root, files)) or not labelled_slices(root, files).empty
    except (DatasetError, OSError):
        return False


def in_order(root: Path, table: pd.DataFrame) -> pd.DataFrame:
    """A table of slices by patient, series and number; raises `DatasetError` for one class only."""
    if table["label"].nunique() < 2:
        class_name = "hemorrhage" if table["label"].iloc[0] else "normal"
        raise DatasetError(f"{root}: only {class_name} slices found, both classes are needed.")
    key = [
        (natural_key(patient), natural_key(series), number, file)
        for patient, series, number, file in zip(
            table["patient"], table["series"], table["number"], table["file"], strict=True
        )
    ]
    order = sorted(range(len(table)), key=key.__getitem__)
    return table.iloc[order].reset_index(drop=True).astype({"label": "int8"})


def fingerprint(slices: pd.DataFrame, more: Sequence[str] = ()) -> str:
    """Digest of the files' paths, contents and labels: 16 hexadecimal digits.

    Args:
        slices: a row a slice.
        more: other columns that count.
    """
    lines = slices["file"] + "\t" + slices["sha256"]
    for column in ("label", *more):
        lines = lines + "\t" + slices[column].astype(str)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _by_class(root: Path, pictures: list[FileStat]) -> pd.DataFrame:
    rows, unknown_folders = [], set()
    for picture in pictures:
        parts = PurePosixPath(picture.file).parts
        label = class_label(parts[0])
        if label is None or len(parts) < 3:
            unknown_folders.add(parts[0])
            continue
        series, number = series_and_number(parts[-1])
        rows.append((picture.file, parts[0], parts[-2], series, number, label, picture.size))
    if not rows:
        names = ", ".join(sorted(unknown_folders)[:5])
        raise DatasetError(f"{root}: found {names}; {CLASS_LAYOUT_HELP}.")
    columns = ["file", "class", "patient", "series", "number", "label", "size"]
    table = pd.DataFrame(rows, columns=columns)
    # A folder name that occurs in both classes does not mean one patient.
    classes = table.groupby("patient")["label"].nunique()
    shared = table["patient"].isin(classes[classes > 1].index)
    table.loc[shared, "patient"] = table["class"] + "/" + table["patient"]
    table["slice"] = table["file"]
    if was_uploaded(root) or not (root / "Hemorrhagic" / "KANAMA").is_dir():
        # A hospital's folders may have the names of its patients; those of near-east are public.
        alias = {name: pseudonym("patient", name) for name in table["patient"].unique()}
        table["patient"] = table["patient"].map(alias)
        # A bundle's predictions and split name slices, and a path could contain the patient's name.
        table["slice"] = [pseudonym("slice", file) for file in table["file"]]
    return table.drop(columns="class")
