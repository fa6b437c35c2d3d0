"""The NIfTI release of CT-ICH (PhysioNet, https://physionet.org/content/ct-ich/).

``ct_scans/049.nii`` and ``hemorrhage_diagnosis_raw_ct.csv``, a row a slice: PatientNumber, SliceNumber
(from 1, in the order of the file), five kinds, No_Hemorrhage. Where ``masks/049.nii`` is there, its
outlines give boxes; the table's label counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts.study import (
    LabelledStudy,
    SliceLabel,
    labels_of,
    nifti_files,
    read_labels,
    stem,
)
from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import DatasetError

EXPECTED = "CT-ICH as NIfTI (ct_scans/049.nii and hemorrhage_diagnosis_raw_ct.csv)"
TABLE = "hemorrhage_diagnosis_raw_ct.csv"
_SCANS, _MASKS = "ct_scans/", "masks/"


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a volume that has rows in the table.

    Raises:
        DatasetError: the table lacks a column, or no volume has a row.
    """
    path = root / TABLE
    volumes = nifti_files(files)
    if not path.is_file() or not volumes:
        return None
    kinds = {kind: kind.lower() for kind in SUBTYPES}
    table = read_labels(path, ["patientnumber", "slicenumber", "no_hemorrhage", *kinds.values()])
    try:
        numbers = table[["patientnumber", "slicenumber"]].astype(float).astype(int)
    except ValueError as error:
        raise DatasetError(f"{path}: a number is missing or not a number ({error}).") from error
    bleeds = {kind: labels_of(path, table[name]) for kind, name in kinds.items()}
    none = labels_of(path, table["no_hemorrhage"])
    labels: dict[int, dict[int, SliceLabel]] = {}
    for row, (patient, number) in enumerate(numbers.itertuples(index=False)):
        label = SliceLabel(1 - none[row], {kind: values[row] for kind, values in bleeds.items()})
        labels.setdefault(int(patient), {})[int(number)] = label
    masks = {stem(f.file): f.file for f in volumes if f.file.startswith(_MASKS)}
    found = [
        LabelledStudy(name, (volume,), by_number=labels[int(name)], mask=masks.get(name))
        for volume in volumes
        if volume.file.startswith(_SCANS)
        and (name := stem(volume.file)).isdecimal()
        and int(name) in labels
    ]
    if not found:
        raise DatasetError(f"{path}: no volume ct_scans/<number>.nii has a row in it.")
    return found
