"""DICOM or NIfTI files in one folder a class; each folder or volume directly in it is a patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hemodetect.dataset.class_folders import class_label
from hemodetect.dataset.files import FileStat, is_picture_name
from hemodetect.dataset.layouts.study import (
    LabelledStudy,
    dicom_files,
    in_natural_order,
    nifti_files,
    stem,
)

EXPECTED = "folders NORMAL and Hemorrhagic with a folder of DICOM files, or a NIfTI file, a patient"


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a patient; None where the folders hold pictures, too: then the pictures are the set."""
    if any(is_picture_name(file.file) for file in files):
        return None
    groups: defaultdict[tuple[int, str], list[FileStat]] = defaultdict(list)
    for file in [*dicom_files(files), *nifti_files(files)]:
        folder, *rest = PurePosixPath(file.file).parts
        label = class_label(folder)
        if label is not None and rest:
            patient = f"{folder}/{rest[0] if len(rest) > 1 else stem(rest[0])}"
            groups[label, patient].append(file)
    return [
        LabelledStudy(patient, in_natural_order(members), label=label)
        for (label, patient), members in sorted(groups.items())
    ] or None
