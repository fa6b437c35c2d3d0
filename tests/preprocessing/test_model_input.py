"""Models see every head with the front at the top and the right on the left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hemodetect.imaging.study import Slice, SliceGeometry, Vector
from hemodetect.preprocessing.model_input import model_input

LEFT, BACK = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
RIGHT, FRONT = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)


def head(row: Vector, column: Vector, values: np.ndarray) -> list[Slice]:
    x, y, z = (float(value) for value in np.cross(row, column))
    geometry = SliceGeometry(0.0, (x, y, z), 0.5, 0.5, row_direction=row, column_direction=column)
    return [
        Slice(values, "HU", f"{number}.dcm", replace(geometry, position_mm=5.0 * number))
        for number in range(2)
    ]


@pytest.mark.parametrize(
    ("row", "column", "stored"),
    [
        (LEFT, BACK, lambda v: v),
        (RIGHT, FRONT, lambda v: v[::-1, ::-1]),  # prone
        (RIGHT, BACK, lambda v: v[:, ::-1]),
        (BACK, LEFT, lambda v: v.T),
    ],
)
def test_a_head_is_the_same_whatever_the_direction_of_rows_and_columns(
    row: Vector, column: Vector, stored
) -> None:
    values = np.random.default_rng(0).integers(-20, 90, (64, 64)).astype(np.int16)
    upright = model_input(head(LEFT, BACK, values), 32)
    np.testing.assert_array_equal(model_input(head(row, column, stored(values)), 32), upright)
