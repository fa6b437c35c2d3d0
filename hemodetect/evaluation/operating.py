"""Operating points: the threshold that a rule picks from labelled cases.

Calls change only where the threshold passes an observed probability, so each rule looks at one
candidate for every set of calls: the highest threshold that makes them. Those are the observed
probabilities (as float32, as `levels.called` compares them) and, where the highest of them is
below 1, the threshold 1.0, at which nothing is called.

A threshold judged on the cases that it was chosen on flatters the model. Where out-of-fold
predictions are judged, use `thresholds_on_other_folds`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hemodetect.evaluation.levels import EvaluationError

# A sensitivity of 0.1 * 7 must be reached by 7 hemorrhages of 10, and costs that differ only by
# rounding must tie.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every set of calls that a threshold can make, by rising threshold.

    Attributes:
        thresholds: (k,) float32, the highest threshold with these calls.
        missed: (k,) int64, hemorrhages not called.
        false_alarms: (k,) int64, calls without hemorrhage.
        positives, negatives: number of cases with and without hemorrhage.
    """

    thresholds: np.ndarray
    missed: np.ndarray
    false_alarms: np.ndarray
    positives: int
    negatives: int


@dataclass(frozen=True)
class Youden:
    """Most sensitivity + specificity - 1 (W. Youden, Cancer 1950, 3, 32); ties: the lowest."""

    @property
    def words(self) -> str:
        """The rule as a phrase."""
        return "most sensitivity plus specificity (Youden)"

    def position(self, candidates: Candidates) -> int:
        """Row of the chosen candidate."""
        # The index times positives * negatives, in whole numbers, so that ties are exact.
        lost = candidates.missed * candidates.negatives
        return int(np.argmin(lost + candidates.false_alarms * candidates.positives))


@dataclass(frozen=True)
class TargetSensitivity:
    """The highest threshold that reaches a sensitivity, which is the best specificity with it.

    Attributes:
        sensitivity: above 0, up to 1; on the cases that the threshold is chosen on.
    """

    sensitivity: float

    def __post_init__(self) -> None:
        if not 0.0 < self.sensitivity <= 1.0:
            raise EvaluationError(
                f"The target sensitivity is {self.sensitivity}; expected a number above 0, up to 1."
            )

    @property
    def words(self) -> str:
        """The rule as a phrase."""
        if self.sensitivity == 1.0:
            return "all hemorrhages called"
        return f"at least {100 * self.sensitivity:.10g} % of hemorrhages called"

    def position(self, candidates: Candidates) -> int:
        """Row of the chosen candidate."""
        called = candidates.positives - candidates.missed
        reached = called >= self.sensitivity * candidates.positives - ROUNDING
        return int(np.flatnonzero(reached)[-1])


@dataclass(frozen=True)
class CostRatio:
    """Least cost, `missed_per_false_alarm` * missed + false alarms; ties: the lowest threshold.

    The cost is that of the cases given, with their share of hemorrhages. Where bleeds are rarer
    than there, the threshold of least cost is higher.

    Attributes:
        missed_per_false_alarm: false alarms that one missed hemorrhage counts as; above 0.
    """

    missed_per_false_alarm: float

    def __post_init__(self) -> None:
        if not 0.0 < self.missed_per_false_alarm < math.inf:
            raise EvaluationError(
                f"The cost ratio is {self.missed_per_false_alarm}; expected how many false alarms "
                "one missed bleed counts as, a number above 0."
            )

    @property
    def words(self) -> str:
        """The rule as a phrase."""
        alarms = "false alarm" if self.missed_per_false_alarm == 1 else "false alarms"
        return f"a missed bleed counts as {self.missed_per_false_alarm:,.10g} {alarms}"

    def position(self, candidates: Candidates) -> int:
        """Row of the chosen candidate."""
        # Divided by 1 + ratio, so that no ratio overflows.
        total_weight = 1 + self.missed_per_false_alarm
        cost = (
            self.missed_per_false_alarm / total_weight * candidates.missed
            + candidates.false_alarms / total_weight
        )
        return int(np.argmax(cost <= cost.min() * (1 + ROUNDING)))


Rule = Youden | TargetSensitivity | CostRatio


def chosen_threshold(labels: np.ndarray, probabilities: np.ndarray, rule: Rule) -> float:
    """The threshold in [0, 1] that `rule` picks on these cases.

    It is an observed probability, rounded to float32, or 1.0 where calling nothing is best. Where a
    probability is 1 there is no threshold in [0, 1] that calls nothing, and it is not considered.

    Args:
        labels: (n,) 0 or 1, 1 is hemorrhage.
        probabilities: (n,) in [0, 1].

    Raises:
        EvaluationError: no case, one class only, a label other than 0 and 1, a probability outside
            [0, 1], or lengths that differ.
    """
    positive = checked_labels(labels)
    scores = checked_probabilities(probabilities, len(positive))
    check_both_classes(positive, "Every case")
    return _threshold(positive, scores, rule)


