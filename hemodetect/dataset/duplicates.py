"""The same pictures in different folders: identical, or nearly so (compressed again, resized)."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hemodetect.dataset.cache import Dataset

_FLAT = 8.0  # standard deviation of grey levels; below it a slice shows only air
_SIDE = 32
_NEAR = 0.999
"""Correlation at 32 x 32 above which two slices are compared pixel by pixel."""
_REACH = math.sqrt(2 - 2 * _NEAR) + 1e-4
"""Farthest that two pictures of unit length with this correlation lie apart; rounding added."""
_NEAR_DIFFERENCE = 2.0  # mean grey levels at 128 x 128; JPEG at quality 75 stays below
_BLOCK = 2048


@dataclass(frozen=True)
class SharedSlices:
    """Pictures that two folders share.

    Attributes:
        patients: the two folders.
        identical: slices of the smaller folder that the other holds with the same pixels.
        near: further slices of it that the other holds with nearly the same pixels.
        smaller: slices of the smaller folder that show more than air.
    """

    patients: tuple[str, str]
    identical: int
    near: int
    smaller: int


def shared_slices(dataset: Dataset) -> tuple[SharedSlices, ...]:
    """Every pair of folders with a picture in common; the pair with the most comes first."""
    grey = dataset.grey(128)
    patients = dataset.slices["patient"].to_numpy()
    # In blocks: the standard deviation of all slices at once would need eight times their memory.
    informative = np.flatnonzero(
        np.concatenate([b.std(axis=(1, 2)) for b in _blocks(grey)]) >= _FLAT
    )
    totals = Counter(patients[informative])
    holders: dict[bytes, dict[str, int]] = defaultdict(dict)
    for row in informative:
        holders[hashlib.sha256(grey[row].tobytes()).digest()][patients[row]] = int(row)
    identical: Counter[tuple[str, str]] = Counter()
    for rows_by_patient in holders.values():
        identical.update(combinations(sorted(rows_by_patient), 2))
    near: dict[tuple[str, str], set[int]] = defaultdict(set)
    identical_rows = {
        row
        for rows_by_patient in holders.values()
        if len(rows_by_patient) > 1
        for row in rows_by_patient.values()
    }
    for a, b in _near_pairs(grey, informative, patients):
        if a not in identical_rows and b not in identical_rows:
            pair = tuple(sorted((patients[a], patients[b])))
            smaller = min(pair, key=lambda p: totals[p])
            near[pair].add(a if patients[a] == smaller else b)
    pairs = [
        SharedSlices(pair, identical[pair], len(near[pair]), min(totals[p] for p in pair))
        for pair in {*identical, *near}
    ]
    return tuple(sorted(pairs, key=lambda s: (-s.identical - s.near, s.patients)))


def _near_pairs(
    grey: np.ndarray, informative: np.ndarray, patients: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs of rows, from different folders, that differ less than compression makes them differ."""
    if not len(informative):
        return
    small = np.concatenate([_small(grey[rows]) for rows in _blocks(informative)])
    for i, j in _correlated(small):
        a, b = sorted((int(informative[i]), int(informative[j])))
        if patients[a] == patients[b]:
            continue
        if np.abs(grey[a].astype(np.int16) - grey[b]).mean() < _NEAR_DIFFERENCE:
            yield a, b


def _correlated(small: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of rows of (n, d) unit vectors whose correlation is above `_NEAR`.

    Such rows lie close along any direction; along the one in which rows differ most, few others do, and
    only these are compared.
    """
    along = small @ _main_direction(small)
    order = np.argsort(along, kind="stable")
    along = along[order]
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        end = int(np.searchsorted(along, along[start + len(rows) - 1] + _REACH, side="right"))
        for first in range(start, end, _BLOCK):
            others = order[first : min(first + _BLOCK, end)]
            for i, j in np.argwhere(small[rows] @ small[others].T > _NEAR):
                if start + i < first + j:
                    yield int(rows[i]), int(others[j])


def _main_direction(small: np.ndarray) -> np.ndarray:
    """(d,) float32 of unit length: first principal axis of at most `_BLOCK` of the pictures."""
    some = small[:: -(-len(small) // _BLOCK)]
    axes = np.linalg.svd(some - some.mean(axis=0), full_matrices=False)[2]
    return np.asarray(axes[0])


def _small(grey: np.ndarray) -> np.ndarray:
    """(n, 1024) float32 of unit length: the slices at 32 x 32."""
    step = grey.shape[1] // _SIDE
    means = grey.reshape(len(grey), _SIDE, step, _SIDE, step).mean(axis=(2, 4), dtype=np.float32)
    flat = means.reshape(len(grey), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]
