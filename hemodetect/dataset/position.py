"""Position in the head of each slice of a data set, by `preprocessing.head_position`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.preprocessing.head import MASK_SIDE
from hemodetect.preprocessing.head_position import UNKNOWN, SeriesPositions, series_positions


def slice_positions(dataset: Dataset) -> pd.Series:
    """Name of each slice's position (one of `POSITIONS`), rows as in ``dataset.slices``."""
    names = np.full(len(dataset.slices), UNKNOWN, dtype=object)
    for rows, positions in _by_series(dataset):
        names[rows] = positions.names
    return pd.Series(names, index=dataset.slices.index, name="position")


def slice_heights(dataset: Dataset) -> pd.Series:
    """Height of each slice as in `SeriesPositions`, rows as in ``dataset.slices``."""
    heights = np.full(len(dataset.slices), np.nan)
    for rows, positions in _by_series(dataset):
        heights[rows] = positions.heights
    return pd.Series(heights, index=dataset.slices.index, name="height")


def _by_series(dataset: Dataset) -> list[tuple[np.ndarray, SeriesPositions]]:
    """Row numbers of each series, and its positions."""
    grey = dataset.grey(MASK_SIDE)
    table = dataset.slices
    # The cached pictures are squeezed to one size; hand-cropped ones differ in their original size.
    pixels = (table["rows"] * table["columns"]).to_numpy(dtype=float)
    series_of_row = (
        table.groupby(["patient", "series"], sort=False, dropna=False).ngroup().to_numpy()
    )
    series_rows = []
    for series in np.unique(series_of_row):
        rows = np.flatnonzero(series_of_row == series)
        series_rows.append((rows, series_positions(grey[rows], pixels[rows])))
    return series_rows
