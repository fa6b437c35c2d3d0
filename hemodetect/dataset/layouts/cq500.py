"""CQ500 (Chilamkurthy et al. 2018): a folder of series a patient, and ``reads.csv`` of three readers.

The table has a row a study: ``name`` (CQ500-CT-12) and 0 or 1 for each reader and finding, ``R1:ICH``
to ``R3:ICH``. The label is what most readers said, of the whole study. Of a patient's series (thin,
thick, bone) the one is read that the app would propose.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts.study import (
    LabelledStudy,
    dicom_files,
    in_natural_order,
    labels_of,
    read_labels,
)
from hemodetect.errors import DatasetError

EXPECTED = "CQ500 (folders CQ500CT12 of DICOM files and reads.csv)"
TABLE = "reads.csv"
_READERS = ("r1:ich", "r2:ich", "r3:ich")
_NAME = re.compile(r"CQ500[-_ ]?CT[-_ ]?(\d+)", re.IGNORECASE)


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a patient that has a row in the table.

    Raises:
        DatasetError: the table lacks a column, or no folder has a row.
    """
    path = root / TABLE
    if not path.is_file() or not dicom_files(files):
        return None
    table = read_labels(path, ["name", *_READERS])
    votes = [labels_of(path, table[reader]) for reader in _READERS]
    labels = {
        int(match[1]): int(sum(of_study) >= 2)
        for name, *of_study in zip(table["name"], *votes, strict=True)
        if (match := _NAME.search(str(name)))
    }
    groups: defaultdict[int, list[FileStat]] = defaultdict(list)
    for file in dicom_files(files):
        match = _NAME.search(file.file)
        if match and int(match[1]) in labels:
            groups[int(match[1])].append(file)
    if not groups:
        raise DatasetError(f"{path}: no folder CQ500CT<number> has a row in it.")
    return [
        LabelledStudy(f"CQ500CT{number}", in_natural_order(members), label=labels[number])
        for number, members in sorted(groups.items())
    ]
