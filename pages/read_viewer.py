"""The viewer of a study: the chart, the most suspicious slices, and the slice in view."""

from __future__ import annotations

import numpy as np
import streamlit as st

from hemodetect.explain import METHODS, Method, methods, one_slice_map
from hemodetect.families import FAMILY_NAMES
from hemodetect.figures.reading import slice_probabilities, slice_weights
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging.study import Slice
from hemodetect.imaging.windows import BRAIN, WINDOWS_HU, Window, windowed
from hemodetect.models.prediction import StudyPrediction
from hemodetect.models.released import ReleasedModel
from hemodetect.viewer import HeatMap, png_bytes, slice_view

THUMBNAIL = 220


@st.fragment
def viewer(prediction: StudyPrediction, maps: np.ndarray | None, cnn: ReleasedModel | None) -> None:
    """Draws it; reruns alone when the slice changes."""
    slices = prediction.study.slices
    st.session_state.setdefault("read_slice", prediction.top_slices()[0] + 1)
    chart = st.container()
    window = _window(slices[0])
    _thumbnails(prediction, window)
    index = _slice_controls(len(slices))
    _panels(prediction, maps, cnn, index, window)
    # Last, though it stands first: a reader who turns slices waits for the slice, not for the chart.
    with chart:
        _chart(prediction)


def _chart(prediction: StudyPrediction) -> None:
    def clicked() -> None:
        points = st.session_state["read_chart"]["selection"]["points"]
        if points:
            _go_to(points[0]["x"])

    families = prediction.families
    st.plotly_chart(
        slice_probabilities(
            {family: found.probabilities for family, found in families.items()},
            {family: found.threshold for family, found in families.items()},
            st.session_state["read_slice"] - 1,
        ),
        theme=None,
        key="read_chart",
        on_select=clicked,
        selection_mode="points",
        config=CHART_CONFIG | {"displayModeBar": False},
    )
    st.caption(
        "Click the chart to open a slice. A model that judges the whole study gives every slice a"
        " probability in the light of the others."
    )
    attentive = families.get("attention_rnn")
    if (
        attentive is not None
        and attentive.slice_attention is not None
        and len(prediction.study.slices) > 1
    ):
        st.plotly_chart(
            slice_weights(attentive.slice_attention, st.session_state["read_slice"] - 1),
            theme=None,
            key="read_weights",
            config=CHART_CONFIG | {"displayModeBar": False},
        )
        st.caption(
            "Attention RNN: weight of each slice in its answer for the patient (1 x is an even share)."
        )


def _go_to(number: int) -> None:
    st.session_state["read_slice"] = int(number)


def _step(by: int, n: int) -> None:
    _go_to(min(max(st.session_state["read_slice"] + by, 1), n))


def _thumbnails(prediction: StudyPrediction, window: Window) -> None:
    st.markdown("**Most suspicious slices** (mean of the models)")
    families = prediction.families.values()
    for column, index in zip(st.columns(5), prediction.top_slices(), strict=False):
        mean = np.mean([found.probabilities[index] for found in families])
        column.image(
            png_bytes(windowed(prediction.study.slices[index].values, window), THUMBNAIL),
            alt=f"Slice {index + 1}",
            width="stretch",
        )
        column.button(
            f"Slice {index + 1}: {mean:.0%}",
            key=f"read_top_{index}",
            on_click=_go_to,
            args=(index + 1,),
            width="stretch",
        )


def _slice_controls(n: int) -> int:
    if n == 1:
        return 0
    back, middle, forward = st.columns([1, 8, 1], vertical_alignment="bottom")
    back.button(
        "Back", on_click=_step, args=(-1, n), shortcut="Left", width="stretch", key="read_back"
    )
    forward.button(
        "Next", on_click=_step, args=(1, n), shortcut="Right", width="stretch", key="read_next"
    )
    return middle.slider("Slice", 1, n, key="read_slice") - 1


def own_window(image: Slice) -> Window:
    """The window a slice is first shown in."""
    return BRAIN if image.units == "HU" else Window(255, 127.5)


def _window(image: Slice) -> Window:
    """The window that slices are shown in; the models always see the brain window."""
    if image.units == "grey":
        low, high = st.slider(
            "Contrast: grey levels shown from black to white", 0, 255, (0, 255), key="read_contrast"
        )
        return Window(max(high - low, 1), (high + low) / 2)
    names = [*WINDOWS_HU, "free"]
    name = st.segmented_control(
        "Window (the models always see the brain window)",
        names,
        format_func=lambda n: n if n == "free" else f"{n} {_width_level(WINDOWS_HU[n])}",
        default="brain",
        required=True,
        key="read_window",
    )
    if name != "free":
        return WINDOWS_HU[name or "brain"]
    width, level = st.columns(2)
    return Window(
        width.number_input("Width (HU)", 1, 4000, 80, 10, key="read_width"),
        level.number_input("Level (HU)", -1000, 3000, 40, 5, key="read_level"),
    )


def _width_level(window: Window) -> str:
    return f"{window.width:.0f}/{window.level:.0f}"


def _panels(
    prediction: StudyPrediction,
    maps: np.ndarray | None,
    cnn: ReleasedModel | None,
    index: int,
    window: Window,
) -> None:
    image = prediction.study.slices[index]
    chosen, strength, said = st.columns([3, 3, 6], vertical_alignment="bottom")
    method: Method = METHODS[0]
    if maps is not None and cnn is not None:
        method = chosen.selectbox("CNN heat map", methods(cnn), key="read_method")
    opacity = strength.slider("Heat map opacity", 0.0, 1.0, 0.6, 0.1, key="read_opacity")
    said.markdown(
        "  ".join(
            f"{FAMILY_NAMES[family]} **{found.probabilities[index]:.0%}**"
            for family, found in prediction.families.items()
        ),
    )
    attentive = prediction.families.get("attention_rnn")
    st.plotly_chart(
        slice_view(
            windowed(image.values, window),
            heat=_heat(prediction, maps, cnn, index, method),
            attention=None
            if attentive is None or attentive.attention is None
            else attentive.attention[index],
            opacity=opacity,
        ),
        theme=None,
        key="read_view",
        config=CHART_CONFIG | {"scrollZoom": True, "displayModeBar": False, "doubleClick": "reset"},
    )
    st.caption(
        f"Slice {index + 1} of {len(prediction.study.slices)}, {image.source}. Scroll to zoom, drag"
        " to move, double-click for the whole slice; arrow keys change the slice. Heat maps show"
        " what moved a model's answer towards hemorrhage, not where a hemorrhage is."
    )


def _heat(
    prediction: StudyPrediction,
    maps: np.ndarray | None,
    cnn: ReleasedModel | None,
    index: int,
    method: Method,
) -> HeatMap | None:
    if maps is None or cnn is None:
        return None
    if method == METHODS[0]:
        strongest = float(maps.max()) or 1.0
        return HeatMap(maps[index] / strongest, method, "strongest in this study")
    kept = st.session_state.setdefault("read_slice_maps", {})
    if (method, index) not in kept:
        with st.spinner(f"{method} of this slice"):
            slices = prediction.study.slices
            kept[method, index] = one_slice_map(cnn, slices, index, method)
    found = kept[method, index]
    if method == "Blood map":
        return HeatMap(np.clip(found, 0, 1), method, "probability of blood 100 %")
    return HeatMap(found / (float(found.max()) or 1.0), method, "strongest in this slice")
