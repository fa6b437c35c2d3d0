"""Slices of labelled DICOM and NIfTI studies: read as the app reads them, one study at a time.

Values in Hounsfield units are checked and repaired as before every prediction (`inputcheck`), shown in
the brain window, and cached as grey, so that one model serves these sets and sets of pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.joined import UNKNOWN
from hemodetect.dataset.layouts.study import LabelledStudy, SliceLabel
from hemodetect.dataset.slice_tables import BOXES, SUBTYPES
from hemodetect.errors import EmptyStudy, UnreadableFile
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.dicom import read_header
from hemodetect.imaging.kinds import HEAD_BYTES, content_kind
from hemodetect.imaging.nifti import read_nifti
from hemodetect.imaging.orientation import turn_of
from hemodetect.imaging.read import read_study
from hemodetect.imaging.sources import UploadedFile
from hemodetect.imaging.study import RefusedFile, Series, Slice
from hemodetect.imaging.windows import brain_grey
from hemodetect.inputcheck.hounsfield import hounsfield_findings
from hemodetect.preprocessing.model_input import resized
from hemodetect.settings import settings

_LEAST_BOX = 4  # outlined pixels: a stray voxel gets no box


@dataclass(frozen=True, eq=False)
class ReadStudy:
    """What was read of one labelled study.

    Attributes:
        table: a row a slice: file, patient, series, number, label, size, sha256, rows, columns, the
            kinds of `SUBTYPES` and `BOXES`.
        grey: by side length, (n, size, size) uint8.
        refused: files that were not read, with the reason.
    """

    table: pd.DataFrame
    grey: dict[int, np.ndarray]
    refused: tuple[RefusedFile, ...]


def read_labelled(root: Path, study: LabelledStudy, sizes: Sequence[int]) -> ReadStudy:
    """Reads one study of a set.

    Args:
        root: folder of the set.
        study: of it.
        sizes: side lengths of the grey squares.
    """
    try:
        return _read(root, study, sizes)
    except (EmptyStudy, UnreadableFile, OSError) as error:
        refused = tuple(RefusedFile(file.file, str(error)) for file in study.files)
        return ReadStudy(_table([]), {size: _no_squares(size) for size in sizes}, refused)


def _read(root: Path, study: LabelledStudy, sizes: Sequence[int]) -> ReadStudy:
    # Numbered, because reading shortens and cleans names; the order of the files stays.
    named = {f"{place:06d}": file for place, file in enumerate(study.files)}
    content = {name: (root / file.file).read_bytes() for name, file in named.items()}
    for data in content.values():
        if content_kind(data[:HEAD_BYTES]) in ("zip", "tar"):
            raise UnreadableFile("It is an archive; unpack it.")
    read = read_study([UploadedFile(name, data) for name, data in content.items()])
    refused = [RefusedFile(named[r.file.partition("#")[0]].file, r.reason) for r in read.refused]
    everything = bool(study.by_file)
    label_of = _labels(root, study, named, content)
    rows: list[dict[str, object]] = []
    squares: dict[int, list[np.ndarray]] = {size: [] for size in sizes}
    for place, series in enumerate(read.series if everything else [read.series[read.chosen]]):
        slices, fault = _checked(series)
        if fault:
            refused += [RefusedFile(_place(one, named), fault) for one in slices]
            continue
        turn = turn_of(slices)
        for number, image in enumerate(slices, start=1):
            known = label_of(image)
            if known is None:
                continue
            file = named[image.source.partition("#")[0]]
            rows.append(_row(study, file, f"{place:03d}", number, image, known))
            grey = turn.shown(brain_grey(image))
            for size in sizes:
                squares[size].append(resized(grey, size))
    arrays = {
        size: np.stack(images) if images else _no_squares(size) for size, images in squares.items()
    }
    return ReadStudy(_table(rows), arrays, tuple(refused))


def _checked(series: Series) -> tuple[tuple[Slice, ...], str]:
    """Slices as repaired, and why they cannot be learned from, or ""."""
    if series.slices[0].units != "HU":
        return series.slices, ""
    findings = hounsfield_findings(series.slices)
    return findings.slices, findings.stop or ""


_Known = tuple[SliceLabel, str]
"""Label of a slice, and the boxes in it as JSON."""


def _labels(
    root: Path, study: LabelledStudy, named: dict[str, FileStat], content: dict[str, bytes]
) -> Callable[[Slice], _Known | None]:
    """What is known about a slice; None for one that has no label."""
    masks = _masks(root / study.mask) if study.mask else {}

    def boxes(image: Slice) -> str:
        mask = masks.get(_number(image, content)) if masks else None
        return "" if mask is None or mask.shape != image.shape else _boxes(mask)

    def known(image: Slice) -> _Known | None:
        if study.label is not None:
            return SliceLabel(study.label), ""
        if study.by_file:
            label = study.by_file.get(_place(image, named))
        elif study.by_number:
            label = study.by_number.get(_number(image, content))
        else:
            mask = masks.get(_number(image, content))
            if mask is not None and mask.shape != image.shape:
                raise UnreadableFile(
                    f"Its mask has {mask.shape[1]} x {mask.shape[0]} pixels and the slice"
                    f" {image.shape[1]} x {image.shape[0]}; both must have one grid."
                )
            label = None if mask is None else SliceLabel(int(mask.any()))
        return None if label is None else (label, boxes(image))

    return known


def _place(image: Slice, named: dict[str, FileStat]) -> str:
    return named[image.source.partition("#")[0]].file


def _number(image: Slice, content: dict[str, bytes]) -> int:
    """Place in its NIfTI file, or DICOM Instance Number; 0 where there is none."""
    name, _, part = image.source.partition("#")
    if part:
        return int(part)
    header = read_header(content[name], settings())
    return 0 if header is None else header.number or 0


def _masks(path: Path) -> dict[int, np.ndarray]:
    """(rows, columns) bool by place in the file."""
    slices = read_nifti(path.read_bytes(), path.name, Budget(settings()))
    return {number: one.slice.values > 0 for number, one in enumerate(slices, start=1)}


def _boxes(mask: np.ndarray) -> str:
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    drawn = [
        [columns.start, rows.start, columns.stop, rows.stop]
        for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1)
        if (pieces[rows, columns] == piece).sum() >= _LEAST_BOX
    ]
    return json.dumps([[float(value) for value in box] for box in drawn]) if drawn else ""


def _row(
    study: LabelledStudy, file: FileStat, series: str, number: int, image: Slice, known: _Known
) -> dict[str, object]:
    label, boxes = known
    part = image.source.partition("#")[2]
    content = np.ascontiguousarray(image.values)
    return {
        "file": f"{file.file}#{part}" if part else file.file,
        "patient": study.patient,
        "series": series,
        "number": number,
        "label": label.label,
        "size": file.size,
        "sha256": hashlib.sha256(content.tobytes()).hexdigest(),
        "rows": image.shape[0],
        "columns": image.shape[1],
        BOXES: boxes,
        **{kind: label.kinds.get(kind, UNKNOWN) for kind in SUBTYPES},
    }


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    columns = [
        "file", "patient", "series", "number", "label", "size", "sha256", "rows", "columns", BOXES,
        *SUBTYPES,
    ]  # fmt: skip
    whole = dict.fromkeys(["label", *SUBTYPES], "int8")
    return pd.DataFrame(rows, columns=columns).astype(whole)


def _no_squares(size: int) -> np.ndarray:
    return np.zeros((0, size, size), np.uint8)
