"""Places in a series: where one lies in the patient, and where a heat map is highest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hemodetect.imaging.study import Slice, Vector


@dataclass(frozen=True)
class Place:
    """A pixel of a series.

    Attributes:
        slice: number of the slice, from 1.
        row, column: of the slice as it is stored, from 0.
    """

    slice: int
    row: int
    column: int


def millimetres(slices: Sequence[Slice], place: Place) -> Vector | None:
    """Where a place lies in the DICOM patient coordinate system (PS3.3 C.7.6.2.1.1); None where the
    slice's position is not known.
    """
    geometry = slices[place.slice - 1].geometry
    if geometry is None or geometry.corner_mm is None:
        return None
    if geometry.row_direction is None or geometry.column_direction is None:
        return None
    x, y, z = (
        round(
            corner
            + place.column * geometry.column_spacing_mm * along_row
            + place.row * geometry.row_spacing_mm * along_column,
            1,
        )
        for corner, along_row, along_column in zip(
            geometry.corner_mm, geometry.row_direction, geometry.column_direction, strict=True
        )
    )
    return x, y, z


def highest_place(maps: np.ndarray, slices: Sequence[Slice]) -> Place:
    """Where the maps of a series, (n, rows, columns) over the whole slices, are highest."""
    index, row, column = map(int, np.unravel_index(int(maps.argmax()), maps.shape))
    rows, columns = slices[index].shape
    return Place(
        index + 1,
        int((row + 0.5) * rows / maps.shape[1]),
        int((column + 0.5) * columns / maps.shape[2]),
    )


def distance_mm(slices: Sequence[Slice], one: Place, other: Place) -> float | None:
    """How far two places are apart; None where that is not known."""
    a, b = millimetres(slices, one), millimetres(slices, other)
    return None if a is None or b is None else float(np.linalg.norm(np.subtract(a, b)))
