"""The line above every page."""

from __future__ import annotations

import streamlit as st

from app_pages.common.sign_in import signed_in
from app_pages.common.text import plain

_STYLE = """<style>
.stMainBlockContainer { padding-top: 4rem; padding-bottom: 2rem; }
.st-key-banner { min-height: 1.75rem; margin-bottom: -0.5rem; }
.st-key-banner p { margin: 0; }
.st-key-banner button { min-height: 1.5rem; padding: 0; }
.stMainBlockContainer h1 { padding: 0.25rem 0 0.5rem; font-size: 2rem; }
</style>"""
"""Streamlit has no setting for the empty space above and below a page: 96 px above the banner."""


def banner(sentence: str) -> None:
    """Shows `sentence` in one line; a signed-in person also gets a button to sign out."""
    st.html(_STYLE)
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="banner",
    ):
        st.caption(sentence, width="content")
        person = signed_in()
        if person is not None:
            st.button(
                f"Sign out {plain(person.name)}",
                icon=":material/logout:",
                type="tertiary",
                on_click=st.logout,
            )
