"""Whether a probability leaves an answer open: split conformal prediction, class by class.

An answer is left open unless fewer than 10 % of the calibration patients of its class were as unlike
it (Vovk, Gammerman & Shafer 2005, section 4.5: label-conditional). So of the patients of either
class at least 90 % keep the true answer open, whatever the model's probabilities are worth.
"""

from __future__ import annotations

import math

import numpy as np

from hemodetect.evaluation.levels import EvaluationError


def undecided_range(
    labels: np.ndarray, probabilities: np.ndarray, confidence: float = 0.9
) -> tuple[float, float]:
    """The probabilities, from the lower to the higher, at which there is not one answer left.

    Below it only "no hemorrhage" is open, above it only "hemorrhage"; within, both are, or neither.

    Args:
        labels: (n,) 0 or 1 of calibration patients that the model had not seen.
        probabilities: (n,) in [0, 1].
        confidence: share of each class that shall keep its true answer.

    Raises:
        EvaluationError: too few patients of a class to ever close an answer.
    """
    lowest_open = _bound(probabilities[labels == 1], confidence)
    highest_open = 1 - _bound(1 - probabilities[labels == 0], confidence)
    return min(lowest_open, highest_open), max(lowest_open, highest_open)


def _bound(conform: np.ndarray, confidence: float) -> float:
    """The value (n,) such that at least `confidence` of new ones reach it."""
    # A new value is closed out where (number below or equal + 1) / (n + 1) is at most the rest.
    rank = math.floor((1 - confidence) * (len(conform) + 1) + 1e-9)
    if rank < 1:
        need = math.ceil(1 / (1 - confidence) - 1e-9) - 1
        raise EvaluationError(
            f"{len(conform)} patients of a class are too few for {confidence:.0%} confidence;"
            f" {need} are needed."
        )
    return float(np.sort(conform)[rank - 1])
