"""ROC and precision-recall curves with bands that resample patient groups.

A resample draws whole groups, so its curve follows from how many positives and negatives of each
group reach each threshold: two tables of (groups, thresholds), multiplied by how often each group
was drawn, give the curves of all resamples at once and nothing is sorted again.

The tables hold every distinct probability where there are at most `MOST_THRESHOLDS`, and then the
resamples are exact. Else they hold about that many: a third at even steps among the positives, a
third among the negatives, a third at steps that grow with the rank, because the precision of the
first few calls moves most. That thins bands and intervals alone, never a curve or its area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

from hemodetect.evaluation.cases import Cases, checked_cases
from hemodetect.evaluation.intervals import group_counts, rates, unanimous_bound
from hemodetect.evaluation.levels import called
from hemodetect.evaluation.metrics import Metric, percentiles, wide_area

MOST_THRESHOLDS = 1200
GRID = np.linspace(0, 1, 101)
GRID.setflags(write=False)
# Steps of a curve and points of the grid fall on the same fractions, give or take rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Sensitivity against false-positive rate.

    Attributes:
        false_positive_rate, sensitivity: (k,) float64, from (0, 0) to (1, 1), to be joined by
            straight lines; points on a straight line between others are left out.
        threshold: (k,) float64 in [0, 1], falling: a case is called from here. The first point
            calls no case, for which scikit-learn has an infinite threshold; here it is 1, the
            strictest that can be set, where cases with a probability of exactly 1 are still called.
        auroc: area under the curve.
        grid: (101,) false-positive rates from 0 to 1.
        low, high: (101,) band of the sensitivity at each of them, NaN where none can be made.
    """

    false_positive_rate: np.ndarray
    sensitivity: np.ndarray
    threshold: np.ndarray
    auroc: Metric
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision (share of calls that are right) against recall (sensitivity).

    Attributes:
        recall: (k,) float64, rising from 0 to 1.
        precision: (k,) float64; it holds from the recall before up to its own (a step curve).
            By scikit-learn's convention the first point, which calls no case, has precision 1.
        threshold: (k,) float64 in [0, 1], falling; the first is 1, as in `RocCurve`.
        average_precision: area under the steps.
        grid: (101,) recalls from 0 to 1.
        low, high: (101,) band of the precision at which each of them is first reached (at recall
            0: any positive at all), NaN where none can be made.
        positive_share: share of positives, the precision of calling every case.
    """

    recall: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray
    average_precision: Metric
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    positive_share: float


def roc_curve_with_band(
    labels: np.ndarray,
    probabilities: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float = 0.95,
) -> RocCurve:
    """The ROC curve, its area, and a vertical band: percentiles of the resamples at each rate.

    The AUROC and its interval are exact. The band is exact up to `MOST_THRESHOLDS` distinct
    probabilities; beyond, the sensitivity of a resample is off by less than 0.02, ends of the band
    by less than 0.01. Where every resample has sensitivity 0 or 1, the band ends at the exact
    binomial bound for the class with fewer groups.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) float32 in [0, 1].
        codes: (n,) int, patient group from 0, none left out.
        drawn: (resamples, groups), of `intervals.draws`.
        confidence: share of resamples inside the band and the interval.

    Raises:
        EvaluationError: one class only, or arrays that `checked_cases` refuses.
    """
    cases = checked_cases(labels, probabilities, codes, drawn, confidence)
    rate, sensitivity, threshold = roc_curve(
        y_true=cases.labels, y_score=cases.probabilities, drop_intermediate=True
    )
    counts = group_counts(
        cases.labels, cases.probabilities, called(cases.probabilities, 0.5), cases.codes
    )
    (area,) = rates(counts, np.ones((1, cases.drawn.shape[1])))["auroc"]
    auroc, areas = Metric(float(area)), rates(counts, cases.drawn)["auroc"]
    if cases.both_classes_vary and np.isfinite(areas).any():
        positive, negative = (int((n > 0).sum()) for n in (counts.positives, counts.negatives))
        resampled = percentiles(float(area), areas, confidence)
        auroc = wide_area(resampled, positive, negative, confidence)
    low, high = _band(cases, resampled_sensitivity(cases))
    bound = unanimous_bound(cases.fewest_groups, confidence)
    low = np.where((low == 1) & (GRID < 1), bound, low)
    high = np.where(high == 0, 1 - bound, high)
    return RocCurve(
        false_positive_rate=rate,
        sensitivity=sensitivity,
        threshold=np.minimum(threshold, 1.0),
        auroc=auroc,
        grid=GRID,
        # No curve falls, so the bounds put in at single rates must not make the band fall.
        low=np.maximum.accumulate(low),
        high=np.minimum.accumulate(high[::-1])[::-1],
    )


def precision_recall_with_band(
    labels: np.ndarray,
    probabilities: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float = 0.95,
) -> PrecisionRecallCurve:
    """The precision-recall curve, its average precision, and a vertical band.

    The average precision is scikit-learn's. Its interval and the band are exact up to
    `MOST_THRESHOLDS` distinct probabilities; beyond, the average precision of a resample is off by
    less than 0.002, ends of the band by less than 0.02. Where every resample has precision 1, the
    band ends at the exact binomial bound for the class with fewer groups.

    Args:
        as `roc_curve_with_band`.

    Raises:
        EvaluationError: as `roc_curve_with_band`.
    """
    cases = checked_cases(labels, probabilities, codes, drawn, confidence)
    precision, recall, threshold = precision_recall_curve(
        y_true=cases.labels, y_score=cases.probabilities, drop_intermediate=True
    )
    average = float(average_precision_score(y_true=cases.labels, y_score=cases.probabilities))
    average = round(average, 12)  # without an error it is a sum of shares just beside 1
    precisions, averages = resampled_precision(cases)
    low, high = _band(cases, precisions)
    bound = unanimous_bound(cases.fewest_groups, confidence)
    return PrecisionRecallCurve(
        recall=recall[::-1],
        precision=precision[::-1],
        threshold=np.append(threshold, 1.0)[::-1],
        average_precision=cases.metric(
            average, averages, cases.both_classes_vary, cases.fewest_groups
        ),
        grid=GRID,
        low=np.where(low == 1, bound, low),
        high=high,
        positive_share=float(cases.labels.mean()),
    )


def resampled_sensitivity(cases: Cases) -> np.ndarray:
    """(resamples, 101) sensitivity of every resample at the false-positive rates of `GRID`."""
    hits, alarms = (np.pad(cases.drawn @ table, [(0, 0), (1, 0)]) for table in _reached(cases))
    hits /= hits[:, -1:]
    alarms /= alarms[:, -1:]
    # Just right of a rate at which the curve rises vertically, its upper end counts.
    return np.array(
        [np.interp(GRID + ROUNDING, x, y) for x, y in zip(alarms, hits, strict=True)]
    ).reshape(-1, len(GRID))


def resampled_precision(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """(resamples, 101) precision at the recalls of `GRID`, and (resamples,) average precision."""
    hits, alarms = (cases.drawn @ table for table in _reached(cases))
    recall = hits / hits[:, -1:]
    calls = hits + alarms
    precision = np.divide(hits, calls, out=np.zeros_like(calls), where=calls > 0)
    recalls = np.maximum(GRID - ROUNDING, ROUNDING)
    first = np.array([np.searchsorted(row, recalls) for row in recall], dtype=np.intp)
    averages = (np.diff(hits, axis=1, prepend=0) * precision).sum(axis=1) / hits[:, -1]
    return np.take_along_axis(precision, first.reshape(-1, len(GRID)), axis=1), averages


def _reached(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """(groups, thresholds) positives and negatives of each group that reach falling thresholds."""
    values, rising = np.unique(cases.probabilities, return_inverse=True)
    falling = len(values) - 1 - rising
    thresholds = _threshold_ranks(falling, len(values), cases.labels)
    column = np.searchsorted(thresholds, falling)
    of_positives, of_negatives = (
        cases.by_group(column, len(thresholds), weights).cumsum(axis=1)
        for weights in (cases.labels, ~cases.labels)
    )
    return of_positives, of_negatives


def _threshold_ranks(falling: np.ndarray, values: int, labels: np.ndarray) -> np.ndarray:
    """Which of the distinct probabilities, numbered from the highest, are thresholds."""
    if values <= MOST_THRESHOLDS:
        return np.arange(values)
    each = MOST_THRESHOLDS // 3
    everyone = np.cumsum(np.bincount(falling, minlength=values))
    steps = [np.searchsorted(everyone, np.geomspace(1, everyone[-1], each).round())]
    for members in (labels, ~labels):
        reached = np.cumsum(np.bincount(falling[members], minlength=values))
        steps.append(np.searchsorted(reached, np.linspace(1, reached[-1], each).round()))
    return np.unique(np.concatenate([*steps, [values - 1]]))


def _band(cases: Cases, resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(101,) low and high percentiles of resampled, (resamples, 101), NaN where they cannot be made."""
    if not cases.both_classes_vary or not len(resampled):
        return np.full(len(GRID), np.nan), np.full(len(GRID), np.nan)
    tail = (1 - cases.confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return low, high
