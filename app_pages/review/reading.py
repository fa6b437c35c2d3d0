"""Reading in a session: the study without the models, the reader's call, then the models."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.answers import (
    about_the_models,
    calls_row,
    cautions_line,
    known_answers,
    no_calls_row,
    stopped,
    work_out_answers,
)
from app_pages.common.audit import record_event
from app_pages.common.slice_viewer import close_viewer, viewer
from app_pages.common.text import plain
from hemodetect.errors import HemodetectError
from hemodetect.imaging.study import Study
from hemodetect.reports.words import trained_on_sentence
from hemodetect.reviews.model_reads import keep_model_reads
from hemodetect.reviews.saved import StudyGone
from hemodetect.reviews.session import TYPES, Answer, Assignment, Call, Mark, ReviewSession
from hemodetect.reviews.sessions import answer, next_assignment, reads, skip, skips
from hemodetect.reviews.sources import open_source, trained_on_source
from hemodetect.storage.people import Person
from hemodetect.viewer.places import Place, millimetres

CALLS: dict[Call, str] = {"hemorrhage": "Hemorrhage", "none": "None", "unsure": "Not sure"}
_CALL_KEYS: dict[str, Call] = {"b": "hemorrhage", "n": "none", "u": "unsure"}
_SURE_KEYS = {f"Shift+{number}": number for number in range(1, 6)}
_SHORTCUTS = {key: f"call: {CALLS[call].lower()}" for key, call in _CALL_KEYS.items()} | {
    "Shift+1": "sure: a guess",
    "Shift+2": "sure: 2",
    "Shift+3": "sure: 3",
    "Shift+4": "sure: 4",
    "Shift+5": "sure: certain",
}
_HEIGHT = "max(440px, calc(100vh - 400px))"
"""CSS height of the viewer below the calls and the form."""
CONFIDENCES = {1: "1 (guess)", 2: "2", 3: "3", 4: "4", 5: "5 (certain)"}


def reading(review_session: ReviewSession, reader: Person, place: DeltaGenerator) -> None:
    """Shows the next study of this reader, until all are read; `place` shows the progress."""
    assignment = next_assignment(review_session, reader.name)
    if assignment is None:
        _close_study()
        place.subheader(plain(review_session.title))
        skipped = sum(entry.reader == reader.name for entry in skips(review_session.id))
        st.success(
            "All studies of this session are read. Thank you."
            + (f" {skipped} could not be opened." if skipped else ""),
            icon=":material/check_circle:",
        )
        return
    n = len(review_session.studies)
    place.progress(
        (assignment.place - 1) / n,
        f"**{plain(review_session.title)}**, study {assignment.place} of {n}",
    )
    try:
        study = _study(review_session, assignment, reader)
    except HemodetectError as error:
        _study_unavailable(review_session, assignment, reader, error)
        return
    if assignment.stage == "blind":
        left, right = st.columns([9, 4])
        with left:
            viewer(
                study,
                "review_read",
                markable=True,
                marks=_marks(),
                shortcuts=_SHORTCUTS,
                on_shortcut=_shortcut(review_session, assignment, reader),
            )
        with right:
            _form(review_session, assignment, reader)
        return
    found = known_answers("review_read")
    # One element: were the place of the slices to change, they would be fetched and drawn again.
    above = st.container(key="review_above_slices")
    if found is None:
        with above:
            progress = no_calls_row("The models are about to read the study.")
        viewer(study, "review_read", marks=_marks(), height=_HEIGHT, silent=True)
        work_out_answers(study, "review_read", progress)
        st.rerun()
    prediction = found.prediction
    if "review_read_bundles" not in st.session_state:
        trained_on = st.session_state["review_read_trained_on"]
        keep_model_reads(review_session.id, assignment.study.number, prediction, trained_on)
        versions = tuple(
            family_prediction.version for family_prediction in prediction.families.values()
        )
        st.session_state["review_read_bundles"] = versions
    with above:
        if prediction.stopped:
            stopped(prediction)
        else:
            trained_on = st.session_state["review_read_trained_on"]
            cautions_line(prediction, trained_on_sentence(prediction, trained_on))
            calls_row(found)
        with st.container(border=True):
            _form(review_session, assignment, reader)
    viewer(
        prediction.study,
        "review_read",
        prediction=None if prediction.stopped else prediction,
        maps=found.maps,
        cnn=found.cnn,
        markable=True,
        marks=_marks(),
        height=_HEIGHT,
        shortcuts=_SHORTCUTS,
        on_shortcut=_shortcut(review_session, assignment, reader),
    )
    if not prediction.stopped:
        about_the_models(found)


def _key_end(review_session: ReviewSession, assignment: Assignment, reader: Person) -> str:
    """What the keys of the form's fields end with: one form for each reader, study and stage."""
    place = review_session.readers.index(reader.name)
    return f"{place}_{assignment.study.number}_{assignment.stage}"


