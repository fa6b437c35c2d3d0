"""RSNA 2019 as its competition gives it: one DICOM file a slice, and ``stage_2_train.csv``.

The table has six rows a slice: ``ID_<slice>_<kind>`` and 0 or 1, the kinds being ``any`` and the five
of `SUBTYPES`; some rows stand twice. Which slices are one study is in their headers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts.study import (
    LabelledStudy,
    SliceLabel,
    dicom_files,
    in_natural_order,
    labels_of,
    read_labels,
    stem,
)
from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import DatasetError, UnreadableFile
from hemodetect.imaging.dicom import read_header
from hemodetect.settings import settings

EXPECTED = "RSNA 2019 (ID_*.dcm and stage_2_train.csv)"
TABLE = "stage_2_train.csv"
_HEADER_BYTES = 16 * 1024
_ANY = "any"


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a series of the headers.

    Raises:
        DatasetError: the table cannot be understood, or no file has a row.
    """
    path = root / TABLE
    if not path.is_file() or not dicom_files(files):
        return None
    labels = _labels(path)
    labelled = [file for file in dicom_files(files) if stem(file.file) in labels]
    if not labelled:
        raise DatasetError(f"{path}: no DICOM file ID_*.dcm has a row in it.")
    groups: defaultdict[tuple[str, str], list[FileStat]] = defaultdict(list)
    with ThreadPoolExecutor() as pool:
        keys = pool.map(lambda file: _patient_and_series(root / file.file), labelled)
        for file, (patient, series) in zip(labelled, keys, strict=True):
            groups[patient or stem(file.file), series].append(file)
    return [
        LabelledStudy(
            patient,
            in_natural_order(members),
            by_file={file.file: labels[stem(file.file)] for file in members},
        )
        for (patient, _), members in sorted(groups.items())
    ]


def _labels(path: Path) -> dict[str, SliceLabel]:
    table = read_labels(path, ["id", "label"])
    parts = table["id"].str.rpartition("_")
    table = table.assign(
        image=parts[0], kind=parts[2].str.lower(), value=labels_of(path, table["label"])
    )
    wide = table.pivot_table(index="image", columns="kind", values="value", aggfunc="max")
    if _ANY not in wide.columns:
        raise DatasetError(f"{path}: it has no rows ID_<slice>_any.")
    kinds = {kind: kind.lower() for kind in SUBTYPES if kind.lower() in wide.columns}
    wide = wide.fillna(0).astype(int)
    return {
        str(image): SliceLabel(
            int(row[_ANY]), {kind: int(row[name]) for kind, name in kinds.items()}
        )
        for image, row in zip(wide.index, wide.to_dict("records"), strict=True)
    }


def _patient_and_series(path: Path) -> tuple[str, str]:
    """Pseudonyms; empty where the header cannot be read, which reading the slice will say."""
    try:
        with path.open("rb") as file:
            header = read_header(file.read(_HEADER_BYTES), settings())
    except (OSError, UnreadableFile):
        return "", ""
    if header is None:
        return "", ""
    return header.patient or "", header.series or header.study or ""
