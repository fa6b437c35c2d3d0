"""The table of results: ours next to the study's, in Markdown that also reads well on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, Scores
from hemodetect.models.families import FAMILY_NAMES


@dataclass(frozen=True)
class Published:
    """What the study reports; its accuracies are of slices under a split of slices.

    Attributes:
        accuracy: validation accuracy, 0 to 1.
        training_minutes: about, on the study's machine; None where it is not stated.
        training_accuracy, loss: where its curves end; None where it does not say.
    """

    accuracy: float
    training_minutes: float | None = None
    training_accuracy: float | None = None
    loss: float | None = None


PUBLISHED = {
    ("svm", "paper"): Published(0.595, 30),
    ("svm", "paper-poly"): Published(0.58),
    ("svm", "paper-linear"): Published(0.52),
    ("logistic", "paper"): Published(0.521, 3),
    ("cnn", "paper"): Published(0.731, 35, 0.94),  # on an NVIDIA T4
    ("rnn", "paper"): Published(0.589, 13, 0.678, 0.697),
    ("attention_rnn", "paper"): Published(0.60, 30, 0.78, 0.67),
}
"""(family, recipe) -> the study's figures."""


@dataclass(frozen=True)
class Evaluated:
    """One trained recipe and its out-of-fold figures.

    Attributes:
        family: a key of `FAMILY_NAMES`.
        recipe: name of the recipe.
        split: "paper", "patient", or "external: " and the name of a data set the model was not
            trained on.
        slice_scores: by slice.
        patient_scores: by patient (mean of a patient's slices).
        folder_label: slices carry the label of their folder, see `metrics.level_scores`.
        training_seconds: of all folds together; None if unknown.
    """

    family: str
    recipe: str
    split: str
    slice_scores: Scores
    patient_scores: Scores
    training_seconds: float | None
    folder_label: bool = False


HEADINGS = (
    "Model",
    "Recipe",
    "Split",
    "Counted",
    "Accuracy",
    "Majority baseline",
    "Balanced accuracy",
    "Sensitivity",
    "Specificity",
    "AUROC",
    "Training",
    "Study: accuracy",
    "Study: training",
)


def results_table(rows: Sequence[Evaluated]) -> str:
    """Two lines a row (by slice, by patient), intervals in brackets, families in the usual order.

    The study's figures are on the slice rows of its own recipes. No line break at the end.

    Raises:
        EvaluationError: no row, or a family that is not a key of `FAMILY_NAMES`.
    """
    if not rows:
        raise EvaluationError("There is nothing to tabulate; evaluate at least one bundle.")
    order = list(FAMILY_NAMES)
    for row in rows:
        if row.family not in order:
            raise EvaluationError(
                f"No model family is named {row.family!r}; expected one of {', '.join(order)}."
            )
    ordered = sorted(rows, key=lambda row: (order.index(row.family), row.recipe, _place(row.split)))
    lines = [HEADINGS, *(line for row in ordered for line in _lines(row))]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def percent(metric: Metric) -> str:
    """E.g. ``61.0 % (52.3-69.8)``, or ``61.0 % (no interval)``."""
    interval = f"{100 * metric.low:.1f}-{100 * metric.high:.1f}"
    return f"{100 * metric.value:.1f} % ({interval if metric.has_interval else 'no interval'})"


def area(metric: Metric) -> str:
    """E.g. ``0.62 (0.51-0.72)``, or ``0.62 (no interval)``."""
    interval = f"{metric.low:.2f}-{metric.high:.2f}"
    return f"{metric.value:.2f} ({interval if metric.has_interval else 'no interval'})"


def duration(seconds: float) -> str:
    """E.g. ``48 s``, ``13 min``, ``2 h 05 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _lines(row: Evaluated) -> list[tuple[str, ...]]:
    name = FAMILY_NAMES[row.family]
    trained = "" if row.training_seconds is None else duration(row.training_seconds)
    # The study measured slices of its own set; no number of its belongs beside another set.
    study = ("", "") if row.split.startswith("external") else _study(row.family, row.recipe)
    of_slices = (trained, *study)
    return [
        (name, row.recipe, row.split, *_figures(row.slice_scores, row.folder_label), *of_slices),
        (name, row.recipe, row.split, *_figures(row.patient_scores), "", "", ""),
    ]


def _figures(scores: Scores, folder_label: bool = False) -> tuple[str, ...]:
    return (
        f"{scores.n:,} {scores.level}s" + (", folder label" if folder_label else ""),
        percent(scores.accuracy),
        f"{100 * scores.majority_baseline:.1f} %",
        percent(scores.balanced_accuracy),
        percent(scores.sensitivity),
        percent(scores.specificity),
        area(scores.auroc),
    )


def _study(family: str, recipe: str) -> tuple[str, str]:
    published = PUBLISHED.get((family, recipe))
    if published is None:
        return "not in the study", ""
    minutes = published.training_minutes
    return (
        f"{100 * published.accuracy:.1f} %",
        "not stated" if minutes is None else f"about {minutes:.0f} min",
    )


def _place(split: str) -> tuple[bool, str]:
    """Orders the study's split, then unseen patients, then external data sets."""
    return split.startswith("external"), split
