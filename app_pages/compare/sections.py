"""The sections below the confusion matrices: curves, differences, leakage gap, subgroups, export."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.common.charts import chart_config
from app_pages.common.exports import export_button
from hemodetect.errors import BundleError
from hemodetect.evaluation import LeakageGap, Scores, leakage_gap, scores_of_card
from hemodetect.evaluation.calibration import reliability, score_histogram
from hemodetect.evaluation.comparison_view import ComparisonView, Thresholds
from hemodetect.evaluation.curves import precision_recall_with_band, roc_curve_with_band
from hemodetect.evaluation.differences import (
    PairedDifference,
    accuracy_difference,
    auroc_difference,
    difference_sentence,
    mcnemar,
)
from hemodetect.evaluation.leakage import gap_sentences
from hemodetect.evaluation.levels import called
from hemodetect.evaluation.subsets import FEWEST, known_dimensions, subsets
from hemodetect.evaluation.table import percent
from hemodetect.figures.comparing import difference_matrix
from hemodetect.figures.curves import (
    histogram_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from hemodetect.figures.leakage import leakage_figure
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import read_card
from hemodetect.registry.promotion import PUBLISHED
from hemodetect.reports.comparison import comparison_csv
from hemodetect.reports.comparison_pdf import comparison_pdf
from hemodetect.settings import settings

Section = Callable[[ComparisonView, Thresholds, dict[str, Scores]], None]
ONE_PER_MODEL, RULE_KEY = "one per model", "compare_rule"
"""The choice "one threshold per model", and the key of the widget that offers it."""
_MEASURES = {"accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity"}


def threshold_key(model: str) -> str:
    """The key of the slider of a model's own threshold."""
    return f"compare_threshold_{model}"


def _names(view: ComparisonView) -> dict[str, str]:
    return {model.key: model.name for model in view.comparison.models}


def _families(view: ComparisonView) -> dict[str, str]:
    return {model.key: model.family for model in view.comparison.models}


