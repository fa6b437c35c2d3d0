"""Calibrating decision values on inner folds, by slices that the decision was not fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hemodetect.models.calibration import Sigmoid

INNER_FOLDS = 5


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
    spread = decisions.std() or 1.0
    regression = LogisticRegression(C=1e6).fit(decisions[:, None] / spread, labels)
    # On unseen patients a weak model may rank worse than chance. Its order is kept: a calibration
    # that reverses a model's ranking would hide that the model knows nothing.
    slope = max(float(regression.coef_[0, 0]), 1e-3)
    offset = float(regression.intercept_[0])
    if slope == 1e-3:
        rate = labels.mean()
        offset = float(np.log(rate / (1 - rate)) - slope * decisions.mean() / spread)
    return Sigmoid(slope / spread, offset)


def fitted_sigmoid(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Sigmoid:
    """A sigmoid fitted to weighted cases with a weak penalty; its slope is never below 0.001.

    Args:
        logits: (n,) of models that did not see the case.
        labels: (n,) 0 or 1.
        weights: (n,) of the cases; the penalty acts on their sum.
    """
    spread = float(logits.std()) or 1.0
    regression = LogisticRegression(C=1.0).fit(logits[:, None] / spread, labels, weights)
    slope = max(float(regression.coef_[0, 0]) / spread, 1e-3)
    return Sigmoid(slope, float(regression.intercept_[0]))
