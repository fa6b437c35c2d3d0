"""From decision values to probabilities, by slices that the decision was not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

INNER_FOLDS = 5


@dataclass(frozen=True)
class Sigmoid:
    """Platt scaling (Platt 1999): probability = 1 / (1 + exp(-(slope * decision + offset)))."""

    slope: float
    offset: float

    def probabilities(self, decisions: np.ndarray) -> np.ndarray:
        """(n,) float32 in [0, 1] of (n,) decision values."""
        return (1 / (1 + np.exp(-(self.slope * decisions + self.offset)))).astype(np.float32)


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
    fitted = LogisticRegression(C=1e6).fit(decisions[:, None] / spread, labels)
    # On unseen patients a weak model may rank worse than chance. Its order is kept even so: a
    # calibration that turned a model round would hide that it knows nothing.
    slope = max(float(fitted.coef_[0, 0]), 1e-3)
    offset = float(fitted.intercept_[0])
    if slope == 1e-3:
        rate = labels.mean()
        offset = float(np.log(rate / (1 - rate)) - slope * decisions.mean() / spread)
    return Sigmoid(slope / spread, offset)
