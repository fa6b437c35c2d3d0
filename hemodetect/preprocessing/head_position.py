"""Position of a slice in the head, from its pixels; metrics by position use it.

Three things are measured in a slice: the area of the head's outline, and how much of its inside,
scalp and skull left off, is bone, or an edge as sharp as one of bone against air. Brain under the
vault has next to none of either; skull base, sinuses, teeth and vertebrae are made of them.

The *vault* is the longest stretch of slices without them. The end of the series with the edges is
the base; the top of the skull, cut flat, is bone but has few edges. From the base up,

- ``base`` is every slice below the vault: skull base, face and neck;
- ``mid`` are the slices of the vault, up to where its outline has shrunk;
- ``vertex`` are those above, whose outline holds less than three quarters of the vault's largest.
  In a round vault that is the upper half of the way from its widest slice to its top.

Neither needs the distance of slices, nor a series that reaches the top of the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hemodetect.preprocessing.head import head_mask

VERTEX, MID, BASE, UNKNOWN = "vertex", "mid", "base", "unknown"
"""Names of single positions."""
POSITIONS = (VERTEX, MID, BASE, UNKNOWN)
"""Names of positions, from the top of the head down."""

FEWEST_SLICES = 8
"""A series of fewer shows no profile."""

SHRUNK = 0.75
"""Part of the vault's largest outline below which a slice is of the vertex."""

_BONE = 235  # grey level; fresh blood stays below it in a brain window
_SHARP = 120  # grey levels across two pixels of 128 x 128; brain against CSF reaches 100
_RIM = 0.25  # of the outline's mean radius: scalp and skull lie within it, but for the thick top
_FILLED = 0.13  # of the inside, bone and edges; frontal sinuses reach that, skull bases 20 to 60 %
_WIDE = 0.5  # of the vault's largest outline; edges in smaller ones do not count for the direction
_SURE = 2.0  # times more edge at one end than at the other; near-east: 2.5 and more, ct-ich: 6.0
_MOST_LOOKED_AT = 64  # slices of a series; those between take after their neighbours


@dataclass(frozen=True, eq=False)
class SeriesPositions:
    """One series, its slices in their own order.

    Attributes:
        base_first: True where the series runs from base to vertex; None where that cannot be told.
        names: (n,) of `POSITIONS`; all unknown where the direction is.
        heights: (n,) float64: 0 at the skull base and below, 1 at the last slice of the vertex's
            end, even between; NaN where the direction is unknown.
    """

    base_first: bool | None
    names: np.ndarray
    heights: np.ndarray


def series_positions(
    pictures: np.ndarray, pixels: Sequence[float] | np.ndarray | None = None
) -> SeriesPositions:
    """Direction and positions of one series.

    Args:
        pictures: (n, 128, 128) uint8, in the order of the series, brain window.
        pixels: (n,) rows times columns of each picture before it was resized; equal if not given.
    """
    count = len(pictures)
    if count < FEWEST_SLICES:
        return _unknown(count)
    sampled = np.unique(np.linspace(0, count - 1, min(count, _MOST_LOOKED_AT)).round().astype(int))
    measured = np.array([_slice_measures(pictures[i]) for i in sampled]).reshape(-1, 3)
    if pixels is not None:
        measured[:, 0] *= np.asarray(pixels, dtype=float)[sampled]
    area, bone, edge = (np.interp(np.arange(count), sampled, m) for m in measured.T)
    orientation = _orientation(area, bone, edge)
    if orientation is None:
        return _unknown(count)
    base_first, vault = orientation
    onward = slice(None) if base_first else slice(None, None, -1)
    names, heights = _names_and_heights(area[onward], vault[onward])
    return SeriesPositions(base_first, names[onward], heights[onward])


def _unknown(count: int) -> SeriesPositions:
    return SeriesPositions(None, np.full(count, UNKNOWN, object), np.full(count, np.nan))


def _slice_measures(grey: np.ndarray) -> tuple[float, float, float]:
    """Part of the frame within the head's outline; parts of its inside that are bone or edge, and
    edge alone. Zeros where there is no head.
    """
    mask = head_mask(grey)
    if mask is None:
        return 0.0, 0.0, 0.0
    rim = _RIM * float(mask.sum() / np.pi) ** 0.5
    inside = ndimage.distance_transform_edt(mask) > rim
    if not inside.any():
        return float(mask.mean()), 0.0, 0.0
    levels = grey.astype(np.int16)
    edge = np.zeros(grey.shape, dtype=bool)
    edge[1:-1] = np.abs(levels[2:] - levels[:-2]) > _SHARP
    edge[:, 1:-1] |= np.abs(levels[:, 2:] - levels[:, :-2]) > _SHARP
    bone = edge | (levels > _BONE)
    return float(mask.mean()), float(bone[inside].mean()), float(edge[inside].mean())


def _orientation(
    area: np.ndarray, bone: np.ndarray, edge: np.ndarray
) -> tuple[bool, np.ndarray] | None:
    """Whether the base comes first, and which slices are the vault's; None if that is unsure."""
    filled = ndimage.median_filter(bone, 3, mode="nearest") >= _FILLED
    vault = _longest_run(~filled & (area > 0))
    if not vault.any():
        return None
    wide = area >= _WIDE * area[vault].max()
    if not (filled & wide).any():
        return None
    edges = np.where(wide, area * edge, 0.0)
    middle = int(np.flatnonzero(vault).mean())
    before, after = float(edges[:middle].sum()), float(edges[middle:].sum())
    if max(before, after) < _SURE * min(before, after):
        return None
    return before > after, vault


def _names_and_heights(area: np.ndarray, vault: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names and heights of a series that runs from base to vertex."""
    indices = np.arange(len(area))
    vault_indices = np.flatnonzero(vault)
    widest = vault_indices[area[vault_indices].argmax()]
    shrunk = (indices > widest) & (area < SHRUNK * area[widest])
    # Once shrunk, always: a head-rest that touches a slice further up must not make it mid again.
    above = np.maximum.accumulate(shrunk)
    names = np.where(above, VERTEX, np.where(indices < vault_indices[0], BASE, MID)).astype(object)
    top = max(len(area) - 1, vault_indices[0] + 1)
    return names, np.clip((indices - vault_indices[0]) / (top - vault_indices[0]), 0.0, 1.0)


def _longest_run(flags: np.ndarray) -> np.ndarray:
    """The longest run of True in `flags`, alone; the first of equals."""
    runs, count = ndimage.label(flags)
    if not count:
        return np.zeros_like(flags)
    return np.asarray(runs == np.bincount(runs[flags]).argmax())
