"""The report of one study of a session, as PDF or DICOM, with the reads of one reader."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from app_pages.common.exports import export_button
from app_pages.common.inference_queue import slot
from app_pages.common.loaded_models import releases
from hemodetect.explain.heat_maps import study_maps
from hemodetect.models.series_cache import SeriesCache
from hemodetect.prediction.study_prediction import StudyPrediction, predict_study
from hemodetect.registry.releases import Releases
from hemodetect.reports.dicom_results import zipped_results
from hemodetect.reports.study_pdf import study_pdf
from hemodetect.reports.study_pictures import SlicePicture, slice_pictures
from hemodetect.reviews.session import Read, ReviewSession
from hemodetect.reviews.sources import OfSet, open_source, trained_on_source


def study_report(review_session: ReviewSession, session_reads: list[Read]) -> None:
    """Draws the choice of a study and a reader; a report is made when its button is clicked."""
    st.markdown("**Report of one study**")
    study, reader, pdf, dicom = st.columns(4, vertical_alignment="bottom")
    number = study.selectbox(
        "Study", sorted({read.study for read in session_reads}), key="review_report"
    )
    readers = [
        name
        for name in review_session.readers
        if any(read.reader == name for read in session_reads)
    ]
    name = reader.selectbox("Reader", readers, key="review_report_reader")
    reader_reads = [read for read in session_reads if (read.study, read.reader) == (number, name)]

    def as_pdf() -> bytes:
        prediction, pictures, loaded = _predicted(review_session, number)
        cards = {family: model.card for family, model in loaded.models.items()}
        trained_on = trained_on_source(review_session.study(number).source)
        return study_pdf(prediction, cards, pictures, reader_reads, datetime.now(UTC), trained_on)

    def as_dicom() -> bytes:
        prediction, pictures, _ = _predicted(review_session, number)
        last = reader_reads[-1].answer if reader_reads else None
        return zipped_results(prediction, pictures, last, datetime.now(UTC))

    subject, detail = f"{review_session.id}/{number}", {"reader": name}
    file = f"review-{review_session.id}-{number}"
    export_button(pdf, "Report as PDF", f"{file}.pdf", as_pdf, subject, detail)
    if not isinstance(
        review_session.study(number).source, OfSet
    ):  # its images are pictures, not DICOM
        export_button(dicom, "Results as DICOM", f"{file}.zip", as_dicom, subject, detail)
    st.caption("A report contains the answers of the models now in use, and their versions.")


def _predicted(
    review_session: ReviewSession, number: int
) -> tuple[StudyPrediction, tuple[SlicePicture, ...], Releases]:
    study, loaded, cache = (
        open_source(review_session.study(number).source),
        releases(),
        SeriesCache(),
    )
    with slot(lambda _: None):
        prediction = predict_study(study, loaded.models, cache=cache)
        cnn = loaded.models.get("cnn")
        read = cnn is not None and not prediction.stopped
        maps = study_maps(cnn, prediction.study.slices, cache) if cnn and read else None
    return prediction, slice_pictures(prediction, maps), loaded
