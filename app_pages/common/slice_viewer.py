"""The viewer of a study on a page: mounts the component, and tells it what the models say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app_pages.common.browser_component import CODE, browser_component
from app_pages.common.inference_queue import slot
from hemodetect.explain.heat_maps import one_slice_map
from hemodetect.explain.overlay import attention_maps
from hemodetect.figures.reading import slice_probabilities, slice_weights
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging.orientation import Turn, turn_of
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import FULL_GREY, WINDOWS_HU, Window
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.interface import BLOOD_MAP, HeatMapMethod
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.registry.releases import ReleasedModel
from hemodetect.reports.words import pointing_sentence
from hemodetect.viewer.niivue import VERSION, niivue_file
from hemodetect.viewer.routes import ADDRESS, COOKIE
from hemodetect.viewer.store import OPEN_STUDIES, HeatMaps, OpenStudy

_WINDOWS_GREY = {"full": FULL_GREY, "bright half": Window(128, 191), "dark half": Window(128, 64)}
_NIIVUE = f"{CODE}/niivue.js?v={VERSION}"
"""Address below that of the app."""
_ROWS = "rows"
"""Key of the attention RNN's weights of image rows, among the heat maps."""

_COMPONENT = browser_component("slice_viewer", "viewer")


def viewer(
    study: Study,
    prefix: str,
    *,
    prediction: StudyPrediction | None = None,
    maps: Mapping[str, np.ndarray] | None = None,
    cnn: ReleasedModel | None = None,
    markable: bool = False,
    marks: list[dict[str, Any]] | None = None,
    height: str = "max(440px, calc(100vh - 285px))",
    silent: bool = False,
    shortcuts: Mapping[str, str] | None = None,
    on_shortcut: Callable[[str], None] | None = None,
) -> None:
    """Draws the viewer of a study, and below it the chart where models have answered.

    Its state keys begin with `prefix`: ``_slice`` is the slice at rest (from 1), ``_mark`` the place
    that the reader has clicked.

    Args:
        study: its chosen series is shown.
        prefix: of the page's state.
        prediction: the models' answers; None while there are none, or the reader may not see them.
        maps: by method, (n, rows, columns) of the CNN.
        cnn: the model that other maps are asked of.
        markable: the reader may mark a place.
        marks: to show: slice (from 1), row, column (of the stored slice) and label.
        height: of the viewer, in CSS.
        silent: it reports nothing, so that no run of the page is interrupted.
        shortcuts: keys of the page, e.g. "b" or "Shift+1", and what they do.
        on_shortcut: called with a key of these; the whole page is drawn after it.
    """
    opened = _open_study(study, prefix)
    opened.maps = {} if prediction is None else _heat_maps(study, prediction, maps or {}, cnn)
    given = {"markable": markable, "height": height, "silent": silent}
    given["shortcuts"] = [
        {"key": key, "meaning": meaning} for key, meaning in (shortcuts or {}).items()
    ]
    given["marks"] = [_shown_mark(mark, opened) for mark in marks or []]
    _fragment(study, prefix, opened, prediction, cnn, given, on_shortcut)


def preload_viewer() -> None:
    """Lets the browser fetch the viewer's code and NiiVue while a person still chooses files."""
    modules = [f"{CODE}/viewer.js", *([_NIIVUE] if niivue_file().is_file() else [])]
    imports = "".join(f'import(new URL("{name}", document.baseURI));' for name in modules)
    st.html(f"<script>{imports}</script>", unsafe_allow_javascript=True)


def go_to(number: int, prefix: str) -> None:
    """Shows slice `number` (from 1) in the viewer of this prefix."""
    count = st.session_state.get(f"{prefix}_order", {"count": 0})["count"]
    st.session_state[f"{prefix}_order"] = {"slice": int(number), "count": count + 1}
    st.session_state[f"{prefix}_slice"] = int(number)


def close_viewer(prefix: str) -> None:
    """Ends the address of the study that is open under this prefix."""
    if opened := st.session_state.pop(f"{prefix}_open_study", None):
        OPEN_STUDIES.close(opened)


def _open_study(study: Study, prefix: str) -> OpenStudy:
    """The study as the viewer's routes serve it; opened once for each series and browser."""
    owner = st.context.cookies.get(COOKIE, "")
    opened = st.session_state.get(f"{prefix}_open_study")
    if opened is None or opened.slices is not study.slices or opened.owner != owner:
        if opened is not None:
            OPEN_STUDIES.close(opened)
        opened = OpenStudy(study.slices, owner)
        OPEN_STUDIES.add(opened)
        st.session_state[f"{prefix}_open_study"] = opened
    return opened


