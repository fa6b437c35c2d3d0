"""Calibrating decision values on inner folds, by slices that the decision was not fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hemodetect.models.calibration import Sigmoid

INNER_FOLDS = 5
_SMALLEST_SLOPE = 1e-3  # a unit of spread


def calibrated(
    labels: np.ndarray,
    units: np.ndarray,
    decide: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seed: int,
) -> Sigmoid:
    """A sigmoid fitted to decision values on inner folds of the training slices.

    Args:
        labels: (n,) 0 or 1, training slices.
        units: (n,) what must stay together: the patient group, or the slice itself.
        decide: takes (train, test) row numbers, gives decision values of the test rows.
        seed: of the folds.
    """
    if len(np.unique(units)) == len(units):
        folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    else:
        folds = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    decisions = np.empty(len(labels))
    for train, test in folds.split(labels, labels, units):
        decisions[test] = decide(train, test)
    return fitted_sigmoid(decisions, labels, np.ones(len(labels)), weakest=1e6)


def fitted_sigmoid(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, weakest: float = 1.0
) -> Sigmoid:
    """A sigmoid fitted to weighted cases; it never reverses their order.

    On unseen patients a weak model may rank worse than chance. A calibration that reverses its ranking
    would hide that it knows nothing: it then gives nearly the same probability, the rate, to all.

    Args:
        logits: (n,) decision values or logits of models that did not see the case.
        labels: (n,) 0 or 1.
        weights: (n,) of the cases; the penalty acts on their sum.
        weakest: scikit-learn's C; the higher, the weaker the penalty.
    """
    spread = float(logits.std()) or 1.0
    scaled = logits / spread
    regression = LogisticRegression(C=weakest).fit(scaled[:, None], labels, weights)
    slope, offset = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    if slope < _SMALLEST_SLOPE:
        slope, rate = _SMALLEST_SLOPE, float(np.average(labels, weights=weights))
        offset = float(np.log(rate / (1 - rate)) - slope * np.average(scaled, weights=weights))
    return Sigmoid(slope / spread, offset)
