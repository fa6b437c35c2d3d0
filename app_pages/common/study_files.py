"""Where a person chooses or drops the files of a study; the browser sends them in one request."""

from __future__ import annotations

import streamlit as st

from app_pages.common.browser_component import browser_component
from hemodetect.imaging import UploadedFile
from hemodetect.viewer.arrivals import ARRIVALS, Arrival
from hemodetect.viewer.routes import ADDRESS, COOKIE

_COMPONENT = browser_component("study_sender", "sender")


def choose_study_files(prefix: str) -> None:
    """Draws the place; the page runs again when the files are there. State keys begin with `prefix`."""
    arrival = _arrival(prefix)
    _COMPONENT(
        key=f"{prefix}_sender_{arrival.token[:8]}",
        data={"address": f"{ADDRESS.lstrip('/')}/{arrival.token}/files"},
        on_sent_change=_drawn_anew,
    )


def arrived_files(prefix: str) -> list[UploadedFile]:
    """The files that have come and were not forgotten."""
    arrival: Arrival | None = st.session_state.get(f"{prefix}_arrival")
    return [] if arrival is None else list(arrival.files)


def forget_files(prefix: str) -> None:
    """Drops the files that have come; the next study gets an address of its own.

    Only when they have been read: a run of the page may be cut short, and the next one needs them.
    """
    st.session_state.pop(f"{prefix}_arrival", None)


def _arrival(prefix: str) -> Arrival:
    owner = st.context.cookies.get(COOKIE, "")
    arrival: Arrival | None = st.session_state.get(f"{prefix}_arrival")
    if arrival is None or arrival.owner != owner:
        arrival = st.session_state[f"{prefix}_arrival"] = ARRIVALS.open(owner)
    return arrival


def _drawn_anew() -> None:
    """Streamlit runs the page for a report only where something listens to it."""
