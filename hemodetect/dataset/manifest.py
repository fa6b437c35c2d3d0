"""A folder of labelled slices, as a table.

Layouts that are known: the three of `slice_tables`, labelled slice by slice, and

- **by class**: ``<class>/.../<patient>/*.jpg``, where the first folder names the class and the
  last one the patient. The near-east download has this layout.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from hemodetect.dataset.slice_tables import TABLES, has_public_names, labelled_by_slice
from hemodetect.errors import DatasetError
from hemodetect.imaging.naming import natural_key, series_and_number
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.settings import settings

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""File name suffixes of slices, in lower case."""
NORMAL_NAMES = frozenset({"normal", "no hemorrhage", "no_hemorrhage", "negative", "0"})
"""Names of class folders of normal slices, in lower case."""
HEMORRHAGE_NAMES = frozenset({"hemorrhage", "hemorrhagic", "haemorrhage", "positive", "1"})
"""Names of class folders of hemorrhagic slices, in lower case."""
CLASS_LAYOUT_HELP = (
    "expected one folder a class (for example NORMAL and Hemorrhagic), in it one folder a patient"
)
"""The layout by class, as error messages describe it."""


@dataclass(frozen=True)
class FileStat:
    """One file under the root: its POSIX path within it, size in bytes, and time of change."""

    file: str
    size: int
    changed_ns: int


def listed_files(root: Path) -> list[FileStat]:
    """Every picture and label table under `root`, sorted by path. Symbolic links are ignored.

    Raises:
        DatasetError: `root` is not a folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the folder that holds the data set.")
    files = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in names:
            path = Path(folder, name)
            if is_part_of_a_set(name) and not path.is_symlink():
                stat = path.stat()
                relative = path.relative_to(root).as_posix()
                files.append(FileStat(relative, stat.st_size, stat.st_mtime_ns))
    return sorted(files, key=lambda f: f.file)


def uploaded_sets() -> Path:
    """The folder of the data sets that were uploaded to the app."""
    return settings().state / "sets"


def was_uploaded(root: Path) -> bool:
    """Whether a set was uploaded; it then never counts as public, whatever its layout."""
    return root.resolve().parent == uploaded_sets().resolve()


def is_part_of_a_set(name: str) -> bool:
    """Whether a file of this name is a picture or the table of labels."""
    is_known = PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES or name in TABLES
    return is_known and not name.startswith(".")


def labelled_slices(root: Path, files: Iterable[FileStat]) -> pd.DataFrame:
    """One row a slice, ordered by patient, series and slice number.

    Columns: file, slice, patient, series, number, label (int8, 1 is hemorrhage), size, and where
    the set has them the five subtypes (int8) and boxes (`slice_tables`). `slice` names a slice in
    bundles and splits, which may leave this machine: the file of a public set, a pseudonym of it in
    other sets.

    Raises:
        DatasetError: no known layout, or only one class.
    """
    pictures = [f for f in files if PurePosixPath(f.file).suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise DatasetError(f"{root}: no JPEG, PNG or TIFF slices found; {CLASS_LAYOUT_HELP}.")
    table = labelled_by_slice(root, [(f.file, f.size) for f in pictures])
    if table is None:
        table = _by_class(root, pictures)
    elif was_uploaded(root) or not has_public_names(table):  # they may be a hospital's
        table["patient"] = [pseudonym("patient", name) for name in table["patient"]]
        table["slice"] = [pseudonym("slice", file) for file in table["file"]]
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


def fingerprint(slices: pd.DataFrame) -> str:
    """Digest of the files' paths, contents and labels: 16 hexadecimal digits."""
    lines = "\n".join(sorted(slices["file"] + "\t" + slices["sha256"] + "\t" + _labels(slices)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _labels(slices: pd.DataFrame) -> pd.Series:
    return slices["label"].astype(str)


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


def class_label(folder: str) -> int | None:
    """1 for a folder of hemorrhages, 0 for one of normal slices, None for any other."""
    name = folder.strip().lower()
    return 0 if name in NORMAL_NAMES else 1 if name in HEMORRHAGE_NAMES else None
