"""Whether a probability excludes an answer: split conformal prediction for each class.

An answer is excluded if at most 10 % of the calibration patients of its class fit the class as badly
or worse (Vovk, Gammerman & Shafer 2005, section 4.5: label-conditional). Then the true answer is not
excluded for at least 90 % of the patients of each class, even if the probabilities are poor, as long as
those patients are exchangeable with the calibration patients: of the same hospitals, scanners and mix
of cases. Elsewhere nothing is promised; `docs/models.md` says what was measured when the range of one
set met the patients of another.
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np

from hemodetect.evaluation.levels import EvaluationError


def undecided_range(
    labels: np.ndarray, probabilities: np.ndarray, confidence: float = 0.9
) -> tuple[float, float]:
    """The lower and upper probability between which the answer is undecided.

    Below the range only "no hemorrhage" is possible, above it only "hemorrhage". Within the range both
    answers are possible, or neither.

    Args:
        labels: (n,) 0 or 1, of calibration patients that the model was not trained on.
        probabilities: (n,) in [0, 1].
        confidence: share of each class whose true answer must not be excluded.

    Raises:
        EvaluationError: a class has too few patients to exclude any answer.
    """
    lowest_hemorrhage = _bound(probabilities[labels == 1], confidence)
    highest_normal = 1 - _bound(1 - probabilities[labels == 0], confidence)
    return min(lowest_hemorrhage, highest_normal), max(lowest_hemorrhage, highest_normal)


def widest_range(
    labels: np.ndarray, probabilities: np.ndarray, sets: np.ndarray, confidence: float = 0.9
) -> tuple[float, float]:
    """The range that keeps the promise in every set by itself, and in all together.

    A range of all patients together may exclude the true answer of many patients of the set whose heads
    are harder to judge, and make up for it in the others.

    Args:
        labels, probabilities, confidence: as for `undecided_range`.
        sets: (n,) the set that each patient comes from. One with too few patients of a class counts
            with all others only.

    Raises:
        EvaluationError: all together have too few patients of a class.
    """
    ranges = [undecided_range(labels, probabilities, confidence)]
    for name in np.unique(sets):
        of_set = sets == name
        with suppress(EvaluationError):
            ranges.append(undecided_range(labels[of_set], probabilities[of_set], confidence))
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _bound(conformity: np.ndarray, confidence: float) -> float:
    """The value that at least a share `confidence` of new values reaches, from values (n,)."""
    # A new value is excluded if (number below or equal + 1) / (n + 1) <= 1 - confidence.
    rank = math.floor((1 - confidence) * (len(conformity) + 1) + 1e-9)
    if rank < 1:
        needed = math.ceil(1 / (1 - confidence) - 1e-9) - 1
        raise EvaluationError(
            f"{len(conformity)} patients of a class are too few for {confidence:.0%} confidence;"
            f" {needed} are needed."
        )
    return float(np.sort(conformity)[rank - 1])
