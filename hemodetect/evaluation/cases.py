"""Labels, probabilities and patient groups, checked once, and intervals of figures based on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemodetect.evaluation.intervals import can_vary
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, percentiles, unanimous
from hemodetect.evaluation.operating import (
    check_both_classes,
    checked_labels,
    checked_probabilities,
)


@dataclass(frozen=True, eq=False)
class Cases:
    """Slices or patients of both classes, and how often each resample draws their groups.

    Attributes:
        labels: (n,) bool, True is hemorrhage.
        probabilities: (n,) float32.
        codes: (n,) patient group of every case, from 0.
        drawn: (resamples, groups) float64, without the resamples that lack a class.
        confidence: share of resamples inside an interval.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    codes: np.ndarray
    drawn: np.ndarray
    confidence: float

    @property
    def positive(self) -> np.ndarray:
        """(groups,) bool: groups with a positive."""
        return np.bincount(self.codes, weights=self.labels) > 0

    @property
    def negative(self) -> np.ndarray:
        """(groups,) bool: groups with a negative."""
        return np.bincount(self.codes, weights=~self.labels) > 0

    @property
    def both_classes_vary(self) -> bool:
        """Whether resamples can show how a figure that uses both classes varies."""
        positive = self.positive
        return can_vary(positive, positive) and can_vary(positive, self.negative)

    @property
    def fewest_groups(self) -> int:
        """Number of groups with a positive, or with a negative, whichever is smaller."""
        return int(min(self.positive.sum(), self.negative.sum()))

    def by_group(self, column: np.ndarray, columns: int, weights: np.ndarray) -> np.ndarray:
        """(groups, columns) float64: sums of weights (n,) by group and column (n,) of every case."""
        cell = self.codes * columns + column
        groups = self.drawn.shape[1]
        sums = np.bincount(cell, weights=weights, minlength=groups * columns)
        return sums.reshape(groups, columns)

    def metric(self, value: float, resampled: np.ndarray, varies: bool, groups: int) -> Metric:
        """`value` with the interval of `resampled`, (resamples,), NaN where it is undefined.

        If every resample gives 0 or 1, the interval ends at the exact binomial bound for
        `groups` groups that agree. There is no interval if the figure cannot vary.
        """
        if not varies or np.isnan(resampled).all():
            return Metric(value)
        return unanimous(percentiles(value, resampled, self.confidence), groups, self.confidence)


def checked_cases(
    labels: np.ndarray,
    probabilities: np.ndarray,
    codes: np.ndarray,
    drawn: np.ndarray,
    confidence: float,
) -> Cases:
    """Checked cases, ready for figures with intervals.

    Args:
        labels: (n,) 0 or 1, both present.
        probabilities: (n,) in [0, 1].
        codes: (n,) int, patient group, numbered from 0 without gaps.
        drawn: (resamples, groups), how often each group is drawn, from `intervals.draws`.
        confidence: between 0 and 1.

    Raises:
        EvaluationError: the arguments are not as described.
    """
    positive = checked_labels(labels)
    check_both_classes(positive, "Every case")
    chances = checked_probabilities(probabilities, len(positive))
    check_resampling(codes, drawn, len(positive), confidence)
    per_group = np.stack([np.bincount(codes, weights=c) for c in (positive, ~positive)], axis=1)
    has_both_classes = (drawn @ per_group > 0).all(axis=1)
    return Cases(
        labels=positive,
        probabilities=chances,
        codes=codes.astype(np.intp),
        drawn=drawn[has_both_classes].astype(np.float64),
        confidence=confidence,
    )


def check_resampling(codes: np.ndarray, drawn: np.ndarray, cases: int, confidence: float) -> None:
    """Raises `EvaluationError` unless the arguments fit the description of `checked_cases`."""
    if codes.shape != (cases,) or codes.dtype.kind not in "iu":
        raise EvaluationError(
            f"The group codes are {codes.dtype} of the shape {codes.shape}; expected {cases:,} "
            "whole numbers, one for each label."
        )
    groups = np.unique(codes)
    if groups[0] != 0 or groups[-1] != len(groups) - 1:
        raise EvaluationError(
            f"The group codes run from {groups[0]} to {groups[-1]} over {len(groups):,} groups; "
            "expected every number from 0; renumber the groups of these cases."
        )
    if drawn.ndim != 2 or not len(drawn) or drawn.shape[1] != len(groups):
        raise EvaluationError(
            f"The resamples have the shape {drawn.shape}; expected at least one row and a column "
            f"for each of {len(groups):,} patient groups."
        )
    if not (np.isfinite(drawn) & (drawn >= 0)).all():
        raise EvaluationError(
            "The resamples draw a group a negative or undefined number of times; expected the "
            "result of `intervals.draws`."
        )
    if not 0.0 < confidence < 1.0:
        raise EvaluationError(f"The confidence is {confidence}; expected a number between 0 and 1.")
