"""The Compare page on paper: what was compared, matrices, figures, curves, differences, leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from reportlab.platypus import Flowable, KeepTogether

from hemodetect.evaluation import PUBLISHED, LeakageGap, Scores
from hemodetect.evaluation.comparison import ComparedModel, Comparison
from hemodetect.evaluation.comparison_view import ComparisonView, Thresholds
from hemodetect.evaluation.curves import RocCurve
from hemodetect.evaluation.leakage import gap_sentences
from hemodetect.evaluation.metrics import Metric
from hemodetect.evaluation.table import area, percent
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.reports.comparison import stamp_lines
from hemodetect.reports.comparison_drawings import (
    MOST_CURVES,
    PER_ROW,
    confusion_drawing,
    roc_drawing,
)
from hemodetect.reports.pdf import (
    CAPTION,
    HEADING,
    NAME_LENGTH,
    TITLE,
    bullets,
    document,
    paragraph,
    printable,
    table,
)

_MOST_ROWS = 20
"""Sets that are listed."""
_VERSION = 90
"""Most characters of a bundle's version: the longest recipe, a date and a hash are 80."""


def comparison_pdf(
    view: ComparisonView,
    thresholds: Thresholds,
    scores: Mapping[str, Scores],
    roc: Mapping[str, RocCurve],
    gaps: Sequence[LeakageGap],
    sentences: Sequence[str],
) -> bytes:
    """A PDF on A4, every page stamped with bundles, data, date and number; no image of a patient.

    The same arguments give the same bytes.

    Args:
        view: the cases compared.
        thresholds: key of a model -> threshold, or one for every case (n,).
        scores: key -> figures at these thresholds.
        roc: key -> curve; models without one are left out of the chart.
        gaps: of the leakage table; may be empty.
        sentences: the differences in words; may be empty.
    """
    models = view.comparison.models
    title = f"Comparison of {len(models)} model{'' if len(models) == 1 else 's'}, by {view.level}"
    story: list[Flowable] = [
        paragraph(title, style=TITLE),
        *_compared(view, scores[models[0].key]),
        *_models(models),
        *_matrices(models, scores),
        *_figures(view, thresholds, scores),
        *_curves([model for model in models if model.key in roc], roc, scores),
        *_differences(models, sentences),
        *_leakage(gaps),
    ]
    return document(story, f"hemodetect: {title}", _stamp(view))


def _stamp(view: ComparisonView) -> list[str]:
    """The stamp with names cut, so that none can push a fingerprint or a hash off the page."""
    comparison = view.comparison
    brief = replace(
        comparison,
        fingerprints={
            printable(name, NAME_LENGTH): printable(found, NAME_LENGTH)
            for name, found in comparison.fingerprints.items()
        },
        models=tuple(
            replace(model, version=printable(model.version, _VERSION))
            for model in comparison.models
        ),
    )
    return stamp_lines(replace(view, comparison=brief))


def _compared(view: ComparisonView, first: Scores) -> list[Flowable]:
    comparison = view.comparison
    slices = comparison.slices
    names = list(comparison.fingerprints)
    rows = [
        (
            printable(name, NAME_LENGTH),
            printable(comparison.fingerprints[name], NAME_LENGTH),
            _origins(comparison, name),
            *_counts(view, name),
        )
        for name in names[:_MOST_ROWS]
    ]
    heads = ["Set", "Fingerprint", "Predictions", "Slices", "Patient folders", "Patients"]
    counted = "slices" if view.level == "slice" else "patient folders"
    heads.append(f"{'Slices' if view.level == 'slice' else 'Folders'} labelled hemorrhage")
    left_out = len(names) - len(rows)
    positions = Counter(place for place in slices["position"] if place)
    unknown = len(slices) - sum(positions.values())
    known = [f"{printable(place, 20)} {n:,}" for place, n in positions.most_common(6)]
    placed = ", ".join([*known, f"not known {unknown:,}"] if unknown else known)
    more = f" And {left_out:,} more sets." if left_out else ""
    where = f" Slices by position in the head: {placed}." if positions else ""
    return [
        paragraph("What was compared", style=HEADING),
        table(heads, rows, (20, 19, 18, 10, 10, 10, 14)),
        paragraph(
            f"{first.n:,} {counted}, {first.n_positive:,} labelled hemorrhage, of"
            f" {first.n_groups:,} patients (folders of one person counted once)."
            " Out-of-fold: each patient was judged by a model that was trained without that patient."
            f" Outside: a set that the model was not trained on.{where}{more}",
            style=CAPTION,
        ),
    ]


