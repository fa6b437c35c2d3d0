"""How similar two patients' heads are: a score relative to all other pairs of the set.

Every slice is cut to its head, band-passed and whitened, so that features of all heads (an oval of
bone around grey) count little and features of one head (its sinuses, sutures, asymmetry) count much.
It is then compared with every slice of every other patient over small turns, scales and shifts.
A slice's best match in another folder is expressed in spreads above its median match over
all folders. A patient's score for another is the mean over the better half of the slices. The score
of a pair is the lower of its two directions. Scores near 0 are chance, `LARGEST` is the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from hemodetect.dataset.heads import Head

LARGEST = 8.0
"""Scores are clipped here."""
FEWEST_PATIENTS = 8
"""With fewer patients, likeness cannot be distinguished from chance; nothing is scored."""
FEWEST_SLICES = 5
"""A patient with fewer slices that show a head is not compared."""
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

    Keys are in the order of `heads`. Empty where fewer than `FEWEST_PATIENTS` can be compared.
    """
    patients = [p for p, of_patient in heads.items() if len(of_patient) >= FEWEST_SLICES]
    if len(patients) < FEWEST_PATIENTS:
        return {}
    best = _best_matches([head for p in patients for head in heads[p]])
    owner = np.repeat(np.arange(len(patients)), [len(heads[p]) for p in patients])
    above = _above_others(best, owner, len(patients))
    one_way = np.array([_better_half(above[owner == p]) for p in range(len(patients))])
    both_ways = np.minimum(one_way, one_way.T)
    return {
        (a, b): float(both_ways[i, j])
        for i, a in enumerate(patients)
        for j, b in enumerate(patients)
        if i < j
    }


def _best_matches(heads: Sequence[Head]) -> np.ndarray:
    """(n, n) float32 symmetric: highest correlation over turns, scales and shifts."""
    upright = _features(heads, 0.0, 1.0).reshape(len(heads), -1)
    mean = upright.mean(axis=0)
    whitening = _whitening(upright - mean)
    fixed = _unit((upright - mean) @ whitening)
    best = np.full((len(heads), len(heads)), -1.0, np.float32)
    for turn in _TURNS:
        for scale in _SCALES:
            moved = _features(heads, turn, scale)
            for down in _SHIFTS:
                for right in _SHIFTS:
                    shifted = np.roll(moved, (down, right), axis=(1, 2)).reshape(len(heads), -1)
                    np.maximum(best, fixed @ _unit((shifted - mean) @ whitening).T, out=best)
    return np.maximum(best, best.T)


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


def _above_others(best: np.ndarray, owner: np.ndarray, patients: int) -> np.ndarray:
    """(n, patients): a slice's best match in each folder, in spreads above the median folder.

    A slice's own folder is given 0.
    """
    match = np.stack([best[:, owner == p].max(axis=1) for p in range(patients)], axis=1)
    own_folder = (np.arange(len(match)), owner)
    match[own_folder] = np.nan
    middle = np.nanmedian(match, axis=1, keepdims=True)
    spread = np.nanpercentile(match, 84, axis=1, keepdims=True) - middle
    match[own_folder] = middle[:, 0]
    return np.clip((match - middle) / np.maximum(spread, _LEAST_SPREAD), -LARGEST, LARGEST)


def _better_half(above: np.ndarray) -> np.ndarray:
    """(patients,): mean over the better half of the slices."""
    return np.asarray(np.sort(above, axis=0)[-max(3, len(above) // 2) :].mean(axis=0))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)
