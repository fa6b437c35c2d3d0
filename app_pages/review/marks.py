"""The places that readers marked in a study, beside the highest place of the CNN's map."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages.common.answers import Answers, calls_row, known_answers, work_out_answers
from app_pages.common.slice_viewer import close_viewer, viewer
from app_pages.common.text import plain
from hemodetect.errors import HemodetectError
from hemodetect.imaging.study import Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.interface import BLOOD_MAP
from hemodetect.reviews.results import STAGE_WORDS
from hemodetect.reviews.session import Read, ReviewSession
from hemodetect.reviews.sources import open_source
from hemodetect.viewer.places import Place, distance_mm, highest_place

_PREFIX = "review_marks"
_CNN = "CNN, highest place of its map"


def marks(review_session: ReviewSession, session_reads: list[Read]) -> None:
    """Draws the choice of a study that somebody marked, its slices with all marks, and a table."""
    marked = sorted({read.study for read in session_reads if read.answer.mark})
    if not marked:
        return
    st.markdown("**Marked places**")
    number = st.selectbox(
        "Study with marks", [None, *marked], format_func=_name, key="review_marks_study", width=240
    )
    if number is None:
        _close()
        return
    try:
        study = _study(review_session, number)
    except HemodetectError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    found = known_answers(_PREFIX)
    if found is None:
        work_out_answers(study, _PREFIX, st.empty())
        st.rerun()
    reads = [read for read in session_reads if read.study == number and read.answer.mark]
    if not found.prediction.stopped:
        calls_row(found)
    viewer(
        found.prediction.study,
        _PREFIX,
        prediction=None if found.prediction.stopped else found.prediction,
        maps=found.maps,
        cnn=found.cnn,
        marks=_shown(reads, found),
    )
    st.dataframe(_rows(reads, found), hide_index=True, width="stretch")


def _name(number: int | None) -> str:
    return "none" if number is None else f"Study {number}"


def _study(review_session: ReviewSession, number: int) -> Study:
    current = (review_session.id, number)
    if st.session_state.get(f"{_PREFIX}_opened") != current:
        _close()
        with st.spinner("Opening the study"):
            st.session_state[f"{_PREFIX}_of"] = open_source(review_session.study(number).source)
        st.session_state[f"{_PREFIX}_opened"] = current
    return st.session_state[f"{_PREFIX}_of"]


def _close() -> None:
    close_viewer(_PREFIX)
    for name in ("opened", "of", "answers", "slice", "order"):
        st.session_state.pop(f"{_PREFIX}_{name}", None)


def _cnn_place(found: Answers) -> Place | None:
    maps = found.maps.get(BLOOD_MAP, found.grad_cam)
    return None if maps is None else highest_place(maps, found.prediction.study.slices)


def _who(read: Read) -> str:
    return f"{read.reader}, {STAGE_WORDS[read.stage]}"


def _shown(reads: list[Read], found: Answers) -> list[dict[str, Any]]:
    shown = [
        {
            "slice": read.answer.mark.slice,
            "row": read.answer.mark.row,
            "column": read.answer.mark.column,
            "label": _who(read),
        }
        for read in reads
        if read.answer.mark
    ]
    if place := _cnn_place(found):
        shown.append(
            {"slice": place.slice, "row": place.row, "column": place.column, "label": "CNN"}
        )
    return shown


def _rows(reads: list[Read], found: Answers) -> list[dict[str, Any]]:
    slices, highest = found.prediction.study.slices, _cnn_place(found)
    rows = []
    for read in reads:
        mark = read.answer.mark
        assert mark is not None
        apart = None
        if highest is not None:
            apart = distance_mm(slices, Place(mark.slice, mark.row, mark.column), highest)
        rows.append(
            {
                "By": _who(read),
                "Slice": mark.slice,
                "Place": mark.sentence,
                "From the CNN's highest place (mm)": None if apart is None else round(apart, 1),
            }
        )
    if highest is not None:
        rows.append(
            {
                "By": _CNN,
                "Slice": highest.slice,
                "Place": f"slice {highest.slice}, row {highest.row}, column {highest.column}",
                "From the CNN's highest place (mm)": 0.0,
            }
        )
    rows += [
        {
            "By": f"{FAMILY_NAMES[family]}: most suspicious slice",
            "Slice": answer.top_slices[0] + 1,
            "Place": "",
            "From the CNN's highest place (mm)": None,
        }
        for family, answer in found.prediction.families.items()
    ]
    return rows