def _origins(comparison: Comparison, name: str) -> str:
    """E.g. ``out-of-fold``, or each origin with its models where they differ."""
    by_origin: dict[str, list[str]] = {}
    for model in comparison.models:
        origin = printable(model.origins.get(name, "not told"), 20)
        by_origin.setdefault(origin, []).append(printable(model.name, 30))
    if len(by_origin) == 1:
        return next(iter(by_origin))
    return "; ".join(f"{origin}: {', '.join(who)}" for origin, who in by_origin.items())


def _counts(view: ComparisonView, name: str) -> tuple[str, str, str, str]:
    """Slices, folders, patients of a set, and its cases labelled hemorrhage."""
    slices, cases = view.comparison.slices, view.cases
    own = slices[slices["set"] == name]
    bleeding = int(cases.loc[cases["set"] == name, "label"].sum())
    return (
        f"{len(own):,}",
        f"{own['patient'].nunique():,}",
        f"{own['group'].nunique():,}",
        f"{bleeding:,}",
    )


def _models(models: Sequence[ComparedModel]) -> list[Flowable]:
    rows = [
        (
            FAMILY_NAMES[model.family],
            printable(model.recipe, NAME_LENGTH),
            printable(model.version, _VERSION),
            f"{100 * model.threshold:.1f} %",
            printable(model.threshold_reason, 120),
        )
        for model in models
    ]
    heads = ("Model", "Recipe", "Bundle", "Released with threshold", "Because")
    return [
        paragraph("Models", style=HEADING),
        table(heads, rows, (18, 9, 24, 11, 46)),
    ]


def _matrices(models: Sequence[ComparedModel], scores: Mapping[str, Scores]) -> list[Flowable]:
    panels = [
        (m.name.removesuffix(f" ({m.recipe})"), m.recipe, scores[m.key].confusion) for m in models
    ]
    drawings = [
        confusion_drawing(panels[start : start + PER_ROW])
        for start in range(0, len(panels), PER_ROW)
    ]
    note = paragraph(
        "Counts, and percentages of the row. Missed: labelled hemorrhage and not called. False alarm:"
        " called and not labelled.",
        style=CAPTION,
    )
    heading = paragraph("Confusion matrices", style=HEADING)
    return [KeepTogether([heading, drawings[0]]), *drawings[1:], note]


def _figures(
    view: ComparisonView, thresholds: Thresholds, scores: Mapping[str, Scores]
) -> list[Flowable]:
    models = view.comparison.models
    rows = [
        (
            (FAMILY_NAMES[model.family], printable(model.recipe, NAME_LENGTH)),
            _threshold(thresholds[model.key]),
            _two_lines(percent(found.accuracy)),
            f"{100 * found.majority_baseline:.1f} %",
            _two_lines(percent(found.balanced_accuracy)),
            _two_lines(percent(found.sensitivity)),
            _two_lines(percent(found.specificity)),
            _two_lines(area(found.auroc)),
        )
        for model in models
        for found in (scores[model.key],)
    ]
    heads = ("Model", "Threshold in force", "Right", "Always the commoner answer",
             "Balanced accuracy", "Sensitivity", "Specificity", "AUROC")  # fmt: skip
    return [
        paragraph("Figures at the thresholds in force", style=HEADING),
        table(heads, rows, (18, 15, 14, 14, 14, 14, 14, 13)),
        paragraph(
            f"Right: share of {view.level}s called as labelled. Balanced accuracy: mean of"
            " sensitivity and specificity. In brackets 95 % intervals from resampling patients;"
            f" “no interval” where there are too few patients to make one. {_better(models, scores)}",
            style=CAPTION,
        ),
    ]


