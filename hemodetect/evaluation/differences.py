"""Two models on the same cases: where they differ, and whether that is more than chance.

Both models saw the same patients, so every comparison is paired: a resample draws the same patient
groups for both. Five models make ten pairs; no figure here is corrected for looking at all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.stats import binomtest, rankdata

from hemodetect.evaluation.cases import check_resampling
from hemodetect.evaluation.intervals import can_vary, group_counts, rates, unanimous_bound
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric
from hemodetect.evaluation.operating import (
    check_both_classes,
    checked_labels,
    checked_probabilities,
)

Cell = Literal["both_right", "only_a", "only_b", "both_wrong"]


@dataclass(frozen=True)
class Agreement:
    """Cases by which of two models, A and B, has them right."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.both_right + self.only_a + self.only_b + self.both_wrong


@dataclass(frozen=True)
class McNemar:
    """Exact test of whether two models are right equally often.

    Attributes:
        only_a, only_b: cases that one model has right and the other wrong.
        p_value: two-sided; 1 where the models differ on no case.
    """

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True)
class PairedDifference(Metric):
    """A figure of model A less that of model B, with its interval.

    Attributes:
        share_above_zero: of the resamples, those in which A has the higher figure; NaN where no
            interval can be made.
        confidence: of the interval.
    """

    share_above_zero: float = math.nan
    confidence: float = 0.95


def cell_mask(
    labels: np.ndarray, calls_a: np.ndarray, calls_b: np.ndarray, cell: Cell
) -> np.ndarray:
    """(n,) bool: the cases in one cell of the agreement of A and B.

    Args:
        labels: (n,) 0 or 1, 1 is hemorrhage.
        calls_a, calls_b: (n,) bool, hemorrhage called.

    Raises:
        EvaluationError: no case, a label other than 0 and 1, calls that are not n of bool, or no
            such cell.
    """
    right_a, right_b = _right(labels, calls_a, calls_b)
    if cell == "both_right":
        return right_a & right_b
    if cell == "only_a":
        return right_a & ~right_b
    if cell == "only_b":
        return right_b & ~right_a
    if cell == "both_wrong":
        return ~(right_a | right_b)
    raise EvaluationError(f"The cell is {cell!r}; expected one of {', '.join(get_args(Cell))}.")


def agreement(labels: np.ndarray, calls_a: np.ndarray, calls_b: np.ndarray) -> Agreement:
    """Cases in each cell; arguments and errors as in `cell_mask`."""
    counts = {cell: int(cell_mask(labels, calls_a, calls_b, cell).sum()) for cell in get_args(Cell)}
    return Agreement(**counts)


def mcnemar(patients: Agreement) -> McNemar:
    """The exact test of Q. McNemar (Psychometrika 1947, 12, 153): binomial on the cases that differ.

    It holds for independent cases: give it the agreement by patient (or patient group). The slices
    of one patient resemble each other, and by slice the p value comes out far too small; compare
    slices by `accuracy_difference`, which resamples patients.
    """
    only_a, only_b = patients.only_a, patients.only_b
    if only_a + only_b == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_a, only_b, float(binomtest(only_a, only_a + only_b).pvalue))


def auroc_difference(
    labels: np.ndarray,
    probabilities_a: np.ndarray,
    probabilities_b: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float = 0.95,
) -> PairedDifference:
    """AUROC of A less that of B, with a percentile interval over resamples of patient groups.

    Where every resample gives the same difference although the models rank the cases differently
    (say, both without an error), the interval is widened by the exact binomial bound, as in
    `metrics.scores`: it takes as possible that a share of the groups is not like those seen.

    Args:
        labels: (n,) 0 or 1, 1 is hemorrhage.
        probabilities_a, probabilities_b: (n,) in [0, 1].
        codes: (n,) code of each case's patient group, from 0, none left out.
        drawn: (resamples, groups) of `intervals.draws`: how often each group is drawn.
        confidence: share of resamples inside the interval.

    Raises:
        EvaluationError: one class only, or an argument that does not fit the above.
    """
    positive = checked_labels(labels)
    check_both_classes(positive, "Every case")
    both = [checked_probabilities(p, len(positive)) for p in (probabilities_a, probabilities_b)]
    check_resampling(codes, drawn, len(positive), confidence)
    # The calls do not matter to the AUROC; `group_counts` wants some.
    counts_a, counts_b = (group_counts(positive, p, positive, codes) for p in both)
    once = np.ones((1, drawn.shape[1]))
    value, resampled = (
        rates(counts_a, weights)["auroc"] - rates(counts_b, weights)["auroc"]
        for weights in (once, drawn)
    )
    bleeding, free = counts_a.positives > 0, counts_a.negatives > 0
    if not (can_vary(bleeding, bleeding) and can_vary(bleeding, free)):
        return PairedDifference(float(value[0]), confidence=confidence)
    alike = np.array_equal(rankdata(both[0]), rankdata(both[1]))
    fewest = None if alike else min(int(bleeding.sum()), int(free.sum()))
    return _paired(float(value[0]), resampled, fewest, confidence)


