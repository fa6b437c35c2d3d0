"""Agreement beyond chance between raters, with intervals that resample the cases."""

from __future__ import annotations

import math
from functools import lru_cache

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
    return float(_cohen(_pairs(first, second), np.ones((1, len(first))))[0])


def cohen_kappa_with_interval(
    first: np.ndarray, second: np.ndarray, resamples: int = 2000, seed: int = 0
) -> Metric:
    """`cohen_kappa` with a 95 % percentile interval over resampled cases."""
    value, n = cohen_kappa(first, second), len(first)
    return _with_interval(value, _cohen(_pairs(first, second), _drawn(n, resamples, seed)), n)


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
    return float(_fleiss(counts, np.ones((1, len(counts))))[0])


def fleiss_kappa_with_interval(counts: np.ndarray, resamples: int = 2000, seed: int = 0) -> Metric:
    """`fleiss_kappa` with a 95 % percentile interval over resampled cases."""
    value, n = fleiss_kappa(counts), len(counts)
    return _with_interval(value, _fleiss(counts, _drawn(n, resamples, seed)), n)


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, k, k) bool: where each case stands in the table of the two raters."""
    if not len(first) or len(first) != len(second):
        raise EvaluationError(
            f"Cohen's kappa needs as many calls of both raters; got {len(first)} and {len(second)}."
        )
    categories = np.unique(np.concatenate([first, second]))
    first_matches, second_matches = (rater[:, None] == categories for rater in (first, second))
    return first_matches[:, :, None] & second_matches[:, None, :]


def _cohen(pairs: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(resamples,) kappa, each case counted as often as it was drawn."""
    tables = np.tensordot(drawn, pairs.astype(float), axes=1) / drawn.sum(axis=1)[:, None, None]
    observed = np.trace(tables, axis1=1, axis2=2)
    return _beyond_chance(observed, (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1))


def _fleiss(counts: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(resamples,) kappa, each case counted as often as it was drawn."""
    raters, cases = int(counts[0].sum()), drawn.sum(axis=1)
    agreeing = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    shares = drawn @ counts / (cases * raters)[:, None]
    return _beyond_chance(drawn @ agreeing / cases, (shares**2).sum(axis=1))


def _beyond_chance(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    defined = ~np.isclose(expected, 1.0)
    return np.where(defined, (observed - expected) / np.where(defined, 1 - expected, 1.0), np.nan)


@lru_cache(maxsize=8)
def _drawn(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) how often each case was drawn."""
    random = np.random.default_rng(seed)
    return random.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)


def _with_interval(value: float, resampled: np.ndarray, cases: int) -> Metric:
    if math.isnan(value) or cases < _FEWEST_CASES:
        return Metric(value)
    if np.isfinite(resampled).mean() < _FEWEST_DEFINED:
        return Metric(value)
    metric = percentiles(value, resampled, 0.95)
    # Where all agree every resample does too; an interval of no width would claim certainty.
    return Metric(value) if metric.low == metric.high else metric
