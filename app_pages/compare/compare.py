"""Compare the models; a click on a number opens the images behind it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.common.answers import AS_PUBLISHED, OURS
from app_pages.common.charts import chart_config
from app_pages.common.text import plain
from app_pages.compare.gallery import gallery
from app_pages.compare.sections import ONE_PER_MODEL, RULE_KEY, SECTIONS, threshold_key
from hemodetect.errors import HemodetectError
from hemodetect.evaluation.comparison import Comparison
from hemodetect.evaluation.comparison_file import read_comparison
from hemodetect.evaluation.comparison_view import ComparisonView, Thresholds, comparison_view
from hemodetect.evaluation.fold_thresholds import rule_thresholds
from hemodetect.evaluation.levels import EvaluationError, Level
from hemodetect.evaluation.metrics import Scores
from hemodetect.evaluation.operating import CostRatio, Rule, TargetSensitivity, Youden
from hemodetect.evaluation.table import area, percent
from hemodetect.figures.comparing import confusion_matrices
from hemodetect.settings import settings

RELEASED, SAME_FOR_ALL = "as released", "same for all"
YOUDEN, SENSITIVITY, COST = "balanced (Youden)", "target sensitivity", "cost of a miss"
UPLOAD = "Upload a file"
PUBLISHED_FILE = "as-published.parquet"  # out-of-fold predictions of the study's recipes


def _comparison() -> tuple[Comparison, str]:
    """The comparison in view, and a name that only it has."""
    folder = settings().artifacts / "comparisons"
    files = sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []
    if (published := folder / PUBLISHED_FILE) in files:
        files.remove(published)
        models = st.segmented_control(
            "Models",
            [OURS, AS_PUBLISHED],
            default=OURS,
            required=True,
            key="compare_models",
            on_change=_other_file,
            help="The models in use and others of ours, or the study's five models as published, on"
            " patients that they had not seen.",
        )
        if models == AS_PUBLISHED:
            files = [published]
    chosen = st.selectbox(
        "Predictions",
        files if files == [published] else [*files, UPLOAD],
        format_func=lambda item: item if isinstance(item, str) else item.stem,
        key="compare_published" if files == [published] else "compare_file",
        on_change=_other_file,
        help="A file with the predictions of several models. The command"
        " `hemodetect evaluate BUNDLE... --data DIR --out FILE` writes it.",
    )
    try:
        if isinstance(chosen, Path):
            return _read(chosen, chosen.stat().st_mtime_ns), f"{chosen}{chosen.stat().st_mtime_ns}"
        upload = st.file_uploader(
            "Comparison (.parquet)", type="parquet", key="compare_upload", on_change=_other_file
        )
        if upload is None:
            st.stop()
        # Stays in this session: an uploaded file is shown to nobody else.
        uploaded = st.session_state.get("compare_uploaded")
        if uploaded is None or uploaded[1] != upload.file_id:
            comparison = read_comparison(io.BytesIO(upload.getvalue()), upload.name)
            uploaded = st.session_state["compare_uploaded"] = (comparison, upload.file_id)
        return uploaded
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


@st.cache_resource(show_spinner="Reading the predictions", max_entries=8)
def _read(path: Path, changed_ns: int) -> Comparison:
    return read_comparison(path, path.name)


@st.cache_resource(show_spinner="Computing the results", max_entries=16)
def _view(
    _comparison: Comparison, name: str, level: Level, sets: tuple[str, ...], positions: tuple
) -> ComparisonView:
    slices = _comparison.slices
    rows = slices["set"].isin(sets) & (slices["position"].isin(positions) | (not positions))
    return comparison_view(_comparison.only(rows.to_numpy(bool)), level)


@st.cache_resource(show_spinner=False, max_entries=64)
def _rule_thresholds(
    _comparison: Comparison, name: str, level: Level, rule: Rule
) -> dict[str, pd.Series]:
    """Threshold of every case of the whole comparison, by set, patient and slice."""
    index = pd.MultiIndex.from_frame(_comparison.cases(level)[["set", "patient", "slice"]])
    return {
        model.key: pd.Series(rule_thresholds(_comparison, level, model.key, rule), index)
        for model in _comparison.models
    }


def _filters(comparison: Comparison) -> tuple[Level, tuple[str, ...], tuple[str, ...]]:
    left, middle, right = st.columns([2, 3, 3])
    level = left.segmented_control(
        "Count by",
        ["slice", "patient"],
        default="slice",
        required=True,
        key="compare_level",
        on_change=_close_cell,
        help="A patient's probability is the model's probability for the whole study. If the model"
        " gives none, it is the mean over the slices.",
    )
    names = list(comparison.fingerprints)
    sets = middle.pills(
        "Data sets",
        names,
        selection_mode="multi",
        default=names[:1],
        key="compare_sets",
        on_change=_close_cell,
    )
    known_positions = [
        p for p in ("vertex", "mid", "base") if (comparison.slices["position"] == p).any()
    ]
    positions: list[str] = []
    if known_positions:
        positions = right.pills(
            "Part of the head",
            known_positions,
            selection_mode="multi",
            key="compare_positions",
            on_change=_close_cell,
        )
    return cast(Level, level), tuple(sets), tuple(positions)


def _show_origins(comparison: Comparison, sets: tuple[str, ...]) -> None:
    for name in sets:
        origins = {model.origins[name] for model in comparison.models}
        if origins == {"out-of-fold"}:
            st.caption(
                f":material/verified: **{plain(name)}**: out-of-fold predictions; each probability"
                " comes from a model that was not trained on that patient."
            )
        elif origins == {"outside"}:
            st.caption(
                f":material/public: **{plain(name)}**: external validation; the models were trained on"
                " other data sets."
            )
        else:
            st.caption(
                f":material/info: **{plain(name)}**: some models were trained on this set (out-of-fold"
                " predictions), the others were not."
            )


def _thresholds(comparison: Comparison, name: str, view: ComparisonView) -> Thresholds:
    """Draws the controls of the thresholds; returns the chosen thresholds."""
    keys = list(view.judged)
    # A click on a ROC curve sets this and the sliders, so their first value comes from here too.
    st.session_state.setdefault(RULE_KEY, RELEASED)
    kind = st.segmented_control(
        "Threshold",
        [RELEASED, SAME_FOR_ALL, ONE_PER_MODEL, YOUDEN, SENSITIVITY, COST],
        required=True,
        key=RULE_KEY,
        help="A model calls hemorrhage when its probability reaches the threshold. Balanced (Youden):"
        " the highest sum of sensitivity and specificity. Cost of a miss: the lowest total cost of"
        " missed bleeds and false alarms.",
    )
    if kind == RELEASED:
        reasons = {model.threshold_reason for model in comparison.models}
        st.caption(plain("; ".join(sorted(reasons)).capitalize()) + ".")
        return view.comparison.released_thresholds(view.level)
    if kind == SAME_FOR_ALL:
        threshold = st.slider(
            "Threshold", 0.0, 1.0, 0.5, 0.005, format="percent", key="compare_one"
        )
        return dict.fromkeys(keys, threshold)
    if kind == ONE_PER_MODEL:
        for model in comparison.models:
            st.session_state.setdefault(threshold_key(model.key), model.threshold)
        columns = st.columns(len(keys))
        return {
            model.key: column.slider(
                model.name, 0.0, 1.0, step=0.005, format="percent", key=threshold_key(model.key)
            )
            for column, model in zip(columns, comparison.models, strict=True)
        }
    rule = _rule(cast(str, kind))
    all_thresholds = _rule_thresholds(comparison, name, view.level, rule)
    index = pd.MultiIndex.from_frame(view.cases[["set", "patient", "slice"]])
    by_case = {key: all_thresholds[key].reindex(index).to_numpy(np.float32) for key in keys}
    ranges = ", ".join(
        f"{model.name} {by_case[model.key].min():.0%} to {by_case[model.key].max():.0%}"
        for model in comparison.models
    )
    st.caption(
        f"{rule.words.capitalize()}. Each patient's threshold was chosen on other patients (those of"
        f" the other folds; for an external set, all training patients): {ranges}."
    )
    return by_case


def _rule(kind: str) -> Rule:
    if kind == SENSITIVITY:
        sensitivity = st.slider(
            "Target sensitivity", 0.5, 1.0, 0.95, 0.01, format="percent", key="compare_sensitivity"
        )
        return TargetSensitivity(sensitivity)
    if kind == COST:
        ratio = st.slider(
            "Number of false alarms that cost as much as one missed bleed",
            1,
            100,
            10,
            key="compare_cost",
        )
        return CostRatio(float(ratio))
    return Youden()


def _other_file() -> None:
    """Clears the choices that were made for another file."""
    _close_cell()
    for key in ("compare_sets", "compare_positions"):
        st.session_state.pop(key, None)


def _close_cell() -> None:
    for key in ("compare_open", "compare_page"):
        st.session_state.pop(key, None)


def _cell_clicked() -> None:
    points = st.session_state["compare_matrices"]["selection"]["points"]
    if points:
        _close_cell()
        st.session_state["compare_open"] = tuple(points[0]["customdata"])


def _matrices(view: ComparisonView, scores: dict[str, Scores]) -> None:
    models = view.comparison.models
    st.plotly_chart(
        confusion_matrices(
            {key: model_scores.confusion for key, model_scores in scores.items()},
            {model.key: model.name for model in models},
            st.session_state.get("compare_open"),
        ),
        theme=None,
        key="compare_matrices",
        on_select=_cell_clicked,
        selection_mode="points",
        config=chart_config("confusion"),
    )
    st.caption("Click a cell to see its cases. Each percentage is a share of its row.")


def _figures_table(view: ComparisonView, scores: dict[str, Scores]) -> pd.DataFrame:
    """One row per model."""
    rows: list[dict[str, Any]] = []
    for model in view.comparison.models:
        model_scores = scores[model.key]
        rows.append(
            {
                "Model": model.name,
                "Accuracy": percent(model_scores.accuracy),
                "Majority-class baseline": f"{100 * model_scores.majority_baseline:.1f} %",
                "Balanced accuracy": percent(model_scores.balanced_accuracy),
                "Sensitivity": percent(model_scores.sensitivity),
                "Specificity": percent(model_scores.specificity),
                "AUROC": area(model_scores.auroc),
            }
        )
    return pd.DataFrame(rows)


@st.fragment
def _fragment(comparison: Comparison, name: str, view: ComparisonView) -> None:
    try:
        thresholds = _thresholds(comparison, name, view)
        scores = view.scores(thresholds)
    except EvaluationError as error:
        st.error(str(error), icon=":material/error:")
        return
    _matrices(view, scores)
    open_cell = st.session_state.get("compare_open")
    if open_cell:
        gallery(view, thresholds, open_cell, _close_cell)
    st.dataframe(_figures_table(view, scores), hide_index=True, width="stretch")
    first = next(iter(scores.values()))
    st.caption(
        f"{first.n:,} {'slices' if view.level == 'slice' else 'patient folders'} of"
        f" {first.n_groups} people, {first.n_positive:,} of them labelled hemorrhage. A person with"
        " several folders counts as one person. Brackets: 95 % intervals from resampling patients."
    )
    chosen = st.segmented_control(
        "More results",
        list(SECTIONS),
        default=next(iter(SECTIONS)),
        required=True,
        key="compare_section",
    )
    SECTIONS[chosen](view, thresholds, scores)


st.title("Compare the models")
comparison_in_view, comparison_name = _comparison()
level_in_view, sets_in_view, positions_in_view = _filters(comparison_in_view)
_show_origins(comparison_in_view, sets_in_view)
try:
    current_view = _view(
        comparison_in_view, comparison_name, level_in_view, sets_in_view, positions_in_view
    )
except EvaluationError as error:
    st.warning(str(error), icon=":material/filter_alt_off:")
    st.stop()
_fragment(comparison_in_view, comparison_name, current_view)
