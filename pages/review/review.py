"""Review sessions: readers first, models after, and what came of it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

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
from pages.common.sign_in import ask_person, has_sign_in
from pages.common.text import counted, plain
from pages.review.new_session import new_session
from pages.review.reading import reading
from pages.review.session_results import result_page


def _home(me: Person) -> None:
    st.write(
        "Read the studies of a session. Each reader works alone, in a different order; the models are"
        " shown after the first call or from the start."
    )
    known = [one for one in sessions() if "lead" in me.roles or may_read(me, one)]
    if not known:
        st.caption("No session yet.")
    for one in known:
        with st.container(border=True):
            _row(one, me)
    if "lead" in me.roles:
        wanted = not known or "review_cases" in st.session_state
        with st.expander("New session", icon=":material/add:", expanded=wanted):
            new_session(me)


def _row(one: ReviewSession, me: Person) -> None:
    words, open_ = st.columns([6, 2], vertical_alignment="center")
    created = f"{one.created.astimezone():%d %b %Y}, by {plain(one.created_by)}"
    words.markdown(f"**{plain(one.title)}**")
    words.caption(
        f"{counted(len(one.studies), 'study', 'studies')}. {MODES[one.mode]}. Created {created}.  \n"
        f"{_progress(one)}"
    )
    mine = (
        may_read(me, one) and next_assignment(one, one.reader_named(me.name) or me.name) is not None
    )
    if mine:
        label, icon = "Read", ":material/play_arrow:"
    elif may_see_results(me, one):
        label, icon = "Results", ":material/leaderboard:"
    else:
        return
    open_.button(
        label,
        icon=icon,
        type="primary" if mine else "secondary",
        on_click=_open,
        args=(one.id,),
        key=f"review_open_{one.id}",
        width="stretch",
    )


def _progress(one: ReviewSession) -> str:
    return ", ".join(f"{plain(reader)} {share:.0%}" for reader, share in shares_read(one).items())


def _open(session_id: str) -> None:
    st.query_params["session"] = session_id


def _leave() -> None:
    st.query_params.pop("session", None)


def _session_page(me: Person, session_id: str, place: DeltaGenerator) -> None:
    one = session(session_id)
    me = replace(me, name=one.reader_named(me.name) or me.name)
    if may_read(me, one):
        reading(one, me, place)
    else:
        place.subheader(plain(one.title))
    if may_see_results(me, one):
        result_page(one)
    elif not may_read(me, one):
        st.info(
            f"{plain(me.name)} is not a reader of this session. Its creator sees the results at any"
            " time, and leads when all reads are done.",
            icon=":material/person_off:",
        )


wanted = st.query_params.get("session")
if wanted:
    # The screen is for the study: reader, progress and the way back share one row.
    place, middle, back = st.columns([2, 6, 2], vertical_alignment="bottom", gap="medium")
    back.button("All sessions", icon=":material/list:", on_click=_leave, width="stretch")
else:
    st.title("Review")
    place, middle = st.columns([3, 7])
me = ask_person(place, "review_name")
if not me.name:
    if cases := st.session_state.get("review_cases"):
        st.caption(
            f":material/grid_view: {counted(len(cases), 'case')} chosen on the page Compare."
        )
    st.caption("Write your name. It is recorded with every read.")
else:
    try:
        if wanted:
            _session_page(me, wanted, middle)
        else:
            _home(me)
    except HemodetectError as error:
        st.error(plain(str(error)), icon=":material/error:")
if not has_sign_in():
    st.caption(
        ":material/info: This server has no sign-in. Names are not checked, and everybody has all"
        " rights."
    )
