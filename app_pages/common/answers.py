"""The models' answers for a study, and how pages show them."""

from __future__ import annotations

import logging

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.audit import record_event
from app_pages.common.inference_queue import slot
from app_pages.common.loaded_models import missing_reasons, releases
from app_pages.common.slice_controls import first_window
from app_pages.common.text import counted
from hemodetect.errors import HemodetectError
from hemodetect.explain.heat_maps import study_maps
from hemodetect.figures.slice_view import png_bytes
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import windowed
from hemodetect.inputcheck import checked_study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.series_cache import SeriesCache
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction, predict_study
from hemodetect.preprocessing.model_input import model_input
from hemodetect.registry.releases import ReleasedModel, Releases
from hemodetect.reports.words import (
    CANNOT_TELL,
    NO_HOUNSFIELD_UNITS,
    STOPPED,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
    track_record,
)

log = logging.getLogger(__name__)


def answers(study: Study, prefix: str) -> tuple[StudyPrediction, np.ndarray | None, Releases]:
    """The predictions, the CNN's heat maps, and the models that made them.

    Computed once per study and kept in the session under `prefix`; another model may be in use by the
    next run of the page.
    """
    key = f"{prefix}_answers"
    if cached := st.session_state.get(key):
        return cached
    preview = st.empty()
    with preview.container():
        with st.spinner("Loading the models"):
            loaded = releases()
        for family, reason in loaded.missing.items():
            log.warning("no release of %s: %s", family, reason)
        if not loaded.models:
            st.error(
                "No model can be loaded, so the models cannot judge this study. "
                + " ".join(missing_reasons(loaded).values()),
                icon=":material/error:",
            )
            st.stop()
        place = st.empty()
        with slot(lambda ahead: _waiting(place, ahead)):
            place.empty()
            prediction, maps = _read_by_models(study, loaded.models)
    preview.empty()
    bundles = [answer.version for answer in prediction.families.values()]
    record_event("open", study.id, {"slices": len(study.slices), "bundles": bundles})
    st.session_state[key] = (prediction, maps, loaded)
    return prediction, maps, loaded


def _waiting(place: DeltaGenerator, ahead: int) -> None:
    place.caption(
        f":material/hourglass: Waiting for the models; {counted(ahead, 'study', 'studies')} ahead."
    )


def _read_by_models(
    study: Study, models: dict[str, ReleasedModel]
) -> tuple[StudyPrediction, np.ndarray | None]:
    """The predictions and the CNN's maps; draws a progress bar."""
    checked = checked_study(study)
    if checked.stopped is None:
        _preview(checked.study, models)
    bar = st.progress(0.0, "The models are reading all slices")
    steps = len(models) + 1

    def progress(done: int, total: int) -> None:
        bar.progress(done / steps, f"Model {done} of {total} has read all slices")

    try:
        cache = SeriesCache()
        prediction = predict_study(study, models, progress, cache, checked)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    maps = None
    if "cnn" in prediction.families:
        bar.progress((steps - 1) / steps, "Drawing the CNN's heat maps")
        maps = study_maps(models["cnn"], prediction.study.slices, cache)
    return prediction, maps


def _preview(study: Study, models: dict[str, ReleasedModel]) -> None:
    """Shows the first slice and the models' answers for it while they read the others."""
    first = study.slices[0]
    picture, lines = st.columns([2, 3])
    picture.image(png_bytes(windowed(first.values, first_window(first)), 420), "Slice 1")
    cache = SeriesCache()
    for family, model in models.items():
        grey = model_input([first], model.fitted.size)
        probability = float(model.predict_inputs(grey, cache).slices[0])
        lines.markdown(f"{FAMILY_NAMES[family]}, slice 1: **{probability:.0%}**")


def summary(prediction: StudyPrediction, loaded: Releases) -> None:
    """Shows whether the models agree, how accurate they are, what they skipped, and cautions."""
    cards = {family: model.card for family, model in loaded.models.items()}
    st.subheader(agreement_sentence(prediction))
    st.caption(f":material/info: {reliability_sentence(cards)}")
    if no_head := no_head_sentence(prediction):
        st.caption(f":material/visibility_off: {no_head}")
    if prediction.study.units == "grey":
        st.caption(f":material/contrast: {NO_HOUNSFIELD_UNITS}")
    _cautions(prediction)


def stopped(prediction: StudyPrediction) -> None:
    """Shows why no model was run, and what to do."""
    st.subheader(STOPPED)
    st.error(prediction.stopped, icon=":material/block:")
    _cautions(prediction)


def _cautions(prediction: StudyPrediction) -> None:
    for caution in prediction.cautions:
        st.warning(caution, icon=":material/warning:")


def model_cards(prediction: StudyPrediction, loaded: Releases) -> None:
    """Shows a card per model: its call, its probability and its threshold."""
    for column, family in zip(st.columns(len(FAMILY_NAMES)), FAMILY_NAMES, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{FAMILY_NAMES[family]}**")
            if family in prediction.families:
                _card(prediction.families[family], track_record(loaded.models[family].card))
            else:
                st.caption(
                    f":material/block: Not in use. {missing_reasons(loaded).get(family, '')}"
                )


def _card(answer: FamilyPrediction, record: str) -> None:
    if answer.undecided:
        st.markdown(":material/help: Cannot tell", help=CANNOT_TELL)
    elif answer.call == "hemorrhage":
        st.markdown(":red[:material/error: **Hemorrhage**]")
    else:
        st.markdown(":material/check_circle: No hemorrhage")
    st.markdown(f"### {answer.patient:.1%}", help=record)
    highest = ", ".join(str(index + 1) for index in answer.top_slices[:3])
    st.caption(
        f"Threshold {answer.threshold:.0%}  \n"
        f"Suspicious slices: {answer.suspicious} of {len(answer.probabilities)}; highest {highest}  \n"
        f"{answer.version}"
    )
