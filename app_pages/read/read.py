"""Read a study: the calls of five models, and the heat maps of two of them."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from app_pages.common.answers import (
    AS_PUBLISHED,
    OURS,
    Answers,
    about_the_models,
    calls_row,
    cautions_line,
    forget_answers,
    known_answers,
    no_calls_row,
    stopped,
    work_out_answers,
)
from app_pages.common.audit import record_event
from app_pages.common.example import example_files
from app_pages.common.exports import export_button
from app_pages.common.loaded_models import has_published_models
from app_pages.common.opening import Origin, close_study
from app_pages.common.sign_in import acting_person
from app_pages.common.slice_viewer import preload_viewer, viewer
from app_pages.common.study_files import arrived_files, choose_study_files, forget_files
from app_pages.read.sending import done_button, send_button
from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Study
from hemodetect.reports.dicom_results import zipped_results
from hemodetect.reports.predictions import prediction_csv
from hemodetect.reports.study_pdf import study_pdf
from hemodetect.reports.study_pictures import slice_pictures
from hemodetect.reports.words import series_sentences, trained_on_sentence
from hemodetect.settings import settings


def _open_page(refused: str | None) -> None:
    st.title("Read a study")
    st.write(
        "Open a patient's folder of head-CT slices. Five models estimate the probability of a"
        " hemorrhage for each slice and for the patient; two show where they looked."
    )
    if refused:
        st.error(refused, icon=":material/error:")
    choose_study_files("read")
    st.caption(
        "DICOM, NIfTI, JPEG, PNG and TIFF, also in a zip or tar; other files are ignored. Images stay"
        " in this session's memory; patient names in headers are dropped."
    )
    preload_viewer()
    st.button("Open the example", icon=":material/science:", key="read_example")
    st.caption("The example is a synthetic phantom with a 30 ml bleed, not a patient.")
    if settings().dicomweb_url and "reader" in acting_person().roles:
        from app_pages.read.pacs_search import pacs_search  # its libraries load in half a second

        pacs_search()


def _open(files: list[UploadedFile]) -> str | None:
    """Reads the files and opens the study; returns the reason if that fails, else None."""
    place = st.empty()
    bar = place.progress(0.0, f"Reading {len(files)} files")

    def progress(done: int, total: int) -> None:
        # Every message to the browser costs more than decoding a slice.
        if done == total or done % max(total // 10, 1) == 0:
            bar.progress(done / max(total, 1), f"Read {done} of {total} files")

    try:
        study = read_study(files, progress=progress)
    except HemodetectError as error:
        return str(error)
    finally:
        place.empty()
    record_event("upload", study.id, {"files": len(files), "slices": len(study.slices)})
    close_study()
    st.session_state["read_study"] = study
    return None


def _study_page(study: Study) -> None:
    if len(study.series) > 1:
        study = study.choosing(st.session_state.get("read_series", study.chosen))
    models = st.session_state.get("read_models") or OURS
    found = known_answers("read", models)
    # All that stands above the slices is one element: were their place to change, they would be
    # fetched and drawn again.
    above = st.container(key="above_slices")
    with above:
        _head(study, found)
        if (origin := _origin()) and origin.text:
            st.caption(f":material/grid_view: {origin.text}")
    if found is None:
        with above:
            place = no_calls_row("The models are about to read the study.")
        viewer(study, "read", silent=True)
        # The images are on their way to the browser while the models read.
        work_out_answers(study, "read", place, models)
        st.rerun()
    prediction = found.prediction
    if prediction.stopped:
        with above:
            stopped(prediction)
        viewer(prediction.study, "read")
    else:
        trained_on = st.session_state.get("read_trained_on", {})
        with above:
            cautions_line(prediction, trained_on_sentence(prediction, trained_on))
            calls_row(found)
        viewer(prediction.study, "read", prediction=prediction, maps=found.maps, cnn=found.cnn)
        about_the_models(found)
    for sentence in series_sentences(study):
        st.caption(sentence)
    _refusals(study)


def _head(study: Study, found: Answers | None) -> None:
    """One line: the study, its series, what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", key="study_head"):
        st.markdown(
            f"**{study.id}** :gray[{study.series[study.chosen].description}]", width="stretch"
        )
        if len(study.series) > 1:
            _series_choice(study)
        if (origin := _origin()) and st.button(
            origin.back, icon=":material/arrow_back:", key="read_back_to"
        ):
            st.switch_page(origin.page)
        done_button()
        if has_published_models():
            st.segmented_control(
                "Models",
                [OURS, AS_PUBLISHED],
                default=OURS,
                required=True,
                key="read_models",
                label_visibility="collapsed",
                help="The models in use, or the study's five models as they were published.",
            )
        if found is not None and not found.prediction.stopped:
            with st.popover("Export", icon=":material/download:"):
                _exports(found)
        st.button(
            "Open another study",
            icon=":material/folder_open:",
            on_click=close_study,
            key="read_other",
        )


def _origin() -> Origin | None:
    return st.session_state.get("read_origin")


def _exports(found: Answers) -> None:
    prediction, study = found.prediction, found.prediction.study
    trained_on = st.session_state.get("read_trained_on", {})
    detail = {"bundles": [answer.version for answer in prediction.families.values()]}
    place = st.container()

    def report() -> bytes:
        cards = {family: model.card for family, model in found.loaded.models.items()}
        pictures = slice_pictures(prediction, found.grad_cam)
        return study_pdf(prediction, cards, pictures, [], datetime.now(UTC), trained_on)

    def as_dicom() -> bytes:
        pictures = slice_pictures(prediction, found.grad_cam)
        return zipped_results(prediction, pictures, None, datetime.now(UTC))

    export_button(
        place, "Predictions as CSV", f"{study.id}.csv", lambda: prediction_csv(prediction),
        study.id, detail,
    )  # fmt: skip
    export_button(place, "Report as PDF", f"{study.id}.pdf", report, study.id, detail)
    if study.units == "HU":
        export_button(
            place, "Results as DICOM", f"{study.id}-results.zip", as_dicom, study.id, detail,
            help_text="The heat maps as secondary captures and all calls as a structured report,"
            " under the study's pseudonym.",
        )  # fmt: skip
    send_button(found)


def _series_choice(study: Study) -> None:
    def label(index: int) -> str:
        series = study.series[index]
        note = f" ({series.set_aside})" if series.set_aside else ""
        return f"{index + 1}: {series.description}{note}"

    def choose() -> None:
        forget_answers("read")
        for key in ("read_slice", "read_order"):
            st.session_state.pop(key, None)

    st.selectbox(
        f"Series ({len(study.series)} in this study)",
        range(len(study.series)),
        format_func=label,
        key="read_series",
        on_change=choose,
        label_visibility="collapsed",
        width=320,
    )


def _refusals(study: Study) -> None:
    notes = []
    if study.refused:
        notes.append(f"{_files(len(study.refused))} could not be read")
    if study.ignored:
        notes.append(f"{_files(study.ignored)} without images ignored")
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


refusal = None
# The open page stands in one place, which is empty as soon as a study is open: Streamlit would leave
# its fields on the screen until the models have read the study.
opening = st.empty()
if "read_study" not in st.session_state:
    # Before the page is drawn: the study is shown in the same run, which saves a way to the browser.
    files = arrived_files("read")
    if st.session_state.get("read_example"):
        files = example_files()
    if files:
        with opening.container():
            refusal = _open(files)
        forget_files("read")
if "read_study" in st.session_state:
    opening.empty()
    _study_page(st.session_state["read_study"])
else:
    with opening.container():
        _open_page(refusal)
