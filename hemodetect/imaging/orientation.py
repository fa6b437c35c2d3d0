"""From rows and columns of the files to the position in which a CT is shown and read by models.

Radiologists see axial slices from below: the patient's right is on the left of the image, the front
at the top. Prone, mirrored and transposed series are turned so; where no header tells the directions,
slices stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hemodetect.imaging.study import Slice

AXIAL = 0.7
"""Least part of the normal along the patient's length; a gantry is tilted by 30 degrees at most."""


@dataclass(frozen=True)
class Turn:
    """From a slice as it is stored to how it is shown: first transposed, then flipped."""

    transposed: bool = False
    rows_flipped: bool = False
    columns_flipped: bool = False

    @property
    def is_none(self) -> bool:
        """Whether slices are shown as they are stored."""
        return self == Turn()

    def shown(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) as displayed; a view of `values`."""
        if self.transposed:
            values = values.T
        return values[:: -1 if self.rows_flipped else 1, :: -1 if self.columns_flipped else 1]

    def stored(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) as stored, of values as displayed; undoes `shown`."""
        values = values[:: -1 if self.rows_flipped else 1, :: -1 if self.columns_flipped else 1]
        return values.T if self.transposed else values

    def stored_place(
        self, row: float, column: float, shape: tuple[int, int]
    ) -> tuple[float, float]:
        """Row and column in the stored slice of a displayed place.

        Args:
            row, column: in the displayed slice, in pixels; 0 is the centre of the first.
            shape: of the stored slice.
        """
        rows, columns = shape[::-1] if self.transposed else shape
        row = rows - 1 - row if self.rows_flipped else row
        column = columns - 1 - column if self.columns_flipped else column
        return (column, row) if self.transposed else (row, column)

    def shown_place(self, row: float, column: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Row and column in the displayed slice of a stored place; undoes `stored_place`."""
        row, column = (column, row) if self.transposed else (row, column)
        rows, columns = shape[::-1] if self.transposed else shape
        return (
            rows - 1 - row if self.rows_flipped else row,
            columns - 1 - column if self.columns_flipped else column,
        )


def turn_of(slices: Sequence[Slice]) -> Turn:
    """How the slices of one series are turned; none where a slice does not tell its directions, or they
    are not axial.
    """
    known = [image.geometry for image in slices if image.geometry is not None]
    if not known or len(known) < len(slices):
        return Turn()
    row, column = known[0].row_direction, known[0].column_direction
    if row is None or column is None or abs(known[0].normal[2]) < AXIAL:
        return Turn()
    right, down = row, column
    transposed = abs(right[0]) < abs(down[0])
    if transposed:
        right, down = down, right
    return Turn(transposed, down[1] < 0, right[0] < 0)