def _curves(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    names, families = _names(view), _families(view)
    roc, recall, calibrated, histograms = _all_curves(view, _cache_key(view))
    model_with_band = st.selectbox(
        "Show the interval of", list(names), format_func=names.__getitem__, key="compare_banded",
        index=list(families.values()).index("cnn") if "cnn" in families.values() else 0, width=220,
    )  # fmt: skip
    points = {
        key: (1 - model_scores.specificity.value, model_scores.sensitivity.value)
        for key, model_scores in scores.items()
    }
    columns = st.columns(3)
    columns[0].plotly_chart(
        roc_figure(roc, names, families, points, model_with_band),
        theme=None,
        key="compare_roc",
        on_select=_roc_clicked,
        selection_mode="points",
        config=chart_config("roc"),
    )
    columns[1].plotly_chart(
        precision_recall_figure(recall, names, families, model_with_band),
        theme=None,
        key="compare_recall",
        config=chart_config("precision-recall"),
    )
    columns[2].plotly_chart(
        reliability_figure(calibrated, names, families, model_with_band),
        theme=None,
        key="compare_reliability",
        config=chart_config("reliability"),
    )
    st.caption(
        "Click a point of a ROC curve to use its threshold. Right chart: where a curve lies below"
        " the diagonal, the model's probabilities are too high."
    )
    st.plotly_chart(
        histogram_figure(histograms, names),
        theme=None,
        key="compare_histograms",
        config=chart_config("histograms"),
    )


@st.cache_resource(show_spinner="Drawing the curves", max_entries=8)
def _all_curves(_view: ComparisonView, stamp: tuple) -> tuple[dict, dict, dict, dict]:
    curves: tuple[dict, dict, dict, dict] = ({}, {}, {}, {})
    for key, judged in _view.judged.items():
        predictions = (judged.labels, judged.probabilities, judged.codes, judged.drawn)
        curves[0][key] = roc_curve_with_band(*predictions)
        curves[1][key] = precision_recall_with_band(*predictions)
        curves[2][key] = reliability(*predictions)
        curves[3][key] = score_histogram(judged.labels, judged.probabilities)
    return curves


def _cache_key(view: ComparisonView) -> tuple:
    """A key of this view for the cache."""
    return (
        view.level,
        tuple(model.version for model in view.comparison.models),
        int(pd.util.hash_pandas_object(view.cases, index=False).sum()),
    )


def _roc_clicked() -> None:
    points = st.session_state["compare_roc"]["selection"]["points"]
    if not points or "customdata" not in points[0]:
        return
    key, threshold = points[0]["customdata"]
    st.session_state[RULE_KEY] = ONE_PER_MODEL
    st.session_state[threshold_key(key)] = round(float(threshold) * 200) / 200


def _differences(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    names = _names(view)
    agreements = view.agreements(thresholds)
    left, right = st.columns([5, 6])
    open_cell = st.session_state.get("compare_open")
    left.plotly_chart(
        difference_matrix(
            agreements, names, open_cell[1:] if open_cell and open_cell[0] == "difference" else None
        ),
        theme=None,
        key="compare_differences",
        on_select=_difference_clicked,
        selection_mode="points",
        config=chart_config("differences"),
    )
    left.caption(
        f"Number of {view.level}s that the row's model calls correctly and the column's model does"
        " not. Click a number to see them above."
    )
    with right:
        for sentence in _difference_sentences(view, thresholds):
            st.markdown(f"- {sentence}")
        st.caption(
            "The intervals come from resampling patients, the same for both models. Of twenty"
            " comparisons of equal models, about one shows a difference by chance."
        )


def _difference_clicked() -> None:
    points = st.session_state["compare_differences"]["selection"]["points"]
    if points:
        st.session_state.pop("compare_page", None)
        st.session_state["compare_open"] = ("difference", *points[0]["customdata"])


def _difference_sentences(view: ComparisonView, thresholds: Thresholds) -> list[str]:
    names, sentences = _names(view), []
    agreements_by_person = view.agreements_by_person(thresholds) if view.level == "patient" else {}
    ranked = _auroc_differences(view, _cache_key(view))
    for a, b in combinations(view.judged, 2):
        first, second = view.judged[a], view.judged[b]
        difference = accuracy_difference(
            first.labels,
            called(first.probabilities, thresholds[a]),
            called(second.probabilities, thresholds[b]),
            first.codes,
            first.drawn,
        )
        sentence = difference_sentence(names[a], names[b], ranked[a, b], "AUROC")
        interval = (
            f" ({100 * difference.low:.1f} to {100 * difference.high:.1f})"
            if difference.has_interval
            else ""
        )
        sentence += f" Share of correct calls: {100 * difference.value:+.1f} points{interval}"
        if (a, b) in agreements_by_person:
            sentence += f"; McNemar p = {mcnemar(agreements_by_person[a, b]).p_value:.2g}"
        sentences.append(sentence + ".")
    return sentences


@st.cache_resource(show_spinner="Comparing the models", max_entries=8)
def _auroc_differences(
    _view: ComparisonView, stamp: tuple
) -> dict[tuple[str, str], PairedDifference]:
    """Cached: they do not depend on a threshold, and take a second for many patients."""
    return {
        (a, b): auroc_difference(
            _view.labels,
            _view.judged[a].probabilities,
            _view.judged[b].probabilities,
            _view.judged[a].codes,
            _view.judged[a].drawn,
        )
        for a, b in combinations(_view.judged, 2)
    }


def _leakage(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    gaps = _gaps(str(settings().artifacts))
    if not gaps:
        st.info(
            "This section compares a model trained with both splits, and there is none on this server."
            " Train a model with `--split paper` and with `--split patient`."
        )
        return
    for sentence in gap_sentences(gaps):
        st.markdown(sentence)
    st.plotly_chart(
        leakage_figure(gaps), theme=None, key="compare_leakage", config=chart_config("leakage")
    )
    st.dataframe(
        [
            {
                "Model": FAMILY_NAMES[gap.family],
                "Accuracy, same patients in training": percent(gap.paper_accuracy),
                "Accuracy, other patients": percent(gap.patient_accuracy),
                "Majority-class baseline": f"{100 * gap.majority_baseline:.1f} %",
                "Gap": f"{100 * gap.accuracy:.1f} points",
            }
            for gap in gaps
        ],
        hide_index=True,
        width="stretch",
    )


@st.cache_data(show_spinner="Reading the results of the models", max_entries=2, ttl=300)
def _gaps(artifacts: str) -> list[LeakageGap]:
    gaps = []
    for family in FAMILY_NAMES:
        try:
            patient, paper = (
                read_card(settings().artifacts / folder / family)
                for folder in ("paper-recipe", PUBLISHED)
            )
        except BundleError:
            continue
        if patient.recipe == paper.recipe:
            gaps.append(
                leakage_gap(
                    family,
                    paper.recipe,
                    scores_of_card(paper.metrics["slice"]),
                    scores_of_card(patient.metrics["slice"]),
                )
            )
    return gaps


def _subgroups(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    dimensions = known_dimensions(view.cases)
    if not dimensions:
        st.info("Only the labels of these cases are known, so there are no subgroups.")
        return
    left, right = st.columns(2)
    dimension = left.segmented_control(
        "Group by", dimensions, default=dimensions[0], required=True, key="compare_dimension"
    )
    measure = right.segmented_control(
        "Measure", list(_MEASURES), default="accuracy", required=True, key="compare_measure"
    )
    subgroups = subsets(view.cases, thresholds, dimension)
    names = _names(view)
    rows = [
        {
            dimension.capitalize(): subgroup.name,
            f"{view.level.capitalize()}s": subgroup.n,
            "Hemorrhage": subgroup.positives,
            "Patients": subgroup.groups,
        }
        | {names[key]: value for key, value in getattr(subgroup, _MEASURES[measure]).items()}
        for subgroup in subgroups
    ]
    table = pd.DataFrame(rows)
    too_few = [subgroup.too_few for subgroup in subgroups]
    styled = table.style.format(dict.fromkeys(names.values(), _share)).apply(
        lambda column: ["color: #6b7580" if few else "" for few in too_few], axis=0
    )
    st.dataframe(styled, hide_index=True, width="stretch")
    st.caption(f"Grey: fewer than {FEWEST} {view.level}s, too few to draw conclusions.")


def _share(value: object) -> str:
    assert isinstance(value, float)
    return "–" if np.isnan(value) else f"{100 * value:.0f} %"


def _export(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    st.segmented_control(
        "Picture format of charts (camera icon on a chart)",
        ["png", "svg"],
        default="png",
        required=True,
        key="compare_picture",
    )
    left, right, _ = st.columns([2, 2, 4])
    detail = {"bundles": [model.version for model in view.comparison.models]}
    export_button(
        left, "Figures as CSV", "hemodetect-comparison.csv", lambda: comparison_csv(view, scores),
        "comparison", detail,
    )  # fmt: skip
    export_button(
        right,
        "This page as PDF",
        "hemodetect-comparison.pdf",
        lambda: comparison_pdf(
            view,
            thresholds,
            scores,
            _all_curves(view, _cache_key(view))[0],
            _gaps(str(settings().artifacts)),
            _difference_sentences(view, thresholds),
        ),
        "comparison",
        detail,
    )
    st.caption(
        "Both files contain the versions of the models, the fingerprint of the data and the date. They"
        " do not list single cases."
    )


SECTIONS: dict[str, Section] = {
    "Curves": _curves,
    "Differences": _differences,
    "Leakage gap": _leakage,
    "Subgroups": _subgroups,
    "Export": _export,
}