def _shortcut(
    review_session: ReviewSession, assignment: Assignment, reader: Person
) -> Callable[[str], None]:
    """What a key of `_SHORTCUTS` does: it fills in the form."""
    key_end = _key_end(review_session, assignment, reader)

    def pressed(key: str) -> None:
        if key in _CALL_KEYS:
            st.session_state[f"review_read_call_{key_end}"] = _CALL_KEYS[key]
        elif key in _SURE_KEYS:
            st.session_state[f"review_read_sure_{key_end}"] = _SURE_KEYS[key]

    return pressed


def _marks() -> list[dict[str, Any]]:
    """The place that the reader has marked in the study in view."""
    mark = st.session_state.get("review_read_mark")
    return [mark | {"label": "your mark"}] if mark else []


def _study(review_session: ReviewSession, assignment: Assignment, reader: Person) -> Study:
    """The study in view; it is opened once, and the reading time starts when it is first shown."""
    current = (review_session.id, assignment.study.number, assignment.stage, reader.name)
    previous = st.session_state.get("review_read_opened")
    if previous == current:
        return st.session_state["review_read_study"]
    if previous is None or previous[:2] != current[:2]:
        _close_study()
        with st.spinner("Opening the study"):
            study = open_source(assignment.study.source)
            trained_on = trained_on_source(assignment.study.source)
        if assignment.stage == "blind":  # with the models, `answers` records it with their versions
            record_event(
                "open",
                f"{review_session.id}/{assignment.study.number}",
                {"stage": assignment.stage},
            )
        st.session_state["review_read_trained_on"] = trained_on
        st.session_state["review_read_study"] = study
        st.session_state["review_read_slice"] = len(study.slices) // 2 + 1
    st.session_state["review_read_opened"] = current
    st.session_state["review_read_began"] = time.monotonic()
    return st.session_state["review_read_study"]


def _study_unavailable(
    review_session: ReviewSession, assignment: Assignment, reader: Person, error: HemodetectError
) -> None:
    """Shows why a study cannot be opened; a study that was deleted can be skipped."""
    st.error(plain(str(error)), icon=":material/error:")
    if not isinstance(error, StudyGone):
        st.caption(
            "Try again later, or ask the administrator of this server. Earlier reads are saved."
        )
        st.button("Try again", icon=":material/refresh:", key="review_again")
        return
    st.caption(
        "If you skip it, the session records that its images were deleted; it cannot be read later."
    )
    if st.button("Skip this study", icon=":material/skip_next:", key="review_skip"):
        try:
            skip(reader, review_session, assignment.study.number)
        except HemodetectError as refusal:
            st.error(plain(str(refusal)), icon=":material/error:")
            return
        st.rerun()


def _close_study() -> None:
    """Removes the study in view, its images and the state of its widgets."""
    close_viewer("review_read")
    for key in [key for key in st.session_state if str(key).startswith("review_read_")]:
        del st.session_state[key]


