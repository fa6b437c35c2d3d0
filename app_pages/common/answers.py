"""The models' answers for a study, and how pages show them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.audit import record_event
from app_pages.common.inference_queue import slot
from app_pages.common.loaded_models import missing_reasons, published, releases
from app_pages.common.text import counted
from hemodetect.errors import HemodetectError
from hemodetect.explain.heat_maps import blood_maps, study_maps
from hemodetect.imaging.study import Study
from hemodetect.inputcheck import checked_study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.interface import BLOOD_MAP, GRADIENT_METHODS
from hemodetect.models.series_cache import SeriesCache
from hemodetect.prediction.study_prediction import (
    StudyPrediction,
    out_of_fold_answers,
    predict_study,
)
from hemodetect.preprocessing.model_input import model_input
from hemodetect.registry.known_slices import OutOfFold
from hemodetect.registry.releases import ReleasedModel, Releases
from hemodetect.reports.words import (
    CANNOT_TELL,
    NO_HOUNSFIELD_UNITS,
    PUBLISHED_CAUTION,
    STOPPED,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
    track_record,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Answers:
    """What the models say of a study.

    Attributes:
        prediction: of each model.
        maps: of the CNN by method, (n, rows, columns) over the whole slices; the best points first.
        loaded: the models that said it; others may be in use by the next run of the page.
    """

    prediction: StudyPrediction
    maps: dict[str, np.ndarray]
    loaded: Releases

    @property
    def grad_cam(self) -> np.ndarray | None:
        """The maps that reports show."""
        return self.maps.get(GRADIENT_METHODS[0])

    @property
    def cnn(self) -> ReleasedModel | None:
        """The CNN, where it is in use."""
        return self.loaded.models.get("cnn")


OURS, AS_PUBLISHED = "Ours", "As published"
"""The models in use, and the study's own."""


def known_answers(prefix: str, models: str = OURS) -> Answers | None:
    """The answers for the open study, once `work_out_answers` has them."""
    return st.session_state.get(_answers_key(prefix, models))


def forget_answers(prefix: str) -> None:
    """Drops all answers for the open study."""
    for models in (OURS, AS_PUBLISHED):
        st.session_state.pop(_answers_key(prefix, models), None)


def _answers_key(prefix: str, models: str) -> str:
    return f"{prefix}_answers" if models == OURS else f"{prefix}_published_answers"


def work_out_answers(study: Study, prefix: str, place: DeltaGenerator, models: str = OURS) -> None:
    """Lets the models read the study, and keeps their answers in the session under `prefix`.

    Args:
        study: its chosen series is read.
        prefix: of the page's state.
        place: where the progress is shown.
        models: `OURS` or `AS_PUBLISHED`.
    """
    place.caption(":material/hourglass: Loading the models")
    loaded = releases() if models == OURS else published()
    for family, reason in loaded.missing.items():
        log.warning("no release of %s: %s", family, reason)
    if not loaded.models:
        place.error(
            "No model can be loaded, so the models cannot judge this study. "
            + " ".join(missing_reasons(loaded).values()),
            icon=":material/error:",
        )
        st.stop()
    with slot(lambda ahead: _waiting(place, ahead)):
        place.empty()
        prediction, maps = _read_by_models(study, loaded.models, place)
    place.empty()
    bundles = [answer.version for answer in prediction.families.values()]
    record_event("open", study.id, {"slices": len(study.slices), "bundles": bundles})
    if models == AS_PUBLISHED:
        prediction = prediction.with_caution(PUBLISHED_CAUTION)
    st.session_state[_answers_key(prefix, models)] = Answers(prediction, maps, loaded)


def _waiting(place: DeltaGenerator, ahead: int) -> None:
    place.caption(
        f":material/hourglass: Waiting for the models; {counted(ahead, 'study', 'studies')} ahead."
    )


def _read_by_models(
    study: Study, models: dict[str, ReleasedModel], place: DeltaGenerator
) -> tuple[StudyPrediction, dict[str, np.ndarray]]:
    """The predictions and the CNN's maps; shows what each model says of one slice, and the progress."""
    checked, known = checked_study(study), None
    with place.container():
        if checked.stopped is None:
            known = out_of_fold_answers(checked.study, models)
            _preview(checked.study, models, known)
        bar = st.progress(0.0, "The models are reading all slices")
    steps = len(models) + 1

    def progress(done: int, total: int) -> None:
        bar.progress(done / steps, f"Model {done} of {total} has read all slices")

    try:
        cache = SeriesCache()
        prediction = predict_study(study, models, progress, cache, checked, known)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    maps: dict[str, np.ndarray] = {}
    if "cnn" in prediction.families:
        bar.progress((steps - 1) / steps, "Drawing the CNN's heat maps")
        methods = models["cnn"].fitted.abilities.heat_maps
        slices = prediction.study.slices
        # In half precision: they stay in the session.
        if BLOOD_MAP in methods:
            maps[BLOOD_MAP] = blood_maps(models["cnn"], slices, cache).astype(np.float16)
        maps[GRADIENT_METHODS[0]] = study_maps(models["cnn"], slices, cache).astype(np.float16)
    return prediction, maps