def thresholds_on_other_folds(
    labels: np.ndarray, probabilities: np.ndarray, folds: np.ndarray, rule: Rule
) -> np.ndarray:
    """(n,) float32: for every case, the threshold that `rule` picks on the other folds' cases.

    So the calls of a fold, ``levels.called(probabilities, thresholds)``, rest on patients that are
    not in it, if the folds keep patients apart: those of the paper split do not.

    Args:
        labels, probabilities: as in `chosen_threshold`, out-of-fold.
        folds: (n,) whole numbers, the fold that each case was tested in.

    Raises:
        EvaluationError: as `chosen_threshold`, folds that are not n whole numbers, one fold only,
            or a fold without which one class is left.
    """
    positive = checked_labels(labels)
    scores = checked_probabilities(probabilities, len(positive))
    numbers = _checked_folds(folds, len(positive))
    thresholds = np.empty(len(positive), dtype=np.float32)
    for fold in np.unique(numbers):
        in_fold = numbers == fold
        check_both_classes(positive[~in_fold], f"Without fold {fold} every case")
        thresholds[in_fold] = _threshold(positive[~in_fold], scores[~in_fold], rule)
    return thresholds


def checked_labels(labels: np.ndarray) -> np.ndarray:
    """(n,) bool of labels (n,) 0 or 1.

    Raises:
        EvaluationError: no case, not one-dimensional, or a label other than 0 and 1.
    """
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "biuf":
        raise EvaluationError(
            f"The labels are {numbers.dtype} of the shape {numbers.shape}; expected one number for "
            "each of at least one case."
        )
    wrong = ~np.isin(numbers, (0, 1))
    if wrong.any():
        raise EvaluationError(
            f"Case {wrong.argmax()} has the label {numbers[wrong][0]}; expected 0 (no hemorrhage) or "
            "1 (hemorrhage)."
        )
    return numbers.astype(bool)


def checked_probabilities(probabilities: np.ndarray, cases: int) -> np.ndarray:
    """(cases,) float32 of probabilities (cases,) in [0, 1].

    Raises:
        EvaluationError: another shape, not numbers, or a number outside [0, 1].
    """
    numbers = np.asarray(probabilities)
    if numbers.shape != (cases,) or numbers.dtype.kind not in "fiu":
        raise EvaluationError(
            f"The probabilities are {numbers.dtype} of the shape {numbers.shape}; expected "
            f"{cases:,} numbers, one for each label."
        )
    wrong = ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        raise EvaluationError(
            f"Case {wrong.argmax()} has the probability {numbers[wrong][0]}; expected a number from "
            "0 to 1."
        )
    return numbers.astype(np.float32)


def check_both_classes(positive: np.ndarray, which: str) -> None:
    """Raises `EvaluationError` unless (n,) bool holds both; `which` begins its sentence."""
    if positive.all() or not positive.any():
        only = "hemorrhage" if positive.any() else "no hemorrhage"
        raise EvaluationError(
            f"{which} is labelled {only!r}; cases of both classes are needed here."
        )


def _threshold(positive: np.ndarray, scores: np.ndarray, rule: Rule) -> float:
    candidates = _candidates(positive, scores)
    return float(candidates.thresholds[rule.position(candidates)])


def _candidates(positive: np.ndarray, scores: np.ndarray) -> Candidates:
    thresholds, place = np.unique(scores, return_inverse=True)
    k = len(thresholds)
    # Row i: the cases below candidate i. A last row, all of them, is for calling nothing.
    below = np.zeros((2, k + 1), dtype=np.int64)
    for row, members in enumerate((positive, ~positive)):
        below[row, 1:] = np.bincount(place[members], minlength=k).cumsum()
    if thresholds[-1] < 1:
        thresholds = np.append(thresholds, np.float32(1))
    missed, rejected = below[:, : len(thresholds)]
    positives = int(positive.sum())
    negatives = len(positive) - positives
    return Candidates(thresholds, missed, negatives - rejected, positives, negatives)


def _checked_folds(folds: np.ndarray, cases: int) -> np.ndarray:
    numbers = np.asarray(folds)
    if numbers.shape != (cases,) or numbers.dtype.kind not in "iu":
        raise EvaluationError(
            f"The folds are {numbers.dtype} of the shape {numbers.shape}; expected {cases:,} whole "
            "numbers, one for each label."
        )
    if numbers.min() == numbers.max():
        raise EvaluationError(
            f"All predictions are of fold {numbers[0]}, so no other patients are left to choose a "
            "threshold on; give out-of-fold predictions of at least two folds."
        )
    return numbers
