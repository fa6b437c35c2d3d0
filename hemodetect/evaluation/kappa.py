"""Agreement beyond chance between raters, with intervals that resample the cases."""

from __future__ import annotations

import math

import numpy as np

from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, percentiles

_FEWEST_DEFINED = 0.95
"""Share of resamples in which kappa must be defined for an interval to mean anything."""
_FEWEST_CASES = 10
"""With fewer a percentile interval is far too short."""


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Kappa of two raters (J. Cohen, Educ Psychol Meas 1960, 20, 37, equation 1).

    Args:
        first, second: (n,) categories, of any comparable type.

    Returns:
        1 for full agreement, 0 for what chance gives; NaN where chance alone gives full agreement
        (both raters use one and the same category).

    Raises:
        EvaluationError: no case, or unlike numbers.
    """
    _check(first, second)
    categories = np.unique(np.concatenate([first, second]))
    a, b = (np.searchsorted(categories, rater) for rater in (first, second))
    size = len(categories)
    table = np.bincount(a * size + b, minlength=size * size).reshape(size, size) / len(first)
    return _beyond_chance(float(np.trace(table)), float(table.sum(axis=0) @ table.sum(axis=1)))


def fleiss_kappa(counts: np.ndarray) -> float:
    """Kappa of as many raters of every case (J. L. Fleiss, Psychol Bull 1971, 76, 378, equation 7).

    Args:
        counts: (n, categories) int, raters that gave a case a category; every row has the same sum of
            at least 2.

    Returns:
        As `cohen_kappa`.

    Raises:
        EvaluationError: no case, or rows with unlike sums.
    """
    raters = counts.sum(axis=1) if counts.size else np.zeros(0)
    if not len(raters) or raters.min() != raters.max() or raters[0] < 2:
        raise EvaluationError("Fleiss' kappa needs cases that the same two or more raters rated.")
    m = int(raters[0])
    shares = counts.sum(axis=0) / counts.sum()
    agreeing = ((counts**2).sum(axis=1) - m) / (m * (m - 1))
    return _beyond_chance(float(agreeing.mean()), float((shares**2).sum()))


def cohen_kappa_with_interval(
    first: np.ndarray, second: np.ndarray, resamples: int = 2000, seed: int = 0
) -> Metric:
    """`cohen_kappa` with a 95 % percentile interval over resampled cases."""
    value = cohen_kappa(first, second)
    drawn = _drawn(len(first), resamples, seed)
    resampled = np.array([cohen_kappa(first[d], second[d]) for d in drawn])
    return _with_interval(value, resampled, len(first))


def fleiss_kappa_with_interval(counts: np.ndarray, resamples: int = 2000, seed: int = 0) -> Metric:
    """`fleiss_kappa` with a 95 % percentile interval over resampled cases."""
    value = fleiss_kappa(counts)
    drawn = _drawn(len(counts), resamples, seed)
    resampled = np.array([fleiss_kappa(counts[d]) for d in drawn])
    return _with_interval(value, resampled, len(counts))


def _with_interval(value: float, resampled: np.ndarray, cases: int) -> Metric:
    if math.isnan(value) or cases < _FEWEST_CASES:
        return Metric(value)
    if np.isfinite(resampled).mean() < _FEWEST_DEFINED:
        return Metric(value)
    found = percentiles(value, resampled, 0.95)
    # Where all agree every resample does too; an interval of no width would claim certainty.
    return Metric(value) if found.low == found.high else found


def _drawn(n: int, resamples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n, (resamples, n))


def _beyond_chance(observed: float, expected: float) -> float:
    return math.nan if math.isclose(expected, 1.0) else (observed - expected) / (1 - expected)


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if not len(first) or len(first) != len(second):
        raise EvaluationError(
            f"Cohen's kappa needs as many calls of both raters; got {len(first)} and {len(second)}."
        )
