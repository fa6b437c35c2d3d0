"""Some of many slices, evenly spaced."""

from __future__ import annotations

import numpy as np


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """(at most `most`,) ascending indices into `count` items, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))
