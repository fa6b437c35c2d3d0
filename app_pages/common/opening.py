"""Opens a study on the page Read from another page, and closes the one that is open there."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app_pages.common.slice_viewer import close_viewer
from hemodetect.imaging.study import Study


@dataclass(frozen=True)
class Origin:
    """Where an open study comes from.

    Attributes:
        text: Markdown above the slices; "" for none.
        page: file of the page that it was opened from.
        back: label of the button that leads there.
    """

    text: str
    page: str
    back: str


def close_study() -> None:
    """Closes the study that is open on Read, and drops its images."""
    close_viewer("read")
    for key in [key for key in st.session_state if str(key).startswith("read_")]:
        del st.session_state[key]


def open_study(study: Study, origin: Origin | None, **state: object) -> None:
    """Opens a study on Read; `state` are further values of the session, without their prefix."""
    close_study()
    st.session_state["read_study"] = study
    if origin is not None:
        st.session_state["read_origin"] = origin
    for name, value in state.items():
        st.session_state[f"read_{name}"] = value
