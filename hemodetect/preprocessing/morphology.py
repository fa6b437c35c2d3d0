"""Opening, closing and filling of masks by OpenCV: what SciPy gives, in a tenth of the time."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def opened(mask: np.ndarray, steps: int) -> np.ndarray:
    """A (rows, columns) bool mask eroded, then dilated, `steps` times each by a cross."""
    return _repeated(cv2.dilate, _repeated(cv2.erode, mask, steps), steps)


def closed(mask: np.ndarray, steps: int) -> np.ndarray:
    """A (rows, columns) bool mask dilated, then eroded, `steps` times each by a cross."""
    return _repeated(cv2.erode, _repeated(cv2.dilate, mask, steps), steps)


def filled(mask: np.ndarray) -> np.ndarray:
    """A (rows, columns) bool mask with its holes: what no path through edges leads to from outside."""
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(background, connectivity=4)
    return np.asarray(pieces != pieces[0, 0])[1:-1, 1:-1]


def _repeated(operation: Callable[..., np.ndarray], mask: np.ndarray, steps: int) -> np.ndarray:
    # What lies outside the frame is background, as in SciPy.
    return operation(
        mask.astype(np.uint8),
        _CROSS,
        iterations=steps,
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    ).astype(bool)