def _better(models: Sequence[ComparedModel], scores: Mapping[str, Scores]) -> str:
    """Which models the commoner answer does not explain away."""

    def surely(found: Metric, baseline: float) -> bool:
        return found.has_interval and found.low > baseline

    useful = [
        printable(model.name, NAME_LENGTH)
        for model in models
        if surely(scores[model.key].accuracy, scores[model.key].majority_baseline)
    ]
    return (
        "Models that are right more often than always giving the commoner answer, interval and all:"
        f" {', '.join(useful) or 'none'}."
    )


def _threshold(threshold: float | np.ndarray) -> tuple[str, ...]:
    if isinstance(threshold, np.ndarray):
        return f"{100 * threshold.min():.1f}-{100 * threshold.max():.1f} %", "by case"
    return (f"{100 * threshold:.1f} %",)


def _two_lines(figure: str) -> list[str]:
    """The figure, and below it the interval."""
    value, interval = figure.split(" (", 1)
    return [value, f"({interval}"]


def _curves(
    models: Sequence[ComparedModel], roc: Mapping[str, RocCurve], scores: Mapping[str, Scores]
) -> list[Flowable]:
    if not models:
        return []
    drawn = models[:MOST_CURVES]
    some = f" Drawn are the first {len(drawn)} of {len(models)} models." if drawn != models else ""
    return [
        KeepTogether(
            [
                paragraph("ROC curves", style=HEADING),
                roc_drawing(drawn, roc, scores),
                paragraph(
                    "Filled symbols: where a model stands at the threshold in force; off its curve"
                    " where the threshold differs from case to case. Dotted diagonal:"
                    f" guessing.{some}",
                    style=CAPTION,
                ),
            ]
        )
    ]


def _differences(models: Sequence[ComparedModel], sentences: Sequence[str]) -> list[Flowable]:
    if not sentences:
        return []
    pairs = len(models) * (len(models) - 1) // 2
    looked = "One pair is" if pairs == 1 else f"{pairs} pairs are"
    return [
        paragraph("Differences in words", style=HEADING),
        *bullets(sentences),
        paragraph(
            f"Intervals resample patients, the same for both models. {looked} looked at; about one in"
            " twenty pairs that are truly alike would look different.",
            style=CAPTION,
        ),
    ]


def _leakage(gaps: Sequence[LeakageGap]) -> list[Flowable]:
    if not gaps:
        return []
    rows = [
        (
            (FAMILY_NAMES[gap.family], printable(gap.recipe, NAME_LENGTH)),
            _two_lines(percent(gap.paper_accuracy)),
            _two_lines(percent(gap.patient_accuracy)),
            f"{100 * gap.accuracy:.1f} points",
            f"{100 * gap.majority_baseline:.1f} %",
            _two_lines(area(gap.paper_auroc)),
            _two_lines(area(gap.patient_auroc)),
            _published(gap),
        )
        for gap in gaps
    ]
    heads = ("Model", "Right, same patients in training", "Right, patients never seen",
             "Leakage gap", "Always the commoner answer", "AUROC, same patients",
             "AUROC, never seen", "Right, as published")  # fmt: skip
    return [
        KeepTogether(
            [
                paragraph("The leakage gap, by slice", style=HEADING),
                *(paragraph(sentence) for sentence in gap_sentences(gaps)),
                table(heads, rows, (18, 14, 14, 12, 14, 13, 13, 12)),
                paragraph(
                    "From the cards of the bundles, at the thresholds they were released with. As"
                    " published: the study's own validation accuracy, of slices split at random.",
                    style=CAPTION,
                ),
            ]
        )
    ]


def _published(gap: LeakageGap) -> str:
    found = PUBLISHED.get((gap.family, gap.recipe))
    return "not in the study" if found is None else f"{100 * found.accuracy:.1f} %"
