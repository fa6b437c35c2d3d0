"""The Compare page as a PDF: what was compared, matrices, figures, curves, differences, leakage."""

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
"""Most sets in the table."""
_VERSION = 90
"""Most characters of a bundle's version; the longest recipe, a date and a hash have 80."""


def comparison_pdf(
    view: ComparisonView,
    thresholds: Thresholds,
    scores: Mapping[str, Scores],
    roc: Mapping[str, RocCurve],
    gaps: Sequence[LeakageGap],
    sentences: Sequence[str],
) -> bytes:
    """An A4 PDF without patient images; every page shows the bundles, data, date and page number.

    The same arguments give the same bytes.

    Args:
        view: the cases compared.
        thresholds: key of a model -> threshold, or one for every case (n,).
        scores: key -> figures at these thresholds.
        roc: key -> curve; the chart leaves out models without a curve.
        gaps: rows of the leakage table; may be empty.
        sentences: differences between models in words; may be empty.
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
    """The stamp with shortened names, so that no name pushes a fingerprint or hash off the page."""
    comparison = view.comparison
    shortened_comparison = replace(
        comparison,
        fingerprints={
            printable(name, NAME_LENGTH): printable(fingerprint, NAME_LENGTH)
            for name, fingerprint in comparison.fingerprints.items()
        },
        models=tuple(
            replace(model, version=printable(model.version, _VERSION))
            for model in comparison.models
        ),
    )
    return stamp_lines(replace(view, comparison=shortened_comparison))


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
    positions = Counter(position for position in slices["position"] if position)
    n_unknown = len(slices) - sum(positions.values())
    known_counts = [f"{printable(position, 20)} {n:,}" for position, n in positions.most_common(6)]
    position_counts = ", ".join(
        [*known_counts, f"not known {n_unknown:,}"] if n_unknown else known_counts
    )
    more_sets = f" And {left_out:,} more sets." if left_out else ""
    positions_sentence = f" Slices by position in the head: {position_counts}." if positions else ""
    return [
        paragraph("What was compared", style=HEADING),
        table(heads, rows, (20, 19, 18, 10, 10, 10, 14)),
        paragraph(
            f"{first.n:,} {counted}, {first.n_positive:,} labelled hemorrhage, of"
            f" {first.n_groups:,} patients (several folders of one person count once)."
            " Out-of-fold: each patient was predicted by a model that was trained without this patient."
            f" Outside: the model was not trained on this set.{positions_sentence}{more_sets}",
            style=CAPTION,
        ),
    ]


def _origins(comparison: Comparison, name: str) -> str:
    """E.g. ``out-of-fold``, or each origin with its models where they differ."""
    by_origin: dict[str, list[str]] = {}
    for model in comparison.models:
        origin = printable(model.origins.get(name, "not known"), 20)
        by_origin.setdefault(origin, []).append(printable(model.name, 30))
    if len(by_origin) == 1:
        return next(iter(by_origin))
    return "; ".join(
        f"{origin}: {', '.join(model_names)}" for origin, model_names in by_origin.items()
    )


def _counts(view: ComparisonView, name: str) -> tuple[str, str, str, str]:
    """Slices, folders, patients of a set, and its cases labelled hemorrhage."""
    slices, cases = view.comparison.slices, view.cases
    slices_of_set = slices[slices["set"] == name]
    n_hemorrhage = int(cases.loc[cases["set"] == name, "label"].sum())
    return (
        f"{len(slices_of_set):,}",
        f"{slices_of_set['patient'].nunique():,}",
        f"{slices_of_set['group'].nunique():,}",
        f"{n_hemorrhage:,}",
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
            _two_lines(percent(model_scores.accuracy)),
            f"{100 * model_scores.majority_baseline:.1f} %",
            _two_lines(percent(model_scores.balanced_accuracy)),
            _two_lines(percent(model_scores.sensitivity)),
            _two_lines(percent(model_scores.specificity)),
            _two_lines(area(model_scores.auroc)),
        )
        for model in models
        for model_scores in (scores[model.key],)
    ]
    heads = ("Model", "Threshold in force", "Accuracy", "Majority-class baseline",
             "Balanced accuracy", "Sensitivity", "Specificity", "AUROC")  # fmt: skip
    return [
        paragraph("Figures at the thresholds in force", style=HEADING),
        table(heads, rows, (18, 15, 14, 14, 14, 14, 14, 13)),
        paragraph(
            f"Accuracy: share of {view.level}s called as labelled. Balanced accuracy: mean of"
            " sensitivity and specificity. In brackets: 95 % intervals from resampling patients;"
            f" “no interval”: there are too few patients for one. {_above_baseline(models, scores)}",
            style=CAPTION,
        ),
    ]


def _above_baseline(models: Sequence[ComparedModel], scores: Mapping[str, Scores]) -> str:
    """Names the models whose whole accuracy interval is above the majority-class baseline."""

    def exceeds(accuracy: Metric, baseline: float) -> bool:
        return accuracy.has_interval and accuracy.low > baseline

    useful = [
        printable(model.name, NAME_LENGTH)
        for model in models
        if exceeds(scores[model.key].accuracy, scores[model.key].majority_baseline)
    ]
    return (
        "Models whose whole interval of accuracy is above the majority-class baseline:"
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
    drawn_models = models[:MOST_CURVES]
    drawn_sentence = (
        f" The chart shows the first {len(drawn_models)} of {len(models)} models."
        if drawn_models != models
        else ""
    )
    return [
        KeepTogether(
            [
                paragraph("ROC curves", style=HEADING),
                roc_drawing(drawn_models, roc, scores),
                paragraph(
                    "Filled symbols: the model at the threshold in force; a symbol lies off the curve"
                    " if the threshold differs from case to case. Dotted diagonal:"
                    f" guessing.{drawn_sentence}",
                    style=CAPTION,
                ),
            ]
        )
    ]


def _differences(models: Sequence[ComparedModel], sentences: Sequence[str]) -> list[Flowable]:
    if not sentences:
        return []
    pairs = len(models) * (len(models) - 1) // 2
    pairs_compared = "One pair is" if pairs == 1 else f"{pairs} pairs are"
    return [
        paragraph("Differences in words", style=HEADING),
        *bullets(sentences),
        paragraph(
            f"Intervals resample patients, the same for both models. {pairs_compared} compared; about"
            " one in twenty pairs of equally good models would look different by chance.",
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
    heads = ("Model", "Accuracy, same patients in training", "Accuracy, unseen patients",
             "Leakage gap", "Majority-class baseline", "AUROC, same patients in training",
             "AUROC, unseen patients", "Accuracy, as published")  # fmt: skip
    return [
        KeepTogether(
            [
                paragraph("The leakage gap, by slice", style=HEADING),
                *(paragraph(sentence) for sentence in gap_sentences(gaps)),
                table(heads, rows, (18, 14, 14, 12, 14, 13, 13, 12)),
                paragraph(
                    "From the cards of the bundles, at the thresholds they were released with. As"
                    " published: the study's validation accuracy, with slices split at random.",
                    style=CAPTION,
                ),
            ]
        )
    ]


def _published(gap: LeakageGap) -> str:
    published_result = PUBLISHED.get((gap.family, gap.recipe))
    return (
        "not in the study"
        if published_result is None
        else f"{100 * published_result.accuracy:.1f} %"
    )