@st.fragment
def _fragment(
    study: Study,
    prefix: str,
    opened: OpenStudy,
    prediction: StudyPrediction | None,
    cnn: ReleasedModel | None,
    given: dict[str, Any],
    on_shortcut: Callable[[str], None] | None,
) -> None:
    # A key of the study: the browser would send the mark of the last study again.
    key = f"{prefix}_viewer_{opened.token[:8]}"
    start = _first_slice(study, prediction)
    st.session_state.setdefault(f"{prefix}_slice", start)

    def said(name: str) -> Any:
        """What the browser reported; None from the viewer of a study that is closed by now."""
        return getattr(st.session_state.get(key), name, None)

    def moved() -> None:
        number = said("slice")
        if number in range(1, len(study.slices) + 1):
            st.session_state[f"{prefix}_slice"] = number

    def marked() -> None:
        if (mark := _stored_mark(said("mark"), opened)) is not None:
            st.session_state[f"{prefix}_mark"] = mark
            st.session_state[f"{prefix}_whole_page"] = True

    def pressed() -> None:
        shortcut = said("shortcut")
        key = shortcut.get("key") if isinstance(shortcut, Mapping) else None
        if on_shortcut is not None and key in {entry["key"] for entry in given["shortcuts"]}:
            on_shortcut(str(key))
            st.session_state[f"{prefix}_whole_page"] = True

    order = st.session_state.get(f"{prefix}_order", {"slice": start, "count": 0})
    _COMPONENT(
        key=key,
        data=_series_data(study, opened)
        | _answer_data(prediction, opened, cnn)
        | given
        | {"start": start, "order": order},
        on_slice_change=moved,
        on_mark_change=marked,
        on_shortcut_change=pressed,
    )
    if st.session_state.pop(f"{prefix}_whole_page", False):
        st.rerun()
    if prediction is not None and prediction.families and len(study.slices) > 1:
        _chart(prediction, prefix)


def _first_slice(study: Study, prediction: StudyPrediction | None) -> int:
    if prediction is not None and prediction.families:
        return prediction.top_slices()[0] + 1
    return len(study.slices) // 2 + 1


def _series_data(study: Study, opened: OpenStudy) -> dict[str, Any]:
    """What the component needs to know of the series."""
    display, slices = opened.display, study.slices
    shapes = [display.turn.shown(np.broadcast_to(0, image.shape)).shape for image in slices]
    windows = WINDOWS_HU if study.units == "HU" else _WINDOWS_GREY
    return {
        "address": f"{ADDRESS.lstrip('/')}/{opened.token}",
        "niivue": _NIIVUE if niivue_file().is_file() else None,
        "study": study.id,
        "slices": len(slices),
        "shapes": shapes[:1] if len(set(shapes)) == 1 else shapes,
        "pixelType": opened.pixel_type,
        "spacing": display.spacing_mm,
        "letters": display.letters,
        "positions": [round(place, 2) for place in display.positions_mm],
        "names": [image.source for image in slices],
        "step": display.step_mm,
        "noPlanes": display.no_planes,
        "upwards": display.upwards,
        "turned": display.turned_sentence,
        "presets": [
            {"name": name, "width": window.width, "level": window.level}
            for name, window in windows.items()
        ],
    }


def _answer_data(
    prediction: StudyPrediction | None, opened: OpenStudy, cnn: ReleasedModel | None
) -> dict[str, Any]:
    """What the models say of the slices: nothing where they may not be seen."""
    if prediction is None or not prediction.families:
        return {"models": [], "attention": None, "top": [], "maps": []}
    families = prediction.families
    weights = None
    if "attention_rnn" in families and len(opened.slices) > 1:
        weights = families["attention_rnn"].slice_attention
    mean = np.mean([answer.probabilities for answer in families.values()], axis=0)
    return {
        "models": [
            {
                "name": FAMILY_NAMES[family],
                "probabilities": [round(float(p), 4) for p in families[family].probabilities],
                "threshold": None
                if families[family].undecided
                else float(families[family].slice_limit),
            }
            for family in FAMILY_NAMES
            if family in families
        ],
        "attention": None
        if weights is None
        else [round(float(weight) * len(weights), 3) for weight in weights],
        "top": [
            {"slice": index + 1, "probability": round(float(mean[index]), 4)}
            for index in prediction.top_slices()
        ]
        if len(opened.slices) > 1
        else [],
        "maps": [
            {
                "key": key,
                "name": found.name,
                "scale": found.scale,
                "note": "" if cnn is None else pointing_sentence(cnn.card, found.name),
                "all": found.all_slices is not None,
            }
            for key, found in opened.maps.items()
        ],
    }


