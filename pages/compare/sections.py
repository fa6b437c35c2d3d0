"""The sections below the matrices: curves, differences, leakage gap, subgroups, export."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

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
from hemodetect.reports.comparison import comparison_csv
from hemodetect.reports.comparison_pdf import comparison_pdf
from hemodetect.settings import settings
from pages.common.charts import chart_config
from pages.common.exports import export_button

Section = Callable[[ComparisonView, Thresholds, dict[str, Scores]], None]
EACH, RULE = "one per model", "compare_rule"
"""The choice of a threshold for each model, and the widget that it is made with."""
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
    roc, recall, calibrated, spread = _all_curves(view, _stamp(view))
    banded = st.selectbox(
        "Interval for", list(names), format_func=names.__getitem__, key="compare_banded",
        index=list(families.values()).index("cnn") if "cnn" in families.values() else 0, width=220,
    )  # fmt: skip
    points = {
        key: (1 - found.specificity.value, found.sensitivity.value) for key, found in scores.items()
    }
    columns = st.columns(3)
    columns[0].plotly_chart(
        roc_figure(roc, names, families, points, banded),
        theme=None,
        key="compare_roc",
        on_select=_roc_clicked,
        selection_mode="points",
        config=chart_config("roc"),
    )
    columns[1].plotly_chart(
        precision_recall_figure(recall, names, families, banded),
        theme=None,
        key="compare_recall",
        config=chart_config("precision-recall"),
    )
    columns[2].plotly_chart(
        reliability_figure(calibrated, names, families, banded),
        theme=None,
        key="compare_reliability",
        config=chart_config("reliability"),
    )
    st.caption(
        "Click a point of a ROC curve to take its threshold. Right chart: below the diagonal"
        " the model's probability is too high."
    )
    st.plotly_chart(
        histogram_figure(spread, names),
        theme=None,
        key="compare_histograms",
        config=chart_config("histograms"),
    )


@st.cache_resource(show_spinner="Drawing the curves", max_entries=8)
def _all_curves(_view: ComparisonView, stamp: tuple) -> tuple[dict, dict, dict, dict]:
    found: tuple[dict, dict, dict, dict] = ({}, {}, {}, {})
    for key, judged in _view.judged.items():
        given = (judged.labels, judged.probabilities, judged.codes, judged.drawn)
        found[0][key] = roc_curve_with_band(*given)
        found[1][key] = precision_recall_with_band(*given)
        found[2][key] = reliability(*given)
        found[3][key] = score_histogram(judged.labels, judged.probabilities)
    return found


def _stamp(view: ComparisonView) -> tuple:
    """Tells the boards of one process apart, for the cache."""
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
    st.session_state[RULE] = EACH
    st.session_state[threshold_key(key)] = round(float(threshold) * 200) / 200


def _differences(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    names = _names(view)
    agreements = view.agreements(thresholds)
    left, right = st.columns([5, 6])
    opened = st.session_state.get("compare_open")
    left.plotly_chart(
        difference_matrix(
            agreements, names, opened[1:] if opened and opened[0] == "difference" else None
        ),
        theme=None,
        key="compare_differences",
        on_select=_difference_clicked,
        selection_mode="points",
        config=chart_config("differences"),
    )
    left.caption(
        f"{view.level.capitalize()}s that the model of the row has right and the model of the column"
        " wrong. Click a number to see them above."
    )
    with right:
        for sentence in _difference_sentences(view, thresholds):
            st.markdown(f"- {sentence}")
        st.caption(
            "Intervals resample patients, the same for both models. With ten pairs compared, about"
            " one in twenty equal pairs looks different by chance."
        )


def _difference_clicked() -> None:
    points = st.session_state["compare_differences"]["selection"]["points"]
    if points:
        st.session_state.pop("compare_page", None)
        st.session_state["compare_open"] = ("difference", *points[0]["customdata"])


def _difference_sentences(view: ComparisonView, thresholds: Thresholds) -> list[str]:
    names, sentences = _names(view), []
    people = view.agreements_by_person(thresholds) if view.level == "patient" else {}
    ranked = _auroc_differences(view, _stamp(view))
    for a, b in combinations(view.judged, 2):
        first, second = view.judged[a], view.judged[b]
        right = accuracy_difference(
            first.labels,
            called(first.probabilities, thresholds[a]),
            called(second.probabilities, thresholds[b]),
            first.codes,
            first.drawn,
        )
        sentence = difference_sentence(names[a], names[b], ranked[a, b], "AUROC")
        interval = (
            f" ({100 * right.low:.1f} to {100 * right.high:.1f})" if right.has_interval else ""
        )
        sentence += f" Share called right: {100 * right.value:+.1f} points{interval}"
        if (a, b) in people:
            sentence += f"; McNemar p = {mcnemar(people[a, b]).p_value:.2g}"
        sentences.append(sentence + ".")
    return sentences


@st.cache_resource(show_spinner="Comparing the models", max_entries=8)
def _auroc_differences(
    _view: ComparisonView, stamp: tuple
) -> dict[tuple[str, str], PairedDifference]:
    """No threshold changes these, and for many patients they take a second."""
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
            "No family has figures under both splits here. Train one with `--split paper` and one with"
            " `--split patient`."
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
                "Same patients in training": percent(gap.paper_accuracy),
                "Patients never seen": percent(gap.patient_accuracy),
                "Majority-class baseline": f"{100 * gap.majority_baseline:.1f} %",
                "Gap": f"{100 * gap.accuracy:.1f} points",
            }
            for gap in gaps
        ],
        hide_index=True,
        width="stretch",
    )


@st.cache_data(show_spinner="Reading the bundles", max_entries=2, ttl=300)
def _gaps(artifacts: str) -> list[LeakageGap]:
    found = []
    for family in FAMILY_NAMES:
        try:
            patient, paper = (
                read_card(settings().artifacts / folder / family)
                for folder in ("paper-recipe", "paper-split")
            )
        except BundleError:
            continue
        if patient.recipe == paper.recipe:
            found.append(
                leakage_gap(
                    family,
                    paper.recipe,
                    scores_of_card(paper.metrics["slice"]),
                    scores_of_card(patient.metrics["slice"]),
                )
            )
    return found


def _parts(view: ComparisonView, thresholds: Thresholds, scores: dict[str, Scores]) -> None:
    known = known_dimensions(view.cases)
    if not known:
        st.info("Only the labels of these cases are known, so there are no subgroups.")
        return
    left, right = st.columns(2)
    by = left.segmented_control(
        "By", known, default=known[0], required=True, key="compare_dimension"
    )
    shown = right.segmented_control(
        "Measure", list(_MEASURES), default="accuracy", required=True, key="compare_measure"
    )
    parts = subsets(view.cases, thresholds, by)
    names = _names(view)
    rows = [
        {
            by.capitalize(): part.name,
            f"{view.level.capitalize()}s": part.n,
            "Hemorrhage": part.positives,
            "Patients": part.groups,
        }
        | {names[key]: value for key, value in getattr(part, _MEASURES[shown]).items()}
        for part in parts
    ]
    table = pd.DataFrame(rows)
    faint = [part.too_few for part in parts]
    styled = table.style.format(dict.fromkeys(names.values(), _share)).apply(
        lambda column: ["color: #6b7580" if few else "" for few in faint], axis=0
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
            _all_curves(view, _stamp(view))[0],
            _gaps(str(settings().artifacts)),
            _difference_sentences(view, thresholds),
        ),
        "comparison",
        detail,
    )
    st.caption(
        "Both name the bundles' versions, the fingerprint of the data and the date. They do not list"
        " single cases."
    )


SECTIONS: dict[str, Section] = {
    "Curves": _curves,
    "Differences": _differences,
    "Leakage gap": _leakage,
    "Subgroups": _parts,
    "Export": _export,
}
