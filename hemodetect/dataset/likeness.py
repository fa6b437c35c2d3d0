"""How similar two patients' heads are: a score relative to all other pairs of the set.

Every slice is cut to its head, band-passed and whitened, so that features of all heads (an oval of
bone around grey) count little and features of one head (its sinuses, sutures, asymmetry) count much.
It is then compared with every slice of every other patient over small turns, scales and shifts.
A slice's best match in another folder is expressed in spreads above its median match over
all folders. A patient's score for another is the mean over the better half of the slices. The score
of a pair is the lower of its two directions. Scores near 0 are chance, `LARGEST` is the ceiling.

All pairs of a large set are too many. There, each patient is compared in full with the few that look
most alike without turns, scales and shifts, and with a sample of patients in place of all folders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import ndimage

from hemodetect.dataset.heads import Head

LARGEST = 8.0
"""Scores are clipped here."""
FEWEST_PATIENTS = 8
"""With fewer patients, likeness cannot be distinguished from chance; nothing is scored."""
FEWEST_SLICES = 5
"""A patient with fewer slices that show a head is not compared."""
MOST_PATIENTS = 400
"""Up to here, all pairs are compared in full."""
CANDIDATES = 24
"""In larger sets: patients whom each one is compared with in full."""
_SAMPLE = 64  # patients who stand for all in larger sets
_BLOCK = 2048
_SIDE = 28  # at 32 the pair 11 and 12, a skull before and after an operation, scored lower
_MARGIN = 1.2
_BAND = (0.4, 2.0)  # standard deviations of the two Gaussians, in cut pixels
_TURNS = tuple(
    math.radians(t) for t in (0, 5, 10, 15, 20)
)  # the opposite turns: the pair in the other order
_SCALES = (0.93, 1.0, 1.07)
_SHIFTS = (-1, 0, 1)
_LEAST_SPREAD = 0.02


def head_likeness(heads: Mapping[str, Sequence[Head]]) -> dict[tuple[str, str], float]:
    """Score of every pair of patients that have enough slices with a head.

    Keys are in the order of `heads`. Empty where fewer than `FEWEST_PATIENTS` can be compared. With
    more than `MOST_PATIENTS`, only pairs that look alike have a score.
    """
    patients = [p for p, of_patient in heads.items() if len(of_patient) >= FEWEST_SLICES]
    if len(patients) < FEWEST_PATIENTS:
        return {}
    views = _Views([head for p in patients for head in heads[p]])
    owner = np.repeat(np.arange(len(patients)), [len(heads[p]) for p in patients])
    scores = _every_pair(views, owner) if len(patients) <= MOST_PATIENTS else _alike(views, owner)
    return {(patients[i], patients[j]): score for (i, j), score in scores.items()}


class _Views:
    """Features of every slice as it is, and turned, scaled and shifted."""

    def __init__(self, heads: Sequence[Head]) -> None:
        upright = _features(heads, 0.0, 1.0).reshape(len(heads), -1)
        self._heads = heads
        self._mean = upright.mean(axis=0)
        self._whitening = _whitening(upright - self._mean)
        self.fixed = self._whitened(upright)
        """(n, d) float32 of unit length."""

    def moved(self) -> Iterator[np.ndarray]:
        """(n, d) float32 of unit length for each turn, scale and shift."""
        for turn in _TURNS:
            for scale in _SCALES:
                features = _features(self._heads, turn, scale)
                for down in _SHIFTS:
                    for right in _SHIFTS:
                        shifted = np.roll(features, (down, right), axis=(1, 2))
                        yield self._whitened(shifted.reshape(len(shifted), -1))

    def _whitened(self, features: np.ndarray) -> np.ndarray:
        return _unit((features - self._mean) @ self._whitening)


def _every_pair(views: _Views, owner: np.ndarray) -> dict[tuple[int, int], float]:
    """Score of every pair of patients, by their numbers, the lower one first."""
    slices, patients = len(owner), int(owner[-1]) + 1
    best = np.full((slices, slices), -1.0, np.float32)
    for moved in views.moved():
        np.maximum(best, views.fixed @ moved.T, out=best)
    match = _by_patient(np.maximum(best, best.T), owner)
    match[np.arange(slices), owner] = np.nan
    above = _spreads_above(match, match)
    one_way = np.array([_better_half(above[owner == p]) for p in range(patients)])
    both_ways = np.minimum(one_way, one_way.T)
    return {(i, j): float(both_ways[i, j]) for i in range(patients) for j in range(i + 1, patients)}


def _alike(views: _Views, owner: np.ndarray) -> dict[tuple[int, int], float]:
    """Score of the pairs that look alike; the search for these alone compares every pair, quickly."""
    patients = int(owner[-1]) + 1
    rows = np.split(np.arange(len(owner)), np.flatnonzero(np.diff(owner)) + 1)
    partners: list[set[int]] = [set() for _ in range(patients)]  # each pair with its lower number
    for patient, alike in enumerate(_most_alike(views.fixed, owner)):
        for other in map(int, alike):
            partners[min(patient, other)].add(max(patient, other))
    pairs = [
        (mine, np.concatenate([rows[p] for p in sorted(others)]))
        for mine, others in zip(rows, partners, strict=True)
        if others
    ]
    sample = np.sort(np.random.default_rng(0).choice(patients, _SAMPLE, replace=False))
    of_sample = np.concatenate([rows[p] for p in sample])
    best = [np.full((len(mine), len(others)), -1.0, np.float32) for mine, others in pairs]
    best_in_sample = np.full((len(owner), len(of_sample)), -1.0, np.float32)
    for moved in views.moved():
        _raise_to_best(best_in_sample, views.fixed, moved, slice(None), of_sample)
        for found, (mine, others) in zip(best, pairs, strict=True):
            _raise_to_best(found, views.fixed, moved, mine, others)
    chance = _by_patient(best_in_sample, owner[of_sample])
    chance[owner[:, None] == sample] = np.nan
    scores = {}
    for found, (mine, others) in zip(best, pairs, strict=True):
        patient = int(owner[mine[0]])
        one_way = _better_half(_spreads_above(_by_patient(found, owner[others]), chance[mine]))
        back = _spreads_above(found.max(axis=0)[:, None], chance[others])
        for place, other in enumerate(sorted(partners[patient])):
            other_way = _better_half(back[owner[others] == other])
            scores[patient, other] = float(min(one_way[place], other_way[0]))
    return scores


def _most_alike(fixed: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(patients, `CANDIDATES`): numbers of those whose slices as they are match each one's best."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    blocks = np.array_split(starts, -(-len(owner) // _BLOCK))
    alike = []
    for number, block in enumerate(blocks):
        end = blocks[number + 1][0] if number + 1 < len(blocks) else len(owner)
        match = _by_patient(fixed[block[0] : end] @ fixed.T, owner)
        ends = [*block[1:], end]
        for first, last in zip(block, ends, strict=True):
            score = _better_half(match[first - block[0] : last - block[0]])
            score[owner[first]] = -np.inf
            alike.append(np.argpartition(-score, CANDIDATES)[:CANDIDATES])
    return np.stack(alike)


def _raise_to_best(
    best: np.ndarray,
    fixed: np.ndarray,
    moved: np.ndarray,
    mine: np.ndarray | slice,
    others: np.ndarray,
) -> None:
    """Raises `best`, (slices of mine, of others), to what this movement of either side gives."""
    np.maximum(best, fixed[mine] @ moved[others].T, out=best)
    np.maximum(best, moved[mine] @ fixed[others].T, out=best)


def _by_patient(match: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(n, patients): highest of (n, slices), whose patients are `owner`, in order."""
    return np.maximum.reduceat(match, np.flatnonzero(np.diff(owner, prepend=-1)), axis=1)