def _heat_maps(
    study: Study,
    prediction: StudyPrediction,
    maps: Mapping[str, np.ndarray],
    cnn: ReleasedModel | None,
) -> dict[str, HeatMaps]:
    """What may be laid over the slices, the best first."""
    found: dict[str, HeatMaps] = {}
    # With the version: the browser keeps the maps of other models under their own names.
    version = "" if cnn is None else f"-{cnn.card.version[-6:]}"
    for method, values in maps.items():
        if method == BLOOD_MAP:
            full, scale = 1.0, "blood 100 %"
        else:
            full, scale = float(values.max()) or 1.0, "strongest in this study"
        found[_key(method) + version] = HeatMaps(method, scale, partial(np.divide, values, full))
    methods = () if cnn is None or not maps else cnn.fitted.abilities.heat_maps
    for method in methods:
        if method not in maps and cnn is not None:
            found[_key(method) + version] = HeatMaps(
                method, "strongest in this slice", one_slice=_one_slice(study, cnn, method)
            )
    attention_rnn = prediction.families.get("attention_rnn")
    if attention_rnn is not None and attention_rnn.row_attention is not None:
        found[f"{_ROWS}-{attention_rnn.version[-6:]}"] = HeatMaps(
            "Attention RNN: weight of the rows",
            "3 even shares or more",
            partial(_row_maps, attention_rnn.row_attention, turn_of(study.slices)),
        )
    return found


def _row_maps(weights: np.ndarray, turn: Turn) -> np.ndarray:
    """Weights of the rows that the model saw, over the slices as the files hold them."""
    maps = attention_maps(weights)
    return maps if turn.is_none else np.stack([turn.stored(one) for one in maps])


def _key(method: str) -> str:
    return method.lower().replace("+", "p").replace(" ", "-")


def _one_slice(
    study: Study, cnn: ReleasedModel, method: HeatMapMethod
) -> Callable[[int], np.ndarray]:
    kept: dict[int, np.ndarray] = {}

    def heat(index: int) -> np.ndarray:
        if index not in kept:
            with slot(lambda ahead: None):
                values = one_slice_map(cnn, study.slices, index, method)
            kept[index] = values / (float(values.max()) or 1.0)
        return kept[index]

    return heat


def _stored_mark(place: Any, opened: OpenStudy) -> dict[str, int] | None:
    """The slice and the pixel of the stored slice that a browser says were clicked; None where there is
    no such pixel.
    """
    if not isinstance(place, Mapping):
        return None
    values: list[Any] = [place.get(name) for name in ("slice", "row", "column")]
    number, row, column = values
    if number not in range(1, len(opened.slices) + 1):
        return None
    shape = opened.slices[number - 1].shape
    shown = opened.display.turn.shown(np.broadcast_to(0, shape)).shape
    if row not in range(shown[0]) or column not in range(shown[1]):
        return None
    stored = opened.display.turn.stored_place(row, column, shape)
    return {"slice": int(number), "row": int(stored[0]), "column": int(stored[1])}


def _shown_mark(mark: dict[str, Any], opened: OpenStudy) -> dict[str, Any]:
    shape = opened.slices[mark["slice"] - 1].shape
    row, column = opened.display.turn.shown_place(mark["row"], mark["column"], shape)
    return {"slice": mark["slice"], "row": row, "column": column, "label": mark["label"]}


def _chart(prediction: StudyPrediction, prefix: str) -> None:
    def clicked() -> None:
        points = st.session_state[f"{prefix}_chart"]["selection"]["points"]
        if points:
            go_to(points[0]["x"], prefix)

    families = prediction.families
    current = st.session_state[f"{prefix}_slice"] - 1
    st.plotly_chart(
        slice_probabilities(
            {family: answer.probabilities for family, answer in families.items()},
            {family: answer.slice_limit for family, answer in families.items()},
            current,
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
    if attention_rnn is not None and attention_rnn.slice_attention is not None:
        st.plotly_chart(
            slice_weights(attention_rnn.slice_attention, current),
            theme=None,
            key=f"{prefix}_weights",
            config=CHART_CONFIG | {"displayModeBar": False},
        )
        st.caption(
            "Attention RNN: weight of each slice in the patient's probability. 1 x: the weight if all"
            " slices counted equally."
        )
