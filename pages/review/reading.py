"""Reading in a session: the study without the models, the reader's call, then the models."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hemodetect.errors import HemodetectError
from hemodetect.figures.slice_view import slice_view
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import windowed
from hemodetect.reports.words import trained_on_sentence
from hemodetect.reviews.model_reads import keep_model_reads
from hemodetect.reviews.saved import StudyGone
from hemodetect.reviews.session import TYPES, Answer, Assignment, Call, ReviewSession
from hemodetect.reviews.sessions import answer, next_assignment, reads, skip, skips
from hemodetect.reviews.sources import open_source, trained_on_source
from hemodetect.storage.people import Person
from pages.common.answers import answers, model_cards, summary
from pages.common.audit import record_event
from pages.common.slice_controls import arrows_turn_slices, slice_control, window_control
from pages.common.slice_viewer import viewer
from pages.common.text import plain

CALLS: dict[Call, str] = {"hemorrhage": "Hemorrhage", "none": "None", "unsure": "Not sure"}
SURE = {1: "1 (guess)", 2: "2", 3: "3", 4: "4", 5: "5 (certain)"}
_VIEWER = 520
"""Pixels: about one of the screen for one of the slice, and the whole slice on a small laptop."""


def reading(of: ReviewSession, reader: Person, place: DeltaGenerator) -> None:
    """What this reader is to read next, until all is read; `place` says how far they are."""
    due = next_assignment(of, reader.name)
    if due is None:
        _close_study()
        place.subheader(plain(of.title))
        gone = sum(one.reader == reader.name for one in skips(of.id))
        st.success(
            "All studies of this session are read. Thank you."
            + (f" {gone} could not be opened." if gone else ""),
            icon=":material/check_circle:",
        )
        return
    n = len(of.studies)
    place.progress((due.place - 1) / n, f"**{plain(of.title)}**, study {due.place} of {n}")
    try:
        study = _study(of, due, reader)
    except HemodetectError as error:
        _study_unavailable(of, due, reader, error)
        return
    if due.stage == "blind":
        left, right = st.columns([7, 4])
        with left:
            _without_models(study)
        with right:
            _form(of, due, reader)
        return
    prediction, maps, used = answers(study, "review_read")
    if not st.session_state.get("review_read_bundles"):
        seen = st.session_state["review_read_trained_on"]
        keep_model_reads(of.id, due.study.number, prediction, seen)
        shown = tuple(found.version for found in prediction.families.values())
        st.session_state["review_read_bundles"] = shown
    summary(prediction, used)
    if sentence := trained_on_sentence(prediction, st.session_state["review_read_trained_on"]):
        st.caption(f":material/school: {sentence}")
    model_cards(prediction, used)
    with st.container(border=True):
        _form(of, due, reader)
    viewer(prediction, maps, used.models.get("cnn"), "review_read")


def _study(of: ReviewSession, due: Assignment, reader: Person) -> Study:
    """The study in view; opened once, and its time taken from when it was first shown."""
    opened = (of.id, due.study.number, due.stage, reader.name)
    before = st.session_state.get("review_read_opened")
    if before == opened:
        return st.session_state["review_read_study"]
    if before is None or before[:2] != opened[:2]:
        _close_study()
        with st.spinner("Opening the study"):
            study = open_source(due.study.source)
            seen = trained_on_source(due.study.source)
        if due.stage == "blind":  # with the models, the entry is made with their versions
            record_event("open", f"{of.id}/{due.study.number}", {"stage": due.stage})
        st.session_state["review_read_trained_on"] = seen
        st.session_state["review_read_study"] = study
        st.session_state["review_read_slice"] = len(study.slices) // 2 + 1
    st.session_state["review_read_opened"] = opened
    st.session_state["review_read_began"] = time.monotonic()
    return st.session_state["review_read_study"]


def _study_unavailable(
    of: ReviewSession, due: Assignment, reader: Person, error: HemodetectError
) -> None:
    """A study whose images are gone for good does not keep the reader from the others."""
    st.error(plain(str(error)), icon=":material/error:")
    if not isinstance(error, StudyGone):
        st.caption(
            "Try again later, or ask the administrator of this server. Earlier reads are saved."
        )
        st.button("Try again", icon=":material/refresh:", key="review_again")
        return
    st.caption("The session records that the images were gone. The study cannot be read later.")
    if st.button("Skip this study", icon=":material/skip_next:", key="review_skip"):
        try:
            skip(reader, of, due.study.number)
        except HemodetectError as refusal:
            st.error(plain(str(refusal)), icon=":material/error:")
            return
        st.rerun()


def _close_study() -> None:
    """Drops the study in view, its images and what was said of it in widgets."""
    for key in [key for key in st.session_state if str(key).startswith("review_read_")]:
        del st.session_state[key]


@st.fragment
def _without_models(study: Study) -> None:
    slices = study.slices
    window = window_control(slices[0], "review_read")
    index = slice_control(len(slices), "review_read")
    st.plotly_chart(
        slice_view(
            windowed(slices[index].values, window),
            heat=None,
            attention=None,
            opacity=0.0,
            height=_VIEWER,
        ),
        theme=None,
        key="review_read_view",
        config=CHART_CONFIG | {"scrollZoom": True, "displayModeBar": False, "doubleClick": "reset"},
    )
    st.caption(
        f"Slice {index + 1} of {len(slices)}. Scroll to zoom, drag to move, double-click to reset;"
        " arrow keys change the slice."
    )
    arrows_turn_slices()


def _form(of: ReviewSession, due: Assignment, reader: Person) -> None:
    """What is asked: in a row above the models' heat maps, in a column beside the slices without."""
    first = _first_answer(of, due, reader)
    if first is not None:
        st.markdown("**Your call with the models**")
        st.caption(f"Without the models you called: {_in_words(first)}. Both calls are saved.")
    else:
        st.markdown("**Your call**")
    mark = f"{of.readers.index(reader.name)}_{due.study.number}_{due.stage}"
    if due.stage == "shown":
        left, middle, done = st.columns([4, 5, 4], vertical_alignment="bottom")
        more: DeltaGenerator = st.expander("Slices, type and note", icon=":material/edit_note:")
    else:
        left, middle, more, done = (st.container() for _ in range(4))
    call = left.segmented_control(
        "Is there a hemorrhage?",
        list(CALLS),
        format_func=CALLS.__getitem__,
        default=first.call if first else None,
        key=f"review_read_call_{mark}",
    )
    sure = middle.segmented_control(
        "How sure are you?",
        list(SURE),
        format_func=SURE.__getitem__,
        default=first.confidence if first else None,
        key=f"review_read_sure_{mark}",
    )
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    with more:
        if call in ("hemorrhage", "unsure"):
            slices = _slices(mark, first)
            types = tuple(
                st.multiselect(
                    "Type",
                    TYPES,
                    default=list(first.types) if first else None,
                    key=f"review_read_types_{mark}",
                )
            )
        note = st.text_area(
            "Note", first.note if first else "", max_chars=2000, key=f"review_read_note_{mark}"
        )
    place = st.container()
    last = due.stage == of.stages(reader.name, due.study.number)[-1]
    submitted = done.button(
        "Submit and continue" if last else "Submit, then show the models",
        type="primary",
        icon=":material/check:",
        disabled=call is None or sure is None,
        key=f"review_read_done_{mark}",
        width="stretch",
    )
    st.caption("A submitted read cannot be changed.")
    if submitted and call is not None and sure is not None:
        _submit(of, due, reader, Answer(call, int(sure), slices, types, note), place)


