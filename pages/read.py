"""Read a study: what five models make of it, and where two of them looked."""

from __future__ import annotations

import logging

import numpy as np
import streamlit as st

from hemodetect.errors import HemodetectError
from hemodetect.explain import study_maps
from hemodetect.families import FAMILY_NAMES
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import windowed
from hemodetect.models.family import Shared
from hemodetect.models.prediction import FamilyPrediction, StudyPrediction, predict_study
from hemodetect.models.released import ReleasedModel, Releases, model_input
from hemodetect.reports.predictions import prediction_csv
from hemodetect.reports.words import agreement_sentence, reliability_sentence, track_record
from hemodetect.viewer import png_bytes
from pages.read_viewer import own_window, viewer
from pages.shared import example_files, missing_reasons, releases, routed

CANNOT_TELL = (
    "Measured on patients the model had not seen, a probability like this one does not settle the"
    " answer at 90 % confidence; or there were too few slices to"
    " judge a study by, or no head could be made out."
)

log = logging.getLogger(__name__)


def _open_page(refused: str | None) -> None:
    st.title("Read a study")
    st.write(
        "Give a patient's folder of head-CT slices. Five models say whether they see a hemorrhage,"
        " slice by slice and for the patient, and two show where they looked."
    )
    if refused:
        st.error(refused, icon=":material/error:")
    folder_key, files_key = _upload_keys()
    left, right = st.columns(2)
    with left:
        st.file_uploader("A folder of slices", accept_multiple_files="directory", key=folder_key)
    with right:
        st.file_uploader("Files, or a zip", accept_multiple_files=True, key=files_key)
    st.caption(
        "DICOM, JPEG, PNG and TIFF; other files in the folder do no harm. Many hundred slices arrive"
        " far sooner as a zip. Images stay in this"
        " session's memory and names in headers are dropped as they are read."
    )
    st.button("Open the example", icon=":material/science:", key="read_example")
    st.caption("The example is a made-up head with a 30 ml bleed, not a patient.")


def _upload_keys() -> tuple[str, str]:
    # Others after a failure: uploads that stayed selected would be read again at once, for ever.
    attempt = st.session_state.setdefault("read_attempt", 0)
    return f"read_folder_{attempt}", f"read_files_{attempt}"


def _given() -> list[UploadedFile]:
    """What the reader has just given, known before the page is drawn: the study is shown in the same
    run, which saves a trip to the browser and back before its first slice.
    """
    if st.session_state.get("read_example"):
        return example_files()
    for key in _upload_keys():
        if uploads := st.session_state.get(key):
            return [UploadedFile(upload.name, upload.getvalue()) for upload in uploads]
    return []


