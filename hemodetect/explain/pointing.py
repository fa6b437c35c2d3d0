"""Whether a heat map points at a bleed: its maximum lies in a box that a person drew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GROWN = 8 / 512
"""Of the side, by which a box is grown: bleeds reach over what was drawn."""

Box = Sequence[float]
"""x_min, y_min, x_max, y_max in parts of the slice's width and height."""


def points_at(heat: np.ndarray, boxes: Sequence[Box]) -> bool:
    """Whether the maximum of a map lies in one of the boxes.

    Args:
        heat: (rows, columns) over the whole slice. A map without any heat points nowhere.
        boxes: at least one.
    """
    if not heat.max() > 0:
        return False
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    y, x = (row + 0.5) / heat.shape[0], (column + 0.5) / heat.shape[1]
    return any(
        left - GROWN <= x <= right + GROWN and top - GROWN <= y <= bottom + GROWN
        for left, top, right, bottom in boxes
    )


def chance(head: np.ndarray, boxes: Sequence[Box]) -> float:
    """Share of a head, (rows, columns) bool over the whole slice, that lies in the boxes."""
    rows, columns = np.nonzero(head)
    if not len(rows):
        return 0.0
    y, x = (rows + 0.5) / head.shape[0], (columns + 0.5) / head.shape[1]
    inside = np.zeros(len(rows), bool)
    for left, top, right, bottom in boxes:
        inside |= (
            (left - GROWN <= x) & (x <= right + GROWN) & (top - GROWN <= y) & (y <= bottom + GROWN)
        )
    return float(inside.mean())
