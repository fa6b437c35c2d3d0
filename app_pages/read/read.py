"""Read a study: the calls of five models, and the heat maps of two of them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import streamlit as st

from app_pages.common.answers import answers, model_cards, stopped, summary
from app_pages.common.arriving_files import count_arriving_files
from app_pages.common.audit import record_event
from app_pages.common.example import example_files
from app_pages.common.exports import export_button
from app_pages.common.slice_viewer import viewer, viewer_without_models
from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Study
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.registry.releases import Releases
from hemodetect.reports.dicom_results import zipped_results
from hemodetect.reports.predictions import prediction_csv
from hemodetect.reports.study_pdf import study_pdf
from hemodetect.reports.study_pictures import slice_pictures
from hemodetect.reports.words import series_sentences, trained_on_sentence


def _open_page(refused: str | None) -> None:
    st.title("Read a study")
    st.write(
        "Open a patient's folder of head-CT slices. Five models estimate the probability of a"
        " hemorrhage for each slice and for the patient; two show where they looked."
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
        "DICOM, JPEG, PNG and TIFF; other files are ignored. A zip uploads much faster than hundreds"
        " of single files. Images stay in this session's memory; patient names in headers are dropped."
    )
    count_arriving_files()
    st.button("Open the example", icon=":material/science:", key="read_example")
    st.caption("The example is a synthetic phantom with a 30 ml bleed, not a patient.")


def _upload_keys() -> tuple[str, str]:
    # New keys after a failure: the uploads stay selected and would be read again in each run.
    attempt = st.session_state.setdefault("read_attempt", 0)
    return f"read_folder_{attempt}", f"read_files_{attempt}"


def _uploaded_files() -> list[UploadedFile]:
    """The files uploaded since the last run, read before the page is drawn.

    The study is then shown in the same run, which saves one round trip to the browser.
    """
    if st.session_state.get("read_example"):
        return example_files()
    for key in _upload_keys():
        if uploads := st.session_state.get(key):
            return [UploadedFile(upload.name, upload.getvalue()) for upload in uploads]
    return []


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
        st.session_state["read_attempt"] += 1
        return str(error)
    finally:
        place.empty()
    record_event("upload", study.id, {"files": len(files), "slices": len(study.slices)})
    _forget()
    st.session_state["read_study"] = study
    return None


def _forget() -> None:
    """Closes the open study and drops its images."""
    for key in [key for key in st.session_state if str(key).startswith("read_")]:
        del st.session_state[key]


def _study_page(study: Study) -> None:
    title, button_column = st.columns([9, 3], vertical_alignment="bottom")
    title.title(study.id)
    button_column.button(
        "Open another study", icon=":material/folder_open:", on_click=_forget, width="stretch"
    )
    origin = st.session_state.get("read_origin")
    if origin:
        st.info(origin, icon=":material/grid_view:")
        if st.button("Back to the comparison", icon=":material/arrow_back:", key="read_back_to"):
            st.switch_page("app_pages/compare/compare.py")
    study = _chosen_series(study)
    prediction, maps, loaded = answers(study, "read")
    if prediction.stopped:
        stopped(prediction)
        _refusals(study)
        viewer_without_models(prediction.study, "read")
        return
    summary(prediction, loaded)
    if trained_sentence := trained_on_sentence(
        prediction, st.session_state.get("read_trained_on", {})
    ):
        st.caption(f":material/school: {trained_sentence}")
    model_cards(prediction, loaded)
    _refusals(study)
    viewer(prediction, maps, loaded.models.get("cnn"))
    _exports(prediction, maps, loaded)


def _exports(prediction: StudyPrediction, maps: np.ndarray | None, loaded: Releases) -> None:
    study, columns = prediction.study, st.columns(3)
    trained_on = st.session_state.get("read_trained_on", {})
    detail = {"bundles": [answer.version for answer in prediction.families.values()]}

    def report() -> bytes:
        cards = {family: model.card for family, model in loaded.models.items()}
        pictures = slice_pictures(prediction, maps)
        return study_pdf(prediction, cards, pictures, [], datetime.now(UTC), trained_on)

    def as_dicom() -> bytes:
        pictures = slice_pictures(prediction, maps)
        return zipped_results(prediction, pictures, None, datetime.now(UTC))

    export_button(
        columns[0], "Predictions as CSV", f"{study.id}.csv", lambda: prediction_csv(prediction),
        study.id, detail,
    )  # fmt: skip
    export_button(columns[1], "Report as PDF", f"{study.id}.pdf", report, study.id, detail)
    if study.units == "HU":
        export_button(
            columns[2], "Results as DICOM", f"{study.id}-results.zip", as_dicom, study.id, detail,
            help_text="The heat maps as secondary captures and all calls as a structured report,"
            " under the study's pseudonym.",
        )  # fmt: skip


def _chosen_series(study: Study) -> Study:
    if len(study.series) > 1:
        study = study.choosing(_series_choice(study))
    for sentence in series_sentences(study):
        st.caption(sentence)
    return study


def _series_choice(study: Study) -> int:
    def label(index: int) -> str:
        series = study.series[index]
        note = f" ({series.set_aside})" if series.set_aside else ""
        return f"{index + 1}: {series.description}{note}"

    def choose() -> None:
        for key in ("read_answers", "read_slice", "read_slice_maps"):
            st.session_state.pop(key, None)

    return st.selectbox(
        f"Series ({len(study.series)} in this study)",
        range(len(study.series)),
        format_func=label,
        key="read_series",
        on_change=choose,
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
if "read_study" not in st.session_state and (files := _uploaded_files()):
    refusal = _open(files)
if "read_study" in st.session_state:
    _study_page(st.session_state["read_study"])
else:
    _open_page(refusal)
