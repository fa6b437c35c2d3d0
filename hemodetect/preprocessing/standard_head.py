"""Every head in one frame: without head-rest, centred, upright, of one size and grey scale.

Scanner, field of view, head-rest and window differ between hospitals, and in a small data set
between classes. A model cannot learn from what is removed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from hemodetect.preprocessing.head import MASK_SIDE, head_mask, head_pose, series_turn
from hemodetect.preprocessing.head_position import BASE, series_positions
from hemodetect.preprocessing.model_input import resized

STANDARD_SIDE = 192
"""Pixels of a standard slice; about 1.2 mm each."""
SOURCE_SIDE = 244
"""Pixels of the slices it is cut from."""
BACKGROUND_LEVEL = 12
"""Grey levels below are air, or outside the head."""
_WIDTH = 1.35  # of a standard slice, in square roots of the head's largest area
_ASSUMED_LEVEL = 110.0  # of brain, where no slice shows enough of it
LEVELS_PER_UNIT = 64.0
"""Grey levels that a normalised slice counts as 1."""
_RANGE = (-1.5, 2.2)
_AIR = _RANGE[0]  # a normalised slice's level of air, and of bone
_BONE = (235, 250)
"""Grey levels between which a pixel becomes bone."""
_FEWEST_PIXELS = 180  # of brain in the middle of a slice, for it to have a say in the brain's level


@dataclass(frozen=True, eq=False)
class StandardSeries:
    """The slices of one series in the standard frame.

    Attributes:
        grey: (n, 192, 192) uint8, 0 outside the head; all 0 where no head was found.
        level: grey level of the series' brain.
        head_found: (n,) bool, a head was found.
        in_brain: (n,) bool, slices that speak for the study: not neck, face or skull base.
        affine: (n, 6) float64, takes (column, row) of a standard slice to its source, as Pillow's
            `Image.transform`.
    """

    grey: np.ndarray
    level: float
    head_found: np.ndarray
    in_brain: np.ndarray
    affine: np.ndarray

    def normalised(self) -> np.ndarray:
        """(n, 192, 192) float32; brain is 0, blood about 1, air and bone -1.5."""
        return normalised(self.grey, self.level)


def normalised(grey: np.ndarray, level: float) -> np.ndarray:
    """uint8 or float slices of any shape as float32 about the level of brain."""
    return without_bone((grey.astype(np.float32) - np.float32(level)) / LEVELS_PER_UNIT, grey)


def without_bone(values: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Normalised values bounded, and air where the slice shows air or bone.

    In a brain window blood beside the skull looks like a thicker skull. Where bone is dark, only blood
    is bright.

    Args:
        values: float, about the level of brain.
        grey: (...) the same slice's grey levels, 0 to 255.

    Returns:
        float32.
    """
    low, high = _BONE
    hidden = np.clip((grey.astype(np.float32) - low) / (high - low), 0, 1)
    hidden[grey < BACKGROUND_LEVEL] = 1
    bounded = np.clip(values, *_RANGE).astype(np.float32)
    return bounded + hidden * (_AIR - bounded)


def standard_series(grey: np.ndarray) -> StandardSeries:
    """One series in the standard frame.

    Args:
        grey: (n, 244, 244) uint8 in the order of the series, brain window.
    """
    small = np.stack([resized(image, MASK_SIDE) for image in grey])
    masks = [head_mask(image) for image in small]
    head_found = np.array([mask is not None for mask in masks])
    standard = np.zeros((len(grey), STANDARD_SIDE, STANDARD_SIDE), np.uint8)
    affine = np.tile(_affine((MASK_SIDE / 2, MASK_SIDE / 2), MASK_SIDE, 0.0), (len(grey), 1))
    poses = {i: head_pose(mask) for i, mask in enumerate(masks) if mask is not None}
    if poses:
        turn = series_turn(poses.values())
        radius = float(np.percentile([pose.radius for pose in poses.values()], 90))
        for i, pose in poses.items():
            affine[i] = _affine(pose.centre, radius, turn)
            standard[i] = _cut(grey[i], masks[i], affine[i])
    in_brain = head_found & (series_positions(small).names != BASE)
    if not in_brain.any():
        in_brain = np.ones(len(grey), bool)
    return StandardSeries(standard, _level(standard[in_brain]), head_found, in_brain, affine)


def in_source(maps: np.ndarray, affine: np.ndarray, side: int = SOURCE_SIDE) -> np.ndarray:
    """Maps (n, rows, rows) float32 of standard slices, moved to where the head lies in its source.

    Args:
        maps: at any square resolution, covering the standard slice.
        affine: of `StandardSeries`.
        side: of the result; the source slice squeezed to a square.

    Returns:
        (n, side, side) float32, 0 outside the standard slice.
    """
    return np.stack([_in_source(m, a, side) for m, a in zip(maps, affine, strict=True)])


def _in_source(heat: np.ndarray, affine: np.ndarray, side: int) -> np.ndarray:
    k, unit = heat.shape[0] / STANDARD_SIDE, SOURCE_SIDE / side
    a, b, c, d, e, f = affine
    inverse = np.linalg.inv(np.array([[a, b, c], [d, e, f], [0.0, 0.0, 1.0]]))
    moved = np.diag([k, k, 1.0]) @ inverse @ np.diag([unit, unit, 1.0])
    picture = Image.fromarray(heat.astype(np.float32))
    values = tuple(float(v) for v in moved[:2].ravel())
    return np.asarray(
        picture.transform(
            (side, side), Image.Transform.AFFINE, values, Image.Resampling.BILINEAR, fillcolor=0
        )
    )


def _affine(centre: tuple[float, float], radius: float, turn: float) -> np.ndarray:
    scale = SOURCE_SIDE / MASK_SIDE
    step = radius * _WIDTH * scale / STANDARD_SIDE
    cos, sin = step * math.cos(turn), step * math.sin(turn)
    row, column = centre[0] * scale, centre[1] * scale
    half = STANDARD_SIDE / 2
    return np.array(
        [cos, sin, column - half * (cos + sin) + 0.5, -sin, cos, row - half * (cos - sin) + 0.5]
    )


def _cut(grey: np.ndarray, mask: np.ndarray | None, affine: np.ndarray) -> np.ndarray:
    assert mask is not None
    grown = ndimage.binary_dilation(mask).astype(np.uint8) * 255
    inside = resized(grown, SOURCE_SIDE) > 127
    picture = Image.fromarray(np.where(inside, grey, 0).astype(np.uint8))
    return np.asarray(
        picture.transform(
            (STANDARD_SIDE, STANDARD_SIDE),
            Image.Transform.AFFINE,
            tuple(affine),
            Image.Resampling.BILINEAR,
        )
    )


def _level(standard: np.ndarray) -> float:
    """Median over slices of the grey level in the middle of the head, bone and air left out."""
    rows, columns = np.mgrid[:STANDARD_SIDE, :STANDARD_SIDE] / STANDARD_SIDE - 0.5
    middle = np.hypot(rows / 0.277, columns / 0.221) < 1
    levels = []
    for image in standard:
        values = image[middle & (image > 30) & (image < 240)]
        if len(values) > _FEWEST_PIXELS:
            levels.append(float(np.median(values)))
    return float(np.median(levels)) if levels else _ASSUMED_LEVEL
