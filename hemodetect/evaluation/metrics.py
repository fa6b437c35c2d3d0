"""Figures of one set of predictions, each with an interval that resamples patient groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hemodetect.evaluation.intervals import (
    GroupCounts,
    area_interval,
    can_vary,
    confusion_counts,
    draws,
    ordered_pairs,
    rates,
    unanimous_bound,
)
from hemodetect.evaluation.levels import (
    EvaluationError,
    Level,
    by_folder_label,
    called,
    has_folder_labels,
    patient_level,
    slice_level,
)


@dataclass(frozen=True)
class Metric:
    """A figure with its interval; `low` and `high` are NaN where no interval can be made."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True)
class Confusion:
    """Counts of label against call: true/false (t, f) negatives/positives (n, p)."""

    tn: int
    fp: int
    fn: int
    tp: int


@dataclass(frozen=True)
class Scores:
    """Figures of predictions, by slice or by patient.

    Attributes:
        level: what is counted.
        n: slices or patients counted.
        n_positive: those labelled hemorrhage.
        n_groups: patient groups that the intervals resample.
        threshold: probability from which hemorrhage is called; None where it differs by case.
        majority_baseline: accuracy of always calling the more frequent class.
        auroc: area under the receiver operating characteristic; does not depend on the threshold.
    """

    level: Level
    n: int
    n_positive: int
    n_groups: int
    threshold: float | None
    accuracy: Metric
    majority_baseline: float
    balanced_accuracy: Metric
    sensitivity: Metric
    specificity: Metric
    auroc: Metric
    confusion: Confusion


def scores_of_card(figures: Mapping[str, Any]) -> Scores:
    """The figures of one level as a bundle's card holds them.

    Raises:
        EvaluationError: one is missing, or there is one too many.
    """
    try:
        values: dict[str, Any] = {
            name: Metric(**value) if isinstance(value, Mapping) and "value" in value else value
            for name, value in figures.items()
        }
        return Scores(**{**values, "confusion": Confusion(**values["confusion"])})
    except (TypeError, KeyError) as error:
        raise EvaluationError(f"The card's figures cannot be read ({error}).") from error