def _form(review_session: ReviewSession, assignment: Assignment, reader: Person) -> None:
    """Draws the reader's questions: above the slices with the models, else to their right."""
    first_answer = _answer_without_models(review_session, assignment, reader)
    if first_answer is not None:
        st.markdown("**Your call with the models**")
        st.caption(
            f"Without the models you called: {_answer_words(first_answer)}. Both calls are saved."
        )
    else:
        st.markdown("**Your call**")
    key_end = _key_end(review_session, assignment, reader)
    if first_answer is not None:
        # As values, not as defaults: the viewer's keys set them too.
        st.session_state.setdefault(f"review_read_call_{key_end}", first_answer.call)
        st.session_state.setdefault(f"review_read_sure_{key_end}", first_answer.confidence)
    if assignment.stage == "shown":
        left, middle, button_place = st.columns([4, 5, 4], vertical_alignment="bottom")
        details: DeltaGenerator = st.expander("Slices, type and note", icon=":material/edit_note:")
    else:
        left, middle, details, button_place = (st.container() for _ in range(4))
    call = left.segmented_control(
        "Is there a hemorrhage?",
        list(CALLS),
        format_func=CALLS.__getitem__,
        key=f"review_read_call_{key_end}",
    )
    confidence = middle.segmented_control(
        "How sure are you?",
        list(CONFIDENCES),
        format_func=CONFIDENCES.__getitem__,
        key=f"review_read_sure_{key_end}",
    )
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    mark = None
    with details:
        if call in ("hemorrhage", "unsure"):
            mark = _marked_place(assignment)
            slices = _slice_choice(key_end, first_answer)
            types = tuple(
                st.multiselect(
                    "Type of hemorrhage",
                    TYPES,
                    default=list(first_answer.types) if first_answer else None,
                    key=f"review_read_types_{key_end}",
                )
            )
        note = st.text_area(
            "Note",
            first_answer.note if first_answer else "",
            max_chars=2000,
            key=f"review_read_note_{key_end}",
        )
    place = st.container()
    is_last = assignment.stage == review_session.stages(reader.name, assignment.study.number)[-1]
    submitted = button_place.button(
        "Submit and continue" if is_last else "Submit, then show the models",
        type="primary",
        icon=":material/check:",
        disabled=call is None or confidence is None,
        shortcut="Ctrl+Enter",
        key=f"review_read_done_{key_end}",
        width="stretch",
    )
    st.caption("A submitted read cannot be changed.")
    if submitted and call is not None and confidence is not None:
        _submit(
            review_session,
            assignment,
            reader,
            Answer(call, int(confidence), slices, types, note, mark),
            place,
        )


def _submit(
    review_session: ReviewSession,
    assignment: Assignment,
    reader: Person,
    submitted: Answer,
    place: DeltaGenerator,
) -> None:
    seconds = time.monotonic() - st.session_state["review_read_began"]
    try:
        bundles = st.session_state["review_read_bundles"] if assignment.stage == "shown" else ()
        answer(
            reader,
            review_session,
            assignment.study.number,
            assignment.stage,
            submitted,
            seconds,
            bundles,
        )
    except HemodetectError as error:
        place.error(plain(str(error)), icon=":material/error:")
        return
    st.toast("Read submitted.", icon=":material/check_circle:")
    st.rerun()


def _slice_choice(key_end: str, first_answer: Answer | None) -> tuple[int, ...]:
    key = f"review_read_slices_{key_end}"
    n = len(st.session_state["review_read_study"].slices)
    mark = st.session_state.get("review_read_mark")
    proposed = first_answer.slices if first_answer else (mark["slice"],) if mark else ()
    st.session_state.setdefault(key, list(proposed))

    def add() -> None:
        number = int(st.session_state["review_read_slice"])
        st.session_state[key] = sorted({*st.session_state[key], number})

    chosen = st.multiselect("Slices with the hemorrhage", list(range(1, n + 1)), key=key)
    st.button(
        "Add the slice in view",
        icon=":material/add:",
        on_click=add,
        key=f"review_read_add_{key_end}",
    )
    return tuple(sorted(chosen))


def _marked_place(assignment: Assignment) -> Mark | None:
    """Shows the place that the reader marked on the slices, with a button to remove it."""
    mark = st.session_state.get("review_read_mark")
    if mark is None:
        st.caption("To mark the place of the bleed, choose *Mark the bleed* above the slices.")
        return None
    st.caption(f":material/my_location: Marked: slice {mark['slice']}.")
    st.button(
        "Remove the mark",
        key=f"review_read_unmark_{assignment.study.number}_{assignment.stage}",
        on_click=lambda: st.session_state.pop("review_read_mark", None),
    )
    place = Place(mark["slice"], mark["row"], mark["column"])
    slices = st.session_state["review_read_study"].slices
    return Mark(place.slice, place.row, place.column, millimetres(slices, place))


def _answer_without_models(
    review_session: ReviewSession, assignment: Assignment, reader: Person
) -> Answer | None:
    """The reader's answer for this study without the models."""
    if assignment.stage != "shown":
        return None
    for read in reads(review_session.id):
        if (read.reader, read.study, read.stage) == (reader.name, assignment.study.number, "blind"):
            return read.answer
    return None


def _answer_words(earlier: Answer) -> str:
    slices = f", slices {', '.join(map(str, earlier.slices))}" if earlier.slices else ""
    types = f", {', '.join(earlier.types).lower()}" if earlier.types else ""
    return f"{CALLS[earlier.call].lower()} ({CONFIDENCES[earlier.confidence]}){slices}{types}"
