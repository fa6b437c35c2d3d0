"""The files of a labelled set: which belong to it, by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hemodetect.errors import DatasetError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""File name suffixes of slices as pictures, in lower case."""
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
"""Those of DICOM files; files without a suffix are DICOM where their content says so."""
PICTURE_TABLES = frozenset({"hemorrhage_diagnosis.csv", "boxes.csv", "labels.csv"})
"""Names of tables of labels in sets of pictures."""
TABLES = PICTURE_TABLES | {"hemorrhage_diagnosis_raw_ct.csv", "reads.csv", "stage_2_train.csv"}
"""Names of all tables of labels."""
_MAGIC = slice(128, 132)


@dataclass(frozen=True)
class FileStat:
    """One file under the root: its POSIX path within it, size in bytes, and time of change."""

    file: str
    size: int
    changed_ns: int


def listed_files(root: Path) -> list[FileStat]:
    """Every image and label table under `root`, sorted by path. Symbolic links are ignored.

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
            if not path.is_symlink() and _belongs(path):
                stat = path.stat()
                relative = path.relative_to(root).as_posix()
                files.append(FileStat(relative, stat.st_size, stat.st_mtime_ns))
    return sorted(files, key=lambda f: f.file)


def is_picture_name(file: str) -> bool:
    """Whether a file is a picture, by its name."""
    return PurePosixPath(file).suffix.lower() in PICTURE_SUFFIXES


def is_nifti_name(file: str) -> bool:
    """Whether a file is a NIfTI volume, by its name."""
    return file.lower().endswith((".nii", ".nii.gz"))


def is_dicom_name(file: str) -> bool:
    """Whether a listed file is DICOM, by its name; one without a suffix is listed for its content."""
    path = PurePosixPath(file)
    return path.suffix.lower() in DICOM_SUFFIXES or not path.suffix


def is_part_of_a_picture_set(name: str) -> bool:
    """Whether a file of this name is a picture, or a table of labels of pictures."""
    return (is_picture_name(name) or name in PICTURE_TABLES) and not name.startswith(".")


def _belongs(path: Path) -> bool:
    name = path.name
    if name.startswith("."):
        return False
    if is_picture_name(name) or name in TABLES or is_nifti_name(name):
        return True
    return path.suffix.lower() in DICOM_SUFFIXES or (not path.suffix and _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC.stop)[_MAGIC] == b"DICM" and path.name.upper() != "DICOMDIR"
    except OSError:
        return False
