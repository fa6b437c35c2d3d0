"""A patient's study: slices in order, and the files that were refused.

These values hold no name, patient id, date or free text of a header. Whatever is not a field
here was dropped when the file was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Units = Literal["HU", "grey"]
"""Unit of pixel values: Hounsfield units, or grey levels from 0 (black) to 255 (white)."""
Vector = tuple[float, float, float]
"""In the DICOM patient coordinate system: x to the patient's left, y to the back, z to the head."""


@dataclass(frozen=True)
class SliceGeometry:
    """Where a slice lies, in the DICOM patient coordinate system.

    Attributes:
        position_mm: position along the slice normal (dot product of normal and image position).
        normal: unit vector, the cross product of row and column direction.
        row_spacing_mm: distance between rows (DICOM Pixel Spacing, first value).
        column_spacing_mm: distance between columns (second value).
        thickness_mm: nominal slice thickness, where stated.
        row_direction: unit vector along a row, from its first column to its last; None where unknown.
        column_direction: the same along a column.
        corner_mm: centre of the first pixel; None where unknown.
    """

    position_mm: float
    normal: Vector
    row_spacing_mm: float
    column_spacing_mm: float
    thickness_mm: float | None = None
    row_direction: Vector | None = None
    column_direction: Vector | None = None
    corner_mm: Vector | None = None


@dataclass(frozen=True, eq=False)
class Slice:
    """One axial image.

    Attributes:
        values: (rows, columns); int16 or float32 in HU, or uint8 grey. Read-only.
        units: "HU" where Hounsfield units are known, else "grey" (0 black, 255 white).
        source: the file's name within the study, ``#n`` added for frame or page n (from 1).
        geometry: None for plain pictures.
        is_coloured: a picture whose colour channels differ; `values` are its luminance.
    """

    values: np.ndarray
    units: Units
    source: str
    geometry: SliceGeometry | None = None
    is_coloured: bool = False

    @property
    def pixels(self) -> np.ndarray:
        """(rows, columns), float32 HU or uint8 grey."""
        return self.values.astype(np.float32) if self.units == "HU" else self.values

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.values.shape[0], self.values.shape[1]


@dataclass(frozen=True, eq=False)
class Series:
    """Slices of one acquisition, in order.

    Attributes:
        id: pseudonym of the series; stable for the same files.
        description: made from geometry and counts, never from header text,
            e.g. "28 axial slices, 512 x 512, 7.0 mm apart".
        slices: ordered along the normal (base to vertex where the header says), or by the
            numbers in the file names.
        set_aside: why the series is not read by default ("localizer", "with contrast", ...); None
            for the one that is, unless all have such a reason.
        cautions: sentences for the reader: what of the head is missing, what is not certain.
        is_ordered: positions, numbers or names tell the order of the slices.
        contrast: a header names a contrast agent.
        numbers: of pictures, in their names; empty for DICOM and where there are none.
    """

    id: str
    description: str
    slices: tuple[Slice, ...]
    set_aside: str | None = None
    cautions: tuple[str, ...] = ()
    is_ordered: bool = True
    contrast: bool = False
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class RefusedFile:
    """A file that was not read, and the reason in one sentence that says what to do."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Study:
    """One patient's study.

    Attributes:
        id: pseudonym, a keyed hash; the same study read twice has the same id.
        series: all series; the proposed one first.
        chosen: index into `series` of the one that is read.
        refused: files that were not read, in the order read.
        ignored: number of files ignored silently (DICOMDIR, thumbs, text notes).
        left_out: sentences on what a limit left out, or what did not arrive; "" for nothing.
    """

    id: str
    series: tuple[Series, ...]
    chosen: int = 0
    refused: tuple[RefusedFile, ...] = ()
    ignored: int = 0
    left_out: str = ""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences about the chosen series, and on what was left out."""
        return (*self.series[self.chosen].cautions, *([self.left_out] if self.left_out else []))

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Slices of the chosen series, in order."""
        return self.series[self.chosen].slices

    @property
    def units(self) -> Units:
        """Unit of the chosen series' pixels."""
        return self.slices[0].units

    def choosing(self, series: int) -> Study:
        """The same study with another series chosen."""
        return replace(self, chosen=series)