def _submit(
    of: ReviewSession, due: Assignment, reader: Person, call: Answer, place: DeltaGenerator
) -> None:
    seconds = time.monotonic() - st.session_state["review_read_began"]
    try:
        bundles = st.session_state["review_read_bundles"] if due.stage == "shown" else ()
        answer(reader, of, due.study.number, due.stage, call, seconds, bundles)
    except HemodetectError as error:
        place.error(plain(str(error)), icon=":material/error:")
        return
    st.toast("Read submitted.", icon=":material/check_circle:")
    st.rerun()


def _slices(mark: str, first: Answer | None) -> tuple[int, ...]:
    key = f"review_read_slices_{mark}"
    n = len(st.session_state["review_read_study"].slices)
    st.session_state.setdefault(key, list(first.slices) if first else [])

    def add() -> None:
        shown = int(st.session_state["review_read_slice"])
        st.session_state[key] = sorted({*st.session_state[key], shown})

    chosen = st.multiselect("Slices that show it", list(range(1, n + 1)), key=key)
    st.button(
        "Add the slice in view", icon=":material/add:", on_click=add, key=f"review_read_add_{mark}"
    )
    return tuple(sorted(chosen))


def _first_answer(of: ReviewSession, due: Assignment, reader: Person) -> Answer | None:
    """What the reader said of this study without the models."""
    if due.stage != "shown":
        return None
    for read in reads(of.id):
        if (read.reader, read.study, read.stage) == (reader.name, due.study.number, "blind"):
            return read.answer
    return None


def _in_words(given: Answer) -> str:
    slices = f", slices {', '.join(map(str, given.slices))}" if given.slices else ""
    types = f", {', '.join(given.types).lower()}" if given.types else ""
    return f"{CALLS[given.call].lower()} ({SURE[given.confidence]}){slices}{types}"
