"""The viewer of a study: chart of probabilities, most suspicious slices, current slice."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app_pages.common.slice_controls import arrows_turn_slices, go_to, slice_control, window_control
from hemodetect.explain.heat_maps import one_slice_map
from hemodetect.figures.reading import slice_probabilities, slice_weights
from hemodetect.figures.slice_view import HeatMap, png_bytes, slice_view
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import Window, windowed
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.interface import GRADIENT_METHODS, HeatMapMethod
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.registry.releases import ReleasedModel
from hemodetect.reports.words import pointing_sentence

THUMBNAIL = 220
_VIEW_CONFIG = CHART_CONFIG | {"scrollZoom": True, "displayModeBar": False, "doubleClick": "reset"}
_HEIGHT_WITHOUT_MODELS = 520
"""Pixels: the slice is shown at about its own size, and fits the screen of a small laptop."""


@st.fragment
def viewer(
    prediction: StudyPrediction,
    maps: np.ndarray | None,
    cnn: ReleasedModel | None,
    prefix: str = "read",
) -> None:
    """Draws the viewer; reruns alone when the slice changes. Its state keys begin with `prefix`."""
    slices = prediction.study.slices
    st.session_state.setdefault(f"{prefix}_slice", prediction.top_slices()[0] + 1)
    chart = st.container()
    window = window_control(slices[0], prefix)
    _thumbnails(prediction, window, prefix)
    index = slice_control(len(slices), prefix)
    _panels(prediction, maps, cnn, index, window, prefix)
    arrows_turn_slices()
    # Drawn last although it is on top: a reader who changes the slice must not wait for the chart.
    with chart:
        _chart(prediction, prefix)


@st.fragment
def viewer_without_models(study: Study, prefix: str) -> None:
    """Draws the slices alone. Its state keys begin with `prefix`."""
    slices = study.slices
    st.session_state.setdefault(f"{prefix}_slice", len(slices) // 2 + 1)
    window = window_control(slices[0], prefix)
    index = slice_control(len(slices), prefix)
    st.plotly_chart(
        slice_view(
            windowed(slices[index].values, window),
            heat=None,
            attention=None,
            opacity=0.0,
            height=_HEIGHT_WITHOUT_MODELS,
        ),
        theme=None,
        key=f"{prefix}_view",
        config=_VIEW_CONFIG,
    )
    st.caption(
        f"Slice {index + 1} of {len(slices)}. Scroll to zoom, drag to move, double-click to reset;"
        " arrow keys change the slice."
    )
    arrows_turn_slices()


def _chart(prediction: StudyPrediction, prefix: str) -> None:
    def clicked() -> None:
        points = st.session_state[f"{prefix}_chart"]["selection"]["points"]
        if points:
            go_to(points[0]["x"], prefix)

    families = prediction.families
    st.plotly_chart(
        slice_probabilities(
            {family: answer.probabilities for family, answer in families.items()},
            {family: answer.slice_limit for family, answer in families.items()},
            st.session_state[f"{prefix}_slice"] - 1,
        ),
        theme=None,
        key=f"{prefix}_chart",
        on_select=clicked,
        selection_mode="points",
        config=CHART_CONFIG | {"displayModeBar": False},
    )
    st.caption(
        "Click the chart to open a slice. Each value says whether that slice shows a hemorrhage; the"
        " probability of the patient is another question, with a threshold of its own."
    )
    attention_rnn = families.get("attention_rnn")
    if (
        attention_rnn is not None
        and attention_rnn.slice_attention is not None
        and len(prediction.study.slices) > 1
    ):
        st.plotly_chart(
            slice_weights(attention_rnn.slice_attention, st.session_state[f"{prefix}_slice"] - 1),
            theme=None,
            key=f"{prefix}_weights",
            config=CHART_CONFIG | {"displayModeBar": False},
        )
        st.caption(
            "Attention RNN: weight of each slice in the patient's probability. 1 x: the weight if all"
            " slices counted equally."
        )


def _thumbnails(prediction: StudyPrediction, window: Window, prefix: str) -> None:
    st.markdown("**Most suspicious slices** (mean of the models)")
    families = prediction.families.values()
    for column, index in zip(st.columns(5), prediction.top_slices(), strict=False):
        mean = np.mean([answer.probabilities[index] for answer in families])
        column.image(
            png_bytes(windowed(prediction.study.slices[index].values, window), THUMBNAIL),
            alt=f"Slice {index + 1}",
            width="stretch",
        )
        column.button(
            f"Slice {index + 1}: {mean:.0%}",
            key=f"{prefix}_top_{index}",
            on_click=go_to,
            args=(index + 1, prefix),
            width="stretch",
        )


def _panels(
    prediction: StudyPrediction,
    maps: np.ndarray | None,
    cnn: ReleasedModel | None,
    index: int,
    window: Window,
    prefix: str,
) -> None:
    image = prediction.study.slices[index]
    method_place, opacity_place, probabilities = st.columns([3, 3, 6], vertical_alignment="bottom")
    method: HeatMapMethod = GRADIENT_METHODS[0]
    if maps is not None and cnn is not None:
        methods = cnn.fitted.abilities.heat_maps
        method = method_place.selectbox("CNN heat map", methods, key=f"{prefix}_method")
    opacity = opacity_place.slider("Heat map opacity", 0.0, 1.0, 0.6, 0.1, key=f"{prefix}_opacity")
    probabilities.markdown(
        "  ".join(
            f"{FAMILY_NAMES[family]} **{answer.probabilities[index]:.0%}**"
            for family, answer in prediction.families.items()
        ),
    )
    attention_rnn = prediction.families.get("attention_rnn")
    st.plotly_chart(
        slice_view(
            windowed(image.values, window),
            heat=_heat(prediction, maps, cnn, index, method, prefix),
            attention=None
            if attention_rnn is None or attention_rnn.row_attention is None
            else attention_rnn.row_attention[index],
            opacity=opacity,
        ),
        theme=None,
        key=f"{prefix}_view",
        config=_VIEW_CONFIG,
    )
    st.caption(
        f"Slice {index + 1} of {len(prediction.study.slices)}, {image.source}. Scroll to zoom, drag"
        " to move, double-click to reset; arrow keys change the slice. Heat maps show which parts"
        " raised a model's probability, not where a hemorrhage is."
        + ("" if maps is None or cnn is None else pointing_sentence(cnn.card, method))
    )


def _heat(
    prediction: StudyPrediction,
    maps: np.ndarray | None,
    cnn: ReleasedModel | None,
    index: int,
    method: HeatMapMethod,
    prefix: str,
) -> HeatMap | None:
    if maps is None or cnn is None:
        return None
    if method == GRADIENT_METHODS[0]:
        strongest = float(maps.max()) or 1.0
        return HeatMap(maps[index] / strongest, method, "strongest in this study")
    cache = st.session_state.setdefault(f"{prefix}_slice_maps", {})
    if (method, index) not in cache:
        with st.spinner(f"{method} of this slice"):
            slices = prediction.study.slices
            cache[method, index] = one_slice_map(cnn, slices, index, method)
    heat = cache[method, index]
    if method == "Blood map":
        return HeatMap(np.clip(heat, 0, 1), method, "probability of blood 100 %")
    return HeatMap(heat / (float(heat.max()) or 1.0), method, "strongest in this slice")
