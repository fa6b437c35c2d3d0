"""Review sessions: people read studies without and with the models, and compare the results."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.sign_in import ask_person, has_sign_in
from app_pages.common.text import counted, plain
from app_pages.review.new_session import new_session
from app_pages.review.reading import reading
from app_pages.review.session_results import result_page
from hemodetect.errors import HemodetectError
from hemodetect.reports.review import MODES
from hemodetect.reviews.session import ReviewSession
from hemodetect.reviews.sessions import (
    may_read,
    may_see_results,
    next_assignment,
    session,
    sessions,
    shares_read,
)
from hemodetect.storage.people import Person


def _session_list(person: Person) -> None:
    st.write(
        "Read the studies of a session. Each reader works alone, in a different order; the models are"
        " shown after the first call or from the start."
    )
    visible = [
        review_session
        for review_session in sessions()
        if "lead" in person.roles or may_read(person, review_session)
    ]
    if not visible:
        st.caption("No session yet.")
    for review_session in visible:
        with st.container(border=True):
            _row(review_session, person)
    if "lead" in person.roles:
        expanded = not visible or "review_cases" in st.session_state
        with st.expander("New session", icon=":material/add:", expanded=expanded):
            new_session(person)


def _row(review_session: ReviewSession, person: Person) -> None:
    text, button_column = st.columns([6, 2], vertical_alignment="center")
    created = (
        f"{review_session.created.astimezone():%d %b %Y}, by {plain(review_session.created_by)}"
    )
    text.markdown(f"**{plain(review_session.title)}**")
    text.caption(
        f"{counted(len(review_session.studies), 'study', 'studies')}. {MODES[review_session.mode]}."
        f" Created {created}.  \n{_progress(review_session)}"
    )
    has_study_to_read = (
        may_read(person, review_session)
        and next_assignment(review_session, review_session.reader_named(person.name) or person.name)
        is not None
    )
    if has_study_to_read:
        label, icon = "Read", ":material/play_arrow:"
    elif may_see_results(person, review_session):
        label, icon = "Results", ":material/leaderboard:"
    else:
        return
    button_column.button(
        label,
        icon=icon,
        type="primary" if has_study_to_read else "secondary",
        on_click=_open,
        args=(review_session.id,),
        key=f"review_open_{review_session.id}",
        width="stretch",
    )


def _progress(review_session: ReviewSession) -> str:
    return ", ".join(
        f"{plain(reader)} {share:.0%}" for reader, share in shares_read(review_session).items()
    )


def _open(session_id: str) -> None:
    st.query_params["session"] = session_id


def _leave() -> None:
    st.query_params.pop("session", None)


def _session_page(person: Person, session_id: str, place: DeltaGenerator) -> None:
    review_session = session(session_id)
    person = replace(person, name=review_session.reader_named(person.name) or person.name)
    if may_read(person, review_session):
        reading(review_session, person, place)
    else:
        place.subheader(plain(review_session.title))
    if may_see_results(person, review_session):
        result_page(review_session)
    elif not may_read(person, review_session):
        st.info(
            f"{plain(person.name)} is not a reader of this session. The person who created it can see"
            " the results at any time, other session leads when all reads are done.",
            icon=":material/person_off:",
        )


session_in_view = st.query_params.get("session")
if session_in_view:
    # One row for the reader, the progress and the way back leaves more of the screen to the study.
    place, middle, back = st.columns([2, 6, 2], vertical_alignment="bottom", gap="medium")
    back.button("All sessions", icon=":material/list:", on_click=_leave, width="stretch")
else:
    st.title("Review")
    place, middle = st.columns([3, 7])
person = ask_person(place, "review_name")
if not person.name:
    if cases := st.session_state.get("review_cases"):
        st.caption(
            f":material/grid_view: {counted(len(cases), 'case')} chosen on the Compare page."
        )
    st.caption("Enter your name. It is recorded with each of your reads.")
else:
    try:
        if session_in_view:
            _session_page(person, session_in_view, middle)
        else:
            _session_list(person)
    except HemodetectError as error:
        st.error(plain(str(error)), icon=":material/error:")
if not has_sign_in():
    st.caption(
        ":material/info: This server has no sign-in. Names are not checked, and every user may do"
        " everything."
    )
