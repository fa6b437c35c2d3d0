"""Figures of many resamples of patient groups at once.

Slices of one patient resemble each other, so an interval must come from drawing patients (groups of
folders known to be one person), with all their slices, and not from drawing slices. Every figure
here follows from a few numbers a group: its confusion counts, and for the AUROC the matrix

    U[g, h] = number of pairs (positive of group g, negative of group h) in the right order,
              a tie counting one half,

so that a resample that draws group g w[g] times has the AUROC  w U w / (w.positives * w.negatives).
That is the Mann-Whitney statistic of the resampled slices themselves (D. Bamber, J. Math. Psychol.
1975, 12, 387), without ranking them again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

_STEP = 1e-9  # beside an area of 0 or 1, where a root of the interval lies at the end itself


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """What is known of every patient group, in the order of its code.

    Attributes:
        confusion: (groups, 4) float64, columns tn, fp, fn, tp.
        ordered_pairs: (groups with a positive, groups with a negative) float64, U above.
    """

    confusion: np.ndarray
    ordered_pairs: np.ndarray

    @property
    def negatives(self) -> np.ndarray:
        """(groups,) number of negatives."""
        return self.confusion[:, 0] + self.confusion[:, 1]

    @property
    def positives(self) -> np.ndarray:
        """(groups,) number of positives."""
        return self.confusion[:, 2] + self.confusion[:, 3]


def group_counts(
    labels: np.ndarray, probabilities: np.ndarray, calls: np.ndarray, groups: np.ndarray
) -> GroupCounts:
    """Counts of every group.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) float.
        calls: (n,) bool.
        groups: (n,) group code from 0, none left out.
    """
    return GroupCounts(
        confusion=confusion_counts(labels, calls, groups),
        ordered_pairs=ordered_pairs(labels, probabilities, groups),
    )


def confusion_counts(labels: np.ndarray, calls: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(groups, 4) float64, columns tn, fp, fn, tp; arguments as for `group_counts`."""
    n = int(groups.max()) + 1
    cell = 2 * labels.astype(np.intp) + calls
    return np.bincount(4 * groups + cell, minlength=4 * n).reshape(n, 4).astype(np.float64)


def ordered_pairs(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """U of the module's formula, which no threshold changes; arguments as for `group_counts`."""
    positive = labels.astype(bool)
    names, row = np.unique(groups[positive], return_inverse=True)
    scores = probabilities[positive]
    columns = []
    for group in np.unique(groups[~positive]):
        negatives = np.sort(probabilities[~positive & (groups == group)])
        below = np.searchsorted(negatives, scores, side="left")
        not_above = np.searchsorted(negatives, scores, side="right")
        columns.append(np.bincount(row, weights=(below + not_above) / 2, minlength=len(names)))
    return np.stack(columns, axis=1)


def rates(counts: GroupCounts, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of resamples, (resamples,) float64 each, NaN where a resample lacks a class.

    Args:
        counts: of `group_counts`.
        drawn: (resamples, groups), how often each group was drawn.
    """
    tn, fp, fn, tp = (drawn @ counts.confusion).T
    rows, columns = counts.positives > 0, counts.negatives > 0
    ordered = ((drawn[:, rows] @ counts.ordered_pairs) * drawn[:, columns]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "accuracy": (tn + tp) / (tn + fp + fn + tp),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "auroc": ordered / ((tp + fn) * (tn + fp)),
        }


def draws(positive: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resamples, groups) float64: how often each group is drawn, with replacement.

    Groups with and without a positive, (groups,) bool, are drawn apart, as many as there are.
    """
    random = np.random.default_rng(seed)
    drawn = np.zeros((resamples, len(positive)))
    for stratum in (~positive, positive):
        size = int(stratum.sum())
        if size:
            drawn[:, stratum] = random.multinomial(size, np.full(size, 1 / size), size=resamples)
    return drawn


def can_vary(positive: np.ndarray, contributing: np.ndarray) -> bool:
    """Whether drawing groups can show how a figure varies.

    It cannot where fewer than two groups contribute to the figure, or where one of them is the only
    group of its stratum and so is drawn in every resample.

    Args:
        positive: (groups,) bool, the stratum.
        contributing: (groups,) bool.
    """
    alone = any(
        stratum.sum() == 1 and (stratum & contributing).any() for stratum in (positive, ~positive)
    )
    return not alone and int(contributing.sum()) >= 2


def area_interval(
    area: float, positive: int, negative: int, confidence: float
) -> tuple[float, float]:
    """Score interval of an area under the ROC curve from its value and the counts of both classes.

    R. Newcombe, Statistics in Medicine 2006, 25, 559, method 5: all areas that lie within so many
    standard errors, each taken at that area. It has a width where every pair is in order, and gets to
    it without a jump.

    Args:
        area: 0 to 1.
        positive, negative: independent cases of each class, at least 1.
        confidence: between 0 and 1.
    """
    z = norm.ppf((1 + confidence) / 2)
    pairs, others = positive * negative, (positive + negative) / 2 - 1

    def distance(other: float) -> float:
        spread = 1 + others * ((1 - other) / (2 - other) + other / (1 + other))
        return abs(area - other) - z * math.sqrt(max(other * (1 - other) * spread / pairs, 0.0))

    # A step aside: an area of 0 or 1 is itself the other root.
    low = 0.0 if area <= _STEP else brentq(distance, 0.0, min(area, 1 - _STEP))
    high = 1.0 if area >= 1 - _STEP else brentq(distance, max(area, _STEP), 1.0)
    return float(low), float(high)


def unanimous_bound(groups: int, confidence: float) -> float:
    """Lowest share that is plausible after all of `groups` groups agreed.

    The exact binomial bound (C. Clopper and E. Pearson, Biometrika 1934, 26, 404) for n of n.
    """
    return float(((1 - confidence) / 2) ** (1 / groups))