def accuracy_difference(
    labels: np.ndarray,
    calls_a: np.ndarray,
    calls_b: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float = 0.95,
) -> PairedDifference:
    """Accuracy of A less that of B; among bleeding cases only, that is their sensitivities.

    Interval and arguments as in `auroc_difference`, with calls (n,) bool for probabilities.

    Raises:
        EvaluationError: an argument that does not fit the above.
    """
    right_a, right_b = _right(labels, calls_a, calls_b)
    check_resampling(codes, drawn, len(right_a), confidence)
    groups = drawn.shape[1]
    sizes = np.bincount(codes, minlength=groups)
    ahead = np.bincount(codes, weights=right_a.astype(float) - right_b, minlength=groups)
    value = float(ahead.sum() / sizes.sum())
    bleeding = np.bincount(codes, weights=np.asarray(labels), minlength=groups) > 0
    if not can_vary(bleeding, np.ones(groups, dtype=bool)):
        return PairedDifference(value, confidence=confidence)
    strata = [int(stratum.sum()) for stratum in (bleeding, ~bleeding) if stratum.any()]
    fewest = None if np.array_equal(right_a, right_b) else min(strata)
    return _paired(value, (drawn @ ahead) / (drawn @ sizes), fewest, confidence)


def difference_sentence(name_a: str, name_b: str, difference: PairedDifference, what: str) -> str:
    """The difference in words.

    Args:
        name_a, name_b: names of the models for people.
        difference: of A less B.
        what: the figure, e.g. "AUROC", of which more is better.
    """
    low, value, high = difference.low, difference.value, difference.high
    if not difference.has_interval:
        return (
            f"Whether {name_a} or {name_b} is better is unknown: there are too few patients for an "
            f"interval ({what} difference {value:z.2f})."
        )
    if low == high == 0:
        return f"{name_a} and {name_b} are alike on these cases (no difference in {what})."
    sure = f"{100 * difference.confidence:.10g} % interval"
    if low <= 0 <= high:
        return (
            f"The data show no clear difference between {name_a} and {name_b} ({what} difference "
            f"{value:z.2f}, {sure} {low:z.2f} to {high:z.2f})."
        )
    better, worse = (name_a, name_b) if low > 0 else (name_b, name_a)
    if high < 0:
        low, value, high = -high, -value, -low
    # 0.003 must not read as 0.00, which would be no difference.
    places = next((p for p in range(2, 6) if round(low, p) > 0), 6)
    return (
        f"{better} is better than {worse}: {what} higher by {value:.{places}f} "
        f"({sure} {low:.{places}f} to {high:.{places}f})."
    )


def _right(
    labels: np.ndarray, calls_a: np.ndarray, calls_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: the cases that A and that B has right."""
    positive = checked_labels(labels)
    for name, calls in (("A", calls_a), ("B", calls_b)):
        values = np.asarray(calls)
        if values.shape != positive.shape or values.dtype != bool:
            raise EvaluationError(
                f"The calls of model {name} are {values.dtype} of the shape {values.shape}; expected "
                f"{len(positive):,} of bool, one for each label."
            )
    return np.asarray(calls_a) == positive, np.asarray(calls_b) == positive


def _paired(
    value: float, resampled: np.ndarray, fewest: int | None, confidence: float
) -> PairedDifference:
    """The difference with its interval.

    Args:
        resampled: (resamples,), NaN where a resample lacks a class.
        fewest: groups of the smaller stratum; None: two models that are alike case by case.
    """
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return PairedDifference(value, confidence=confidence)
    tail = (1 - confidence) / 2
    low, high = (float(bound) for bound in np.quantile(defined, [tail, 1 - tail]))
    if fewest is not None and np.allclose(defined, value, rtol=0, atol=1e-12):
        bound = unanimous_bound(fewest, confidence)
        low, high = bound * value - (1 - bound), bound * value + (1 - bound)
    return PairedDifference(value, low, high, float((defined > 0).mean()), confidence)
