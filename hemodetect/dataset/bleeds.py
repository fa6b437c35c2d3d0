"""Coarse location of a large bleed in the head, to compare two folders.

Pixels clearly brighter than the brain and well inside the skull count as bleed. Between two scans of
one patient a bleed grows or is drained but stays in its place, even where a tilted head, an operation
or a cropped screenshot makes the bones hard to compare. The location is a hint and no proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hemodetect.dataset.heads import Head
from hemodetect.preprocessing.head import largest_piece
from hemodetect.preprocessing.morphology import closed, filled, opened

LARGE = 0.009
"""Mean share of the brain's area that a large bleed covers. On near-east 2, 11, 12, 14, 19 and 21
reach it (19 just, 0.0098); the largest other finding is the bright tentorium of 1, at 0.0081."""
_GRID = 16
_REACH = 0.7  # half the width of the grid, in square roots of the brain's area
_BRIGHTER = 30  # grey levels above the brain's median
_LEAST_SHARE = 0.0008  # of the brain, for one connected piece: leaves out noise and calcium
_LEAST_BRAIN, _LEAST_BONE = 0.38, 0.6  # shares: brain of the head's area, bone of the brain's rim


@dataclass(frozen=True, eq=False)
class BleedSite:
    """Size and location of the bleeds in one patient's brain.

    Attributes:
        share: mean share of the brain's area that is bleeding, over slices that show brain.
        map: (16, 16) float, location: rows front to back, columns as pictured.
    """

    share: float
    map: np.ndarray

    def overlap(self, other: BleedSite) -> float:
        """Cosine of the two maps, 0 (apart) to 1 (same place)."""
        norms = float(np.linalg.norm(self.map) * np.linalg.norm(other.map))
        return float((self.map * other.map).sum()) / norms if norms else 0.0


def bleed_site(heads: Sequence[Head]) -> BleedSite:
    """The bleeds of one patient's slices, given in order."""
    with_brain = [(head, brain) for head in heads if (brain := _brain(head)) is not None]
    site = np.zeros((_GRID, _GRID))
    if not with_brain:
        return BleedSite(0.0, site)
    bright = np.stack([_bright(head.grey, brain) for head, brain in with_brain])
    pieces, count = ndimage.label(bright, np.ones((3, 3, 3)))
    areas = [int(brain.sum()) for _, brain in with_brain]
    shares = np.zeros(count + 1)
    for piece, area in zip(pieces, areas, strict=True):
        shares += np.bincount(piece.ravel(), minlength=count + 1) / (area * len(with_brain))
    shares[0] = 0
    bleeding = np.isin(pieces, np.flatnonzero(shares > _LEAST_SHARE))
    for (head, brain), area, bleed in zip(with_brain, areas, bleeding, strict=True):
        site += _located(bleed, brain, head.turn) / (area * len(with_brain))
    return BleedSite(float(shares[shares > _LEAST_SHARE].sum()), ndimage.gaussian_filter(site, 0.9))


def _brain(head: Head) -> np.ndarray | None:
    """(128, 128) bool, or None where a slice shows no brain within bone."""
    soft = (head.grey > 55) & (head.grey < 225) & head.mask
    piece = largest_piece(opened(soft, 3))
    if piece is None:
        return None
    brain = filled(piece)
    rim = ndimage.binary_dilation(brain, iterations=4) & ~ndimage.binary_dilation(brain)
    in_bone = rim.any() and (head.grey[rim] > 215).mean() >= _LEAST_BONE
    return brain if in_bone and brain.sum() >= _LEAST_BRAIN * head.mask.sum() else None


def _bright(grey: np.ndarray, brain: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), 1.0)
    outline = closed(np.pad(brain, 8), 6)[8:-8, 8:-8]
    # Six pixels in: bone blurs into the brain beside it.
    inside = ndimage.binary_erosion(outline, iterations=6)
    bright = inside & (smooth > np.median(grey[brain]) + _BRIGHTER)
    return np.asarray(opened(bright, 1))


def _located(bleed: np.ndarray, brain: np.ndarray, turn: float) -> np.ndarray:
    """(16, 16): pixels of the bleed counted in the upright brain's own coordinates."""
    centre, radius = np.argwhere(brain).mean(axis=0), math.sqrt(brain.sum())
    down, right = ((np.argwhere(bleed) - centre) / radius).T
    cos, sin = math.cos(turn), math.sin(turn)
    bounds = [[-_REACH, _REACH], [-_REACH, _REACH]]
    upright = (down * cos + right * sin, right * cos - down * sin)
    return np.histogram2d(*upright, bins=_GRID, range=bounds)[0]