def _open(files: list[UploadedFile]) -> str | None:
    """Reads what was given and keeps it as the study in view; gives the reason where it cannot."""
    place = st.empty()
    bar = place.progress(0.0, f"Reading {len(files)} files")

    def progress(done: int, total: int) -> None:
        # Every message to the browser costs more than decoding a slice.
        if done == total or done % max(total // 10, 1) == 0:
            bar.progress(done / max(total, 1), f"Read {done} of {total} files")

    try:
        study = read_study(files, progress=progress)
    except HemodetectError as error:
        st.session_state["read_attempt"] += 1
        return str(error)
    finally:
        place.empty()
    _forget()
    st.session_state["read_study"] = study
    return None


def _forget() -> None:
    """Drops the study in view, its images with it."""
    for key in [key for key in st.session_state if str(key).startswith("read_")]:
        del st.session_state[key]


def _study_page(study: Study) -> None:
    title, csv, another = st.columns([6, 3, 3], vertical_alignment="bottom")
    title.title(study.id)
    another.button(
        "Open another study", icon=":material/folder_open:", on_click=_forget, width="stretch"
    )
    origin = st.session_state.get("read_origin")
    if origin:
        st.info(origin, icon=":material/grid_view:")
        if st.button("Back to the comparison", icon=":material/arrow_back:", key="read_back_to"):
            st.switch_page("pages/compare.py")
    study = _chosen_series(study)
    prediction, maps, used = _answers(study)
    csv.download_button(
        "Predictions as CSV",
        prediction_csv(prediction),
        f"{study.id}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    _first_words(prediction, used)
    _cards(prediction, used)
    _refusals(study)
    viewer(prediction, maps, used.models.get("cnn"))


def _chosen_series(study: Study) -> Study:
    if len(study.series) == 1:
        st.caption(study.series[0].description)
        return study

    def label(index: int) -> str:
        series = study.series[index]
        aside = f" (set aside: {series.set_aside})" if series.set_aside else ""
        return series.description + aside

    def choose() -> None:
        for key in ("read_answers", "read_slice", "read_slice_maps"):
            st.session_state.pop(key, None)

    chosen = st.selectbox(
        f"Series ({len(study.series)} found)",
        range(len(study.series)),
        format_func=label,
        key="read_series",
        on_change=choose,
    )
    return study.choosing(chosen)


def _answers(study: Study) -> tuple[StudyPrediction, np.ndarray | None, Releases]:
    """The models' predictions and the CNN's maps, made once a study, and the models that made them:
    another may be in use by the time the page is drawn again.
    """
    known = st.session_state.get("read_answers")
    if known:
        return known
    look = st.empty()
    with look.container():
        with st.spinner("Loading the models"):
            loaded = releases()
        for family, reason in loaded.missing.items():
            log.warning("no release of %s: %s", family, reason)
        if not loaded.models:
            st.error(
                "No model can be loaded, so nothing can be said of this study. "
                + " ".join(missing_reasons(loaded).values()),
                icon=":material/error:",
            )
            st.stop()
        _first_look(study, loaded.models)
        bar = st.progress(0.0, "The models are reading all slices")
        steps = len(loaded.models) + 1

        def progress(done: int, total: int) -> None:
            bar.progress(done / steps, f"Model {done} of {total} has read all slices")

        try:
            shared: Shared = {}
            prediction = predict_study(study, loaded.models, progress, shared)
        except HemodetectError as error:
            st.error(str(error), icon=":material/error:")
            st.stop()
        maps = None
        if "cnn" in loaded.models:
            bar.progress((steps - 1) / steps, "Drawing the CNN's heat maps")
            maps = study_maps(loaded.models["cnn"], study.slices, shared)
    look.empty()
    st.session_state["read_answers"] = (prediction, maps, loaded)
    return prediction, maps, loaded


def _first_look(study: Study, models: dict[str, ReleasedModel]) -> None:
    """The first slice and what the models say of it, while the rest is being read."""
    first = study.slices[0]
    picture, words = st.columns([2, 3])
    picture.image(png_bytes(windowed(first.values, own_window(first)), 420), "Slice 1")
    shared: Shared = {}
    for family, model in models.items():
        grey = model_input([first], model.fitted.size)
        probability = float(model.predict_inputs(grey, shared).slices[0])
        words.markdown(f"{FAMILY_NAMES[family]}, slice 1: **{probability:.0%}**")


def _first_words(prediction: StudyPrediction, used: Releases) -> None:
    cards = {family: model.card for family, model in used.models.items()}
    st.subheader(agreement_sentence(prediction))
    st.caption(f":material/info: {reliability_sentence(cards)}")
    unseen = [
        (~found.seen).sum() for found in prediction.families.values() if found.seen is not None
    ]
    if unseen and max(unseen):
        st.caption(
            f":material/visibility_off: In {max(unseen)} of {len(prediction.study.slices)} slices no"
            " head could be made out; models that look for one say nothing of these."
        )
    if prediction.study.units == "grey":
        st.caption(
            ":material/contrast: These are pictures without Hounsfield units. The models take them"
            " for slices in a brain window."
        )


def _cards(prediction: StudyPrediction, used: Releases) -> None:
    for column, family in zip(st.columns(len(FAMILY_NAMES)), FAMILY_NAMES, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{FAMILY_NAMES[family]}**")
            if family in prediction.families:
                _card(prediction.families[family], track_record(used.models[family].card))
            else:
                st.caption(f":material/block: Not in use. {missing_reasons(used).get(family, '')}")


def _card(found: FamilyPrediction, record: str) -> None:
    if found.undecided:
        st.markdown(":material/help: Cannot tell", help=CANNOT_TELL)
    elif found.call == "hemorrhage":
        st.markdown(":red[:material/error: **Hemorrhage**]")
    else:
        st.markdown(":material/check_circle: No hemorrhage")
    st.markdown(f"### {found.patient:.1%}", help=record)
    highest = ", ".join(str(index + 1) for index in found.top_slices[:3])
    st.caption(
        f"Calls hemorrhage from {found.threshold:.0%}  \n"
        f"{found.suspicious} of {len(found.probabilities)} slices suspicious, most {highest}  \n"
        f"{found.version}"
    )


def _refusals(study: Study) -> None:
    notes = []
    if study.refused:
        notes.append(f"{_files(len(study.refused))} could not be read")
    if study.ignored:
        notes.append(f"{_files(study.ignored)} without images passed over")
    if not notes:
        return
    if not study.refused:
        st.caption(f"{notes[0]}.")
        return
    with st.expander("; ".join(notes), icon=":material/warning:"):
        st.dataframe(
            [{"File": r.file, "Why": r.reason} for r in study.refused],
            hide_index=True,
            width="stretch",
        )


def _files(n: int) -> str:
    return "1 file" if n == 1 else f"{n} files"


routed()
refusal = None
if "read_study" not in st.session_state and (given := _given()):
    refusal = _open(given)
if "read_study" in st.session_state:
    _study_page(st.session_state["read_study"])
else:
    _open_page(refusal)