def scores(
    predictions: pd.DataFrame,
    *,
    level: Level = "slice",
    threshold: float = 0.5,
    groups: Mapping[str, str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Scores:
    """Figures of out-of-fold predictions, with bootstrap percentile intervals.

    Patient groups are drawn with replacement, all their slices with them; groups with and without
    a hemorrhage are drawn separately. There are two exceptions: a figure that uses a single group
    (of its class) has no interval; and if all groups agree, so that every resample gives 0 % or
    100 %, the interval ends at the exact binomial bound for that number of groups instead of having
    no width. An AUROC's interval is never narrower than `intervals.area_interval`. Resamples in
    which a figure is undefined (possible only where no group is free of hemorrhage) are left out.

    Args:
        predictions: see `slice_level`.
        level: count slices, or patients by the mean of their slices.
        threshold: probability from which hemorrhage is called.
        groups: patient -> patient group; by default every patient is one.
        resamples: number of bootstrap resamples.
        seed: of the resampling; the order of the rows does not matter.
        confidence: share of resamples inside the interval.

    Raises:
        EvaluationError: predictions that `slice_level` refuses or of one class only, a patient
            without a group, or an argument out of range.
    """
    _check_arguments(level, resamples, confidence)
    counted = (
        slice_level(predictions) if level == "slice" else patient_level(predictions, threshold)
    )
    cases = judged(
        level,
        counted["label"].to_numpy(),
        counted["probability"].to_numpy(),
        group_codes(counted["patient"], groups),
        resamples=resamples,
        seed=seed,
        confidence=confidence,
    )
    return cases.at(threshold)


@dataclass(frozen=True, eq=False)
class Judged:
    """Cases with their probabilities, and all values that do not depend on the threshold.

    Attributes:
        level: what a case is.
        labels: (n,) 0 or 1, both present.
        probabilities: (n,) float32 in [0, 1].
        codes: (n,) code of a case's patient group, from 0, none left out.
        pairs: of `intervals.ordered_pairs`.
        drawn: (resamples, groups), of `intervals.draws`.
        confidence: share of resamples inside an interval.
    """

    level: Level
    labels: np.ndarray
    probabilities: np.ndarray
    codes: np.ndarray
    pairs: np.ndarray
    drawn: np.ndarray
    confidence: float

    def at(self, threshold: float | np.ndarray) -> Scores:
        """Figures at a threshold, or at one for every case (n,)."""
        calls = called(self.probabilities, threshold)
        counts = GroupCounts(confusion_counts(self.labels, calls, self.codes), self.pairs)
        tn, fp, fn, tp = (int(total) for total in counts.confusion.sum(axis=0))
        return Scores(
            level=self.level,
            n=len(self.labels),
            n_positive=fn + tp,
            n_groups=len(counts.confusion),
            threshold=None if isinstance(threshold, np.ndarray) else threshold,
            majority_baseline=max(tn + fp, fn + tp) / len(self.labels),
            confusion=Confusion(tn, fp, fn, tp),
            **_metrics(counts, self.drawn, self.confidence),
        )


def level_scores(
    predictions: pd.DataFrame,
    level: Level,
    *,
    threshold: float,
    slice_threshold: float | None,
    groups: Mapping[str, str] | None = None,
) -> Scores:
    """`scores` of a model at its operating points, as the labels of the set ask.

    Args:
        predictions: see `slice_level`.
        level: count slices or patients.
        threshold: of patients, and of slices that have no other.
        slice_threshold: of slices that answer for themselves, not for their patient; None where they
            do not. Where slices carry the label of their folder, such a model's figures by slice are
            those of the patient's probability, given to each of its slices.
        groups: patient -> patient group.

    Raises:
        EvaluationError: as `scores`.
    """
    if level == "slice" and slice_threshold is not None:
        if has_folder_labels(predictions):
            predictions = by_folder_label(predictions)
        else:
            threshold = slice_threshold
    return scores(predictions, level=level, threshold=threshold, groups=groups)


def judged(
    level: Level,
    labels: np.ndarray,
    probabilities: np.ndarray,
    codes: np.ndarray,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Judged:
    """Prepares cases for figures at many thresholds; arguments as the attributes of `Judged`.

    Raises:
        EvaluationError: all cases have one label.
    """
    _check_classes(labels, level)
    positive = np.bincount(codes, weights=labels) > 0
    return Judged(
        level=level,
        labels=labels,
        probabilities=probabilities,
        codes=codes,
        pairs=ordered_pairs(labels, probabilities, codes),
        drawn=draws(positive, resamples, seed),
        confidence=confidence,
    )


def _metrics(counts: GroupCounts, drawn: np.ndarray, confidence: float) -> dict[str, Metric]:
    positive, negative = counts.positives > 0, counts.negatives > 0
    values = {name: float(v[0]) for name, v in rates(counts, np.ones((1, len(positive)))).items()}
    resampled = rates(counts, drawn)
    both = can_vary(positive, positive) and can_vary(positive, negative)
    possible = {
        "accuracy": can_vary(positive, positive | negative),
        "balanced_accuracy": both,
        "sensitivity": can_vary(positive, positive),
        "specificity": can_vary(positive, negative),
        "auroc": both,
    }
    metrics = {
        name: percentiles(value, resampled[name], confidence) if possible[name] else Metric(value)
        for name, value in values.items()
    }
    return metrics | _widened(metrics, counts, confidence)


def percentiles(value: float, resampled: np.ndarray, confidence: float) -> Metric:
    """`value` with the percentile interval of `resampled` (resamples,), NaN left out."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Metric(value, float(low), float(high))


def _widened(
    metrics: dict[str, Metric], counts: GroupCounts, confidence: float
) -> dict[str, Metric]:
    """Intervals in place of those that have no width because all groups agree."""
    n_positive = int((counts.positives > 0).sum())
    n_negative = int((counts.negatives > 0).sum())
    sensitivity = unanimous(metrics["sensitivity"], n_positive, confidence)
    specificity = unanimous(metrics["specificity"], n_negative, confidence)
    share = float(counts.positives.sum() / counts.confusion.sum())
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "accuracy": _mixed(metrics["accuracy"], share, sensitivity, specificity),
        "balanced_accuracy": _mixed(metrics["balanced_accuracy"], 0.5, sensitivity, specificity),
        "auroc": wide_area(metrics["auroc"], n_positive, n_negative, confidence),
    }


def wide_area(metric: Metric, positive: int, negative: int, confidence: float) -> Metric:
    """An AUROC whose interval is at least as wide as its score interval for so many groups.

    Near 0 and 1 resampled groups nearly all agree, and their percentiles promise more than so few
    groups can show. A model that gives every case the same probability has 0.5 whoever is drawn.
    """
    if not metric.has_interval or metric.low == metric.high == 0.5:
        return metric
    low, high = area_interval(metric.value, positive, negative, confidence)
    return Metric(metric.value, min(metric.low, low), max(metric.high, high))


def unanimous(metric: Metric, groups: int, confidence: float) -> Metric:
    """`metric`, ending at the exact binomial bound where all of `groups` groups gave 0 or 1."""
    if metric.low != metric.high or metric.value not in (0.0, 1.0):
        return metric
    bound = unanimous_bound(groups, confidence)
    return Metric(1.0, bound, 1.0) if metric.value else Metric(0.0, 0.0, 1 - bound)


def _mixed(metric: Metric, share: float, sensitivity: Metric, specificity: Metric) -> Metric:
    """`metric` with bounds mixed from those of its two parts, where it has none of its own."""
    if metric.low != metric.high:
        return metric
    return Metric(
        metric.value,
        share * sensitivity.low + (1 - share) * specificity.low,
        share * sensitivity.high + (1 - share) * specificity.high,
    )


def group_codes(patients: pd.Series, groups: Mapping[str, str] | None) -> np.ndarray:
    """(n,) code of every row's group, by the groups' names in order."""
    if groups is None:
        group_names = patients
    else:
        missing = sorted(set(patients) - set(groups))
        if missing:
            raise EvaluationError(
                f"Patient {missing[0]} has no patient group; give the groups of the split that made "
                "these predictions."
            )
        group_names = patients.map(dict(groups))
    return np.unique(group_names.to_numpy(dtype=str), return_inverse=True)[1]


def _check_arguments(level: str, resamples: int, confidence: float) -> None:
    if level not in ("slice", "patient"):
        raise EvaluationError(f"The level is {level!r}; expected 'slice' or 'patient'.")
    if resamples < 1:
        raise EvaluationError(f"The number of resamples is {resamples}; expected at least 1.")
    if not 0.0 < confidence < 1.0:
        raise EvaluationError(f"The confidence is {confidence}; expected a number between 0 and 1.")


def _check_classes(labels: np.ndarray, level: Level) -> None:
    if labels.min() == labels.max():
        only = "hemorrhage" if labels[0] else "no hemorrhage"
        raise EvaluationError(
            f"Every {level} is labelled {only!r}; sensitivity, specificity and AUROC need both "
            "classes."
        )