def _features(heads: Sequence[Head], turn: float, scale: float) -> np.ndarray:
    """(n, side, side) float32, each of unit length."""
    cut = np.stack([head.cut(_SIDE, turn, scale, _MARGIN) for head in heads])
    fine, coarse = (ndimage.gaussian_filter(cut, (0, s, s)) for s in _BAND)
    flat = (fine - coarse).reshape(len(heads), -1)
    return _unit(flat - flat.mean(axis=1, keepdims=True)).reshape(cut.shape)


def _whitening(centred: np.ndarray) -> np.ndarray:
    """(d, d): inverse square root of the covariance, its mean eigenvalue added to every one."""
    values, vectors = np.linalg.eigh(np.cov(centred.T, dtype=np.float64))
    shrunk = np.maximum(values, 0) + max(float(values.mean()), 1e-12)
    return ((vectors / np.sqrt(shrunk)) @ vectors.T).astype(np.float32)


def _spreads_above(match: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """A slice's best match in each folder, in spreads above its median in folders of other patients.

    Args:
        match: (n, folders), NaN in the slice's own folder, which is given 0.
        chance: (n, m), NaN in the slice's own folder.
    """
    middle = np.nanmedian(chance, axis=1, keepdims=True)
    spread = np.nanpercentile(chance, 84, axis=1, keepdims=True) - middle
    above = (match - middle) / np.maximum(spread, _LEAST_SPREAD)
    return np.nan_to_num(np.clip(above, -LARGEST, LARGEST))


def _better_half(above: np.ndarray) -> np.ndarray:
    """(patients,): mean over the better half of the slices."""
    return np.asarray(np.sort(above, axis=0)[-max(3, len(above) // 2) :].mean(axis=0))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)