def _preview(study: Study, models: dict[str, ReleasedModel], known: dict[str, OutOfFold]) -> None:
    """Shows what is said of the slice in view while the models read the others: by the models in use,
    of that slice alone, or by those that had not seen a patient whom these were trained on.
    """
    index = len(study.slices) // 2
    cache = SeriesCache()
    said = []
    for family, model in models.items():
        if family in known:
            probability = float(known[family].slices[index])
        else:
            grey = model_input([study.slices[index]], model.fitted.size)
            probability = float(model.predict_inputs(grey, cache).slices[0])
        said.append(f"{FAMILY_NAMES[family]} **{probability:.0%}**")
    st.markdown(f":small[Slice {index + 1} alone: {' · '.join(said)}]")


def cautions_line(prediction: StudyPrediction, *more: str) -> None:
    """Shows the first caution in one line, and the others behind it."""
    cautions = [sentence for sentence in (*more, *prediction.cautions) if sentence]
    if no_head := no_head_sentence(prediction):
        cautions.append(no_head)
    if prediction.study.units == "grey":
        cautions.append(NO_HOUNSFIELD_UNITS)
    if not cautions:
        return
    first, *others = cautions
    with st.container(horizontal=True, vertical_alignment="center", key="cautions", gap="small"):
        st.markdown(f":orange[:material/warning:] {first}", width="stretch")
        if others:
            with st.popover(counted(len(others), "more caution", "more cautions"), type="tertiary"):
                for caution in others:
                    st.markdown(f":orange[:material/warning:] {caution}")


def stopped(prediction: StudyPrediction) -> None:
    """Shows why no model was run, and what to do."""
    st.error(f"**{STOPPED}.** {prediction.stopped}", icon=":material/block:")
    for caution in prediction.cautions:
        st.warning(caution, icon=":material/warning:")


def calls_row(found: Answers) -> None:
    """Shows the five calls in one row: call, probability, threshold, suspicious slices."""
    with st.container(key="calls"):
        for column, family in zip(
            st.columns(len(FAMILY_NAMES), gap="small"), FAMILY_NAMES, strict=True
        ):
            with column:
                _call(family, found)


def no_calls_row(text: str) -> DeltaGenerator:
    """A row as high as that of the calls, which it makes room for; returns the place in it."""
    with st.container(key="calls"):
        place = st.empty()
        place.caption(text)
    return place


def _call(family: str, found: Answers) -> None:
    name = FAMILY_NAMES[family]
    answer = found.prediction.families.get(family)
    if answer is None:
        reason = missing_reasons(found.loaded).get(family, "")
        st.markdown(f"**{name}**  \n:gray[:material/block: Not in use]", help=reason)
        return
    if answer.undecided:
        call, about = ":material/help: Cannot tell", f"{CANNOT_TELL}\n\n"
    elif answer.call == "hemorrhage":
        call, about = ":red[:material/error: **Hemorrhage**]", ""
    else:
        call, about = ":material/check_circle: No hemorrhage", ""
    highest = ", ".join(str(index + 1) for index in answer.top_slices[:3])
    details = (
        f"{about}A patient is called from {answer.threshold:.0%}; a slice is suspicious from"
        f" {answer.slice_limit:.0%}. Highest slices: {highest}.\n\n"
        f"{track_record(found.loaded.models[family].card)}\n\n{answer.version}"
    )
    side = "≥" if answer.call == "hemorrhage" else "<"
    n = len(answer.probabilities)
    st.markdown(
        f"**{name}**  {call}  \n**{answer.patient:.1%}** :small[{side} {answer.threshold:.0%} ·"
        f" {answer.suspicious} of {n} {'slice' if n == 1 else 'slices'}]",
        help=details,
    )


def about_the_models(found: Answers) -> None:
    """Shows whether the models agree, and how accurate they are."""
    cards = {family: model.card for family, model in found.loaded.models.items()}
    st.caption(
        f":material/info: {agreement_sentence(found.prediction)} {reliability_sentence(cards)}"
    )
