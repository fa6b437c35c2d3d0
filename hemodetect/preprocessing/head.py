"""Where the head lies in a slice: its outline, centre, size and turn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hemodetect.preprocessing.morphology import closed, filled, opened

MASK_SIDE = 128
"""Pixels of the pictures that heads are looked for in."""
_TISSUE = 45  # grey level; air and most of a head-rest's padding lie below, skin above
_SMALLEST_HEAD = 800  # pixels of 128 x 128; below that a slice shows the top of the scalp
_LARGEST_HEAD = 0.85  # of the frame; a picture filled to its corners is no head
_ROUND = 1.1  # long over short axis; below that the long axis does not tell how a head is turned
_MOST_TURNED = 0.8  # radians; a long axis further off upright is the face's, not the skull's


@dataclass(frozen=True)
class HeadPose:
    """How a head lies in its slice.

    Attributes:
        centre: (row, column) of the outline's middle, in pixels of equal height and width.
        radius: square root of the outline's area, in pixels.
        turn: of the head against upright in radians; None where one slice does not tell.
    """

    centre: tuple[float, float]
    radius: float
    turn: float | None


def head_mask(grey: np.ndarray) -> np.ndarray | None:
    """(128, 128) bool: the largest piece of tissue, filled; None where there is no head.

    Args:
        grey: (128, 128) uint8, brain window.
    """
    tissue = opened(grey > _TISSUE, 2)
    largest = largest_piece(tissue)
    if largest is None:
        return None
    mask = filled(closed(np.pad(largest, 6), 5))[6:-6, 6:-6]
    return mask if _SMALLEST_HEAD <= mask.sum() <= _LARGEST_HEAD * mask.size else None


def largest_piece(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected piece of a bool mask; None where the mask is empty."""
    pieces, count = ndimage.label(mask)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def head_pose(mask: np.ndarray, aspect: float = 1.0) -> HeadPose:
    """The pose of one head.

    Args:
        mask: (rows, columns) bool of `head_mask`.
        aspect: rows over columns of the picture before it was squeezed to a square.
    """
    y, x = np.nonzero(mask)
    y, x = y * aspect**0.5, x * aspect**-0.5
    small_axis, long_axis = np.linalg.eigh(np.cov(y, x))
    direction = long_axis[:, 1] * np.copysign(1.0, long_axis[0, 1])
    turn = math.atan2(direction[1], direction[0])
    sure = math.sqrt(small_axis[1] / small_axis[0]) > _ROUND and abs(turn) < _MOST_TURNED
    centre = (float(y.mean()), float(x.mean()))
    return HeadPose(centre, len(y) ** 0.5, turn if sure else None)


def series_turn(poses: Iterable[HeadPose]) -> float:
    """Turn in radians that the slices of one head share: the median, 0 from three slices or fewer.

    One slice's long axis is unsure where the skull is round or the face comes in.
    """
    turns = [pose.turn for pose in poses if pose.turn is not None]
    return float(np.median(turns)) if len(turns) > 3 else 0.0
