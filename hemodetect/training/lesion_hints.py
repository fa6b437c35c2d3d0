"""What is known of where blood is in a training slice: boxes, another network's map, or nothing.

A hint has three layers in [0, 1] over the slice:

- *target*: probability of blood at each place;
- *weight*: how much that is trusted;
- *region*: where blood must be somewhere, whatever the target says; empty where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from PIL import Image

from hemodetect.dataset.slice_tables import BOXES
from hemodetect.explain.pointing import GROWN
from hemodetect.preprocessing.standard_head import SOURCE_SIDE, STANDARD_SIDE

SIDE = 128
"""Pixels of a hint over the whole slice."""
STANDARD_HINT_SIDE = 48
"""Pixels of a hint in the standard frame."""
_OUTSIDE_BOXES = 0.3  # weight: what nobody has boxed is mostly free of blood
_NO_BOXES = 0.5  # factor on a map's weight where nobody has drawn a box


def lesion_hint(label: int, boxes: list[list[float]], peer: np.ndarray | None) -> np.ndarray:
    """(3, 128, 128) float32 of one slice.

    Args:
        label: 1 where the slice shows blood.
        boxes: [x_min, y_min, x_max, y_max] in parts of the slice's width and height.
        peer: (rows, rows) uint8, soft map of blood by another network.
    """
    target, weight, region = hint = np.zeros((3, SIDE, SIDE), np.float32)
    if not label:
        weight[:] = 1
        return hint
    inside = np.zeros((SIDE, SIDE), bool)
    for left, top, right, bottom in boxes:
        rows, columns = (
            slice(max(0, round((low - GROWN) * SIDE)), round((high + GROWN) * SIDE))
            for low, high in ((top, bottom), (left, right))
        )
        inside[rows, columns] = True
    region[:] = inside if boxes else 1
    if boxes:
        weight[~inside] = _OUTSIDE_BOXES
    if peer is not None:
        soft = np.asarray(Image.fromarray(peer).resize((SIDE, SIDE))) / np.float32(255)
        sure = np.abs(2 * soft - 1) * (1 if boxes else _NO_BOXES)
        trusted = inside if boxes else np.ones_like(inside)
        target[trusted], weight[trusted] = soft[trusted], sure[trusted]
    return hint


def slice_hints(slices: pd.DataFrame, peer: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Hints of the bleeding slices of a table, by row number.

    Args:
        slices: with label, and where the set has them boxes, rows and columns.
        peer: soft maps by row number.
    """
    drawn = slices[BOXES] if BOXES in slices.columns else pd.Series("", index=slices.index)
    hints = {}
    for row in np.flatnonzero(slices["label"].to_numpy() == 1):
        boxes: list[list[float]] = []
        if drawn.iloc[row]:
            high, wide = float(slices["rows"].iloc[row]), float(slices["columns"].iloc[row])
            corners = np.array(json.loads(drawn.iloc[row]), float)
            boxes = (corners / [wide, high, wide, high]).tolist()
        hints[int(row)] = lesion_hint(1, boxes, peer.get(int(row)))
    return hints


def standard_hint(hint: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(3, 48, 48) uint8: a hint moved into the standard frame of its slice.

    Args:
        hint: (3, 128, 128) of `lesion_hint`.
        affine: (6,) of `StandardSeries`.
    """
    in_standard = STANDARD_SIDE / STANDARD_HINT_SIDE
    unit = SIDE / SOURCE_SIDE
    a, b, c, d, e, f = affine
    matrix = tuple(
        unit * value
        for value in (a * in_standard, b * in_standard, c, d * in_standard, e * in_standard, f)
    )
    side = (STANDARD_HINT_SIDE, STANDARD_HINT_SIDE)
    layers = [
        Image.fromarray(np.rint(255 * layer).astype(np.uint8)).transform(
            side, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        for layer in hint
    ]
    return np.stack([np.asarray(layer) for layer in layers])
