"""The report of one study of a session, as PDF or DICOM, with the reads of one reader."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from hemodetect.explain.heat_maps import study_maps
from hemodetect.models.series_cache import SeriesCache
from hemodetect.prediction.study_prediction import StudyPrediction, predict_study
from hemodetect.registry.releases import Releases
from hemodetect.reports.dicom_results import zipped_results
from hemodetect.reports.study_pdf import study_pdf
from hemodetect.reports.study_pictures import SlicePicture, slice_pictures
from hemodetect.reviews.session import Read, ReviewSession
from hemodetect.reviews.sources import OfSet, open_source, trained_on_source
from pages.common.exports import export_button
from pages.common.inference_queue import slot
from pages.common.loaded_models import releases


def study_report(of: ReviewSession, made: list[Read]) -> None:
    """Asks which study and whose reads; each report is made when it is asked for."""
    st.markdown("**Report of one study**")
    study, reader, pdf, dicom = st.columns(4, vertical_alignment="bottom")
    number = study.selectbox("Study", sorted({read.study for read in made}), key="review_report")
    readers = [name for name in of.readers if any(read.reader == name for read in made)]
    name = reader.selectbox("Reader", readers, key="review_report_reader")
    own = [read for read in made if (read.study, read.reader) == (number, name)]

    def as_pdf() -> bytes:
        prediction, pictures, used = _predicted(of, number)
        cards = {family: model.card for family, model in used.models.items()}
        seen = trained_on_source(of.study(number).source)
        return study_pdf(prediction, cards, pictures, own, datetime.now(UTC), seen)

    def as_dicom() -> bytes:
        prediction, pictures, _ = _predicted(of, number)
        last = own[-1].answer if own else None
        return zipped_results(prediction, pictures, last, datetime.now(UTC))

    subject, told = f"{of.id}/{number}", {"reader": name}
    file = f"review-{of.id}-{number}"
    export_button(pdf, "Report as PDF", f"{file}.pdf", as_pdf, subject, told)
    if not isinstance(of.study(number).source, OfSet):  # pictures, which never were DICOM
        export_button(dicom, "Results as DICOM", f"{file}.zip", as_dicom, subject, told)
    st.caption("Reports use the models in use now and name their versions.")


def _predicted(
    of: ReviewSession, number: int
) -> tuple[StudyPrediction, tuple[SlicePicture, ...], Releases]:
    opened, used, cache = open_source(of.study(number).source), releases(), SeriesCache()
    with slot(lambda _: None):
        prediction = predict_study(opened, used.models, cache=cache)
        cnn = used.models.get("cnn")
        maps = study_maps(cnn, opened.slices, cache) if cnn else None
    return prediction, slice_pictures(prediction, maps), used
