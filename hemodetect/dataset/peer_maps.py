"""Soft maps of blood that another network made for slices of a set: a second teacher.

A folder has one folder a set, in it ``<patient>.npz`` with ``prob`` (n, rows, rows) uint8, 255 is
certain, over the whole slice squeezed to a square, and the slices' names: ``slices`` (numbers) or
``files``.
They are labels for training, never an input of a model.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.errors import DatasetError


def peer_maps(folder: Path, dataset: Dataset) -> dict[int, np.ndarray]:
    """The maps of a data set's slices by row number, (rows, rows) uint8; it may be a joined set.

    Raises:
        DatasetError: no such folder, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; name the one that holds the maps.")
    found: dict[int, np.ndarray] = {}
    start = 0
    for part in dataset.parts or (dataset,):
        maps = _maps_of_set(folder / part.root.name, part.slices)
        found |= {start + row: soft for row, soft in maps.items()}
        start += len(part.slices)
    return found


def _maps_of_set(folder: Path, slices: pd.DataFrame) -> dict[int, np.ndarray]:
    rows = {
        (str(patient), name): row
        for row, (patient, number, file) in enumerate(
            zip(slices["patient"], slices["number"], slices["file"], strict=True)
        )
        for name in (str(number), PurePosixPath(file).name)
    }
    found: dict[int, np.ndarray] = {}
    for file in sorted(folder.glob("*.npz")):
        try:
            with np.load(file, allow_pickle=False) as arrays:
                maps = arrays["prob"]
                names = arrays["slices"] if "slices" in arrays else arrays["files"]
            keys = [(file.stem, PurePosixPath(str(name)).name) for name in names]
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{file}: not a file of maps ({error}).") from error
        if len(maps) != len(keys) or maps.ndim != 3 or maps.dtype != np.uint8:
            raise DatasetError(f"{file}: expected one uint8 map a slice.")
        found |= {rows[key]: part for key, part in zip(keys, maps, strict=True) if key in rows}
    return found
