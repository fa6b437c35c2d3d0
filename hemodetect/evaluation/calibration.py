"""Whether a probability means what it says: reliability, Brier score, calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemodetect.evaluation.cases import Cases, checked_cases
from hemodetect.evaluation.intervals import can_vary
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric
from hemodetect.evaluation.operating import checked_labels, checked_probabilities


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted against observed share of hemorrhages, by bins of the probability.

    Attributes:
        predicted: (k,) float64, mean probability of each bin that is not empty, rising.
        observed: (k,) float64, share of positives in the bin.
        low, high: (k,) interval of that share, NaN if none can be computed.
        n: (k,) int, cases in the bin.
        brier: mean squared difference of probability and label, 0 (best) to 1 (G. Brier, Mon.
            Weather Rev. 1950, 78, 1; the form for two classes, half of the original).
        expected_calibration_error: mean over cases of |predicted - observed| of their bin (M.
            Naeini et al., AAAI 2015, 2901). Chance alone makes it larger than 0, and more so with
            fewer patients.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    brier: Metric
    expected_calibration_error: Metric


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """How the probabilities of each class are distributed.

    Attributes:
        edges: (bins + 1,) float64 from 0 to 1. A bin includes its lower edge but not its upper edge
            (the last includes both), so a threshold on an edge calls exactly the bins above it.
        negative, positive: (bins,) int, cases without and with hemorrhage.
    """

    edges: np.ndarray
    negative: np.ndarray
    positive: np.ndarray


def reliability(
    labels: np.ndarray,
    probabilities: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float = 0.95,
    bins: int = 10,
) -> Reliability:
    """Calibration in bins of equal width. Each bin includes its upper edge, as in scikit-learn.

    Intervals are percentiles of the resamples; a resample does not count for a bin if it draws
    none of its groups. If all cases of a bin have one label, its interval ends at the exact
    binomial bound for its number of groups. The interval of the calibration
    error is shifted so that the mean of its resamples equals the error itself, because resampling
    adds chance to the error.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) float32 in [0, 1].
        codes: (n,) int, patient group, numbered from 0 without gaps.
        drawn: (resamples, groups), from `intervals.draws`.
        confidence: share of resamples inside an interval.
        bins: number of bins, empty ones included.

    Raises:
        EvaluationError: one class only, no bin, or arrays that `checked_cases` refuses.
    """
    _check_bins(bins)
    cases = checked_cases(labels, probabilities, codes, drawn, confidence)
    chances = cases.probabilities.astype(np.float64)
    column = np.searchsorted(_edges(bins)[1:-1], chances)
    ones = np.ones(len(chances))
    n = cases.by_group(column, bins, ones)
    positives = cases.by_group(column, bins, cases.labels)
    predicted = cases.by_group(column, bins, chances)
    filled = n.sum(axis=0) > 0
    shares = _observed(cases, n[:, filled], positives[:, filled])
    total = n[:, filled].sum(axis=0)
    return Reliability(
        predicted=predicted[:, filled].sum(axis=0) / total,
        observed=np.array([share.value for share in shares]),
        low=np.array([share.low for share in shares]),
        high=np.array([share.high for share in shares]),
        n=total.astype(np.intp),
        brier=_brier(cases, chances),
        expected_calibration_error=_calibration_error(cases, predicted - positives),
    )


def score_histogram(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 20
) -> ScoreHistogram:
    """Counts of labels (n,) 0 or 1 by their probability (n,) in bins of equal width.

    One class alone is allowed. Edges are compared as float32, like thresholds.

    Raises:
        EvaluationError: no bin, no case, a label that is not 0 or 1, a probability not in [0, 1].
    """
    _check_bins(bins)
    positive = checked_labels(labels)
    chances = checked_probabilities(probabilities, len(positive))
    edges = _edges(bins)
    column = np.searchsorted(edges[1:-1].astype(np.float32), chances, side="right")
    return ScoreHistogram(
        edges=edges,
        negative=np.bincount(column[~positive], minlength=bins),
        positive=np.bincount(column[positive], minlength=bins),
    )


def _observed(cases: Cases, n: np.ndarray, positives: np.ndarray) -> list[Metric]:
    """Share of positives of every bin, from (groups, bins) counts, no bin empty."""
    cases_per_resample = cases.drawn @ n
    resampled = np.full_like(cases_per_resample, np.nan)
    np.divide(
        cases.drawn @ positives, cases_per_resample, out=resampled, where=cases_per_resample > 0
    )
    return [
        cases.metric(
            float(positives[:, b].sum() / n[:, b].sum()),
            resampled[:, b],
            can_vary(cases.positive, n[:, b] > 0),
            int((n[:, b] > 0).sum()),
        )
        for b in range(n.shape[1])
    ]


def _brier(cases: Cases, chances: np.ndarray) -> Metric:
    squares = np.bincount(cases.codes, weights=(chances - cases.labels) ** 2)
    sizes = np.bincount(cases.codes)
    resampled = (cases.drawn @ squares) / (cases.drawn @ sizes)
    value = float(squares.sum() / sizes.sum())
    return cases.metric(value, resampled, _all_vary(cases), cases.fewest_groups)


def _calibration_error(cases: Cases, excess: np.ndarray) -> Metric:
    """From (groups, bins) sums of probability less label."""
    sizes = np.bincount(cases.codes)
    value = float(np.abs(excess.sum(axis=0)).sum() / sizes.sum())
    resampled = np.abs(cases.drawn @ excess).sum(axis=1) / (cases.drawn @ sizes)
    if len(resampled):
        resampled = np.clip(resampled - (resampled.mean() - value), 0, 1)
    return cases.metric(value, resampled, _all_vary(cases), cases.fewest_groups)


def _all_vary(cases: Cases) -> bool:
    return can_vary(cases.positive, np.ones(len(cases.positive), dtype=bool))


def _edges(bins: int) -> np.ndarray:
    return np.linspace(0, 1, bins + 1)


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise EvaluationError(f"The number of bins is {bins}; expected at least 1.")
