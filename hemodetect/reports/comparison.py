"""A comparison's figures as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.evaluation import Scores
from hemodetect.evaluation.comparison_view import ComparisonView
from hemodetect.reports.predictions import no_formula

_METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc")


def stamp_lines(view: ComparisonView) -> list[str]:
    """The lines that every page of figures must show: date, data, bundles, permitted use."""
    comparison = view.comparison
    data = ", ".join(
        f"{name} {fingerprint}" for name, fingerprint in comparison.fingerprints.items()
    )
    bundles = ", ".join(f"{model.name} {model.version}" for model in comparison.models)
    return [f"Made {comparison.date}", f"Data: {data}", f"Bundles: {bundles}", RESEARCH_USE_ONLY]


def comparison_csv(view: ComparisonView, scores: Mapping[str, Scores]) -> str:
    """One row per model: counts of the confusion matrix, and every figure with its interval.

    The first lines begin with "#" and hold the date, the data sets and the bundles.
    """
    text = io.StringIO()
    for line in stamp_lines(view):
        text.write(f"# {' '.join(line.split())}\n")
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{name}{end}" for name in _METRICS for end in ("", "_low", "_high")]
    counts = ["tn", "fp", "fn", "tp"]
    writer.writerow(["model", "version", "counted", "n", "patients", "threshold", *counts,
                     "majority_baseline", *heads])  # fmt: skip
    for model in view.comparison.models:
        model_scores = scores[model.key]
        threshold = "by case" if model_scores.threshold is None else f"{model_scores.threshold:.4f}"
        metrics = [getattr(model_scores, name) for name in _METRICS]
        writer.writerow(
            [
                no_formula(model.name), no_formula(model.version), view.level, model_scores.n,
                model_scores.n_groups, threshold,
                *(getattr(model_scores.confusion, cell) for cell in counts),
                f"{model_scores.majority_baseline:.4f}",
                *(_number(v) for m in metrics for v in (m.value, m.low, m.high)),
            ]
        )  # fmt: skip
    return text.getvalue()


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
