"""The line above every page."""

from __future__ import annotations

import streamlit as st

from app_pages.common.sign_in import signed_in
from app_pages.common.text import plain

_STYLE = """<style>
.stMainBlockContainer { padding-top: 3.6rem; padding-bottom: 2rem; }
.st-key-banner { min-height: 1.75rem; margin-bottom: -0.5rem; }
.st-key-banner p { margin: 0; }
.st-key-banner button { min-height: 1.5rem; padding: 0; }
.stMainBlockContainer h1 { padding: 0.25rem 0 0.5rem; font-size: 2rem; }
.st-key-study_head, .st-key-calls { margin-bottom: -0.5rem; }
.st-key-cautions { margin-bottom: -0.2rem; }
.st-key-study_head button { min-height: 2rem; padding: 0 0.6rem; }
.st-key-calls { min-height: 3.25rem; gap: 0.2rem; }
.st-key-calls .stVerticalBlock { gap: 0.2rem; }
.st-key-calls p, .st-key-cautions p { margin: 0; font-size: 0.95rem; line-height: 1.45; }
.st-key-cautions button { min-height: 1.5rem; padding: 0; }
@media (max-width: 1200px) {
  .st-key-calls p { font-size: 0.8rem; }
  .st-key-calls p > strong:first-child { display: block; }
}
</style>"""
"""Streamlit has no setting for the empty space of a page: 96 px above the banner, 16 between lines. A
study, its calls and its slices fit on one screen."""


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
