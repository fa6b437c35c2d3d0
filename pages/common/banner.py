"""The line above every page."""

from __future__ import annotations

import streamlit as st

from pages.common.sign_in import signed_in
from pages.common.text import plain


def banner(sentence: str) -> None:
    """Shows `sentence`, and where this server has a sign-in, who is signed in and a way out."""
    person = signed_in()
    if person is None:
        st.caption(sentence)
        return
    left, right = st.columns([6, 4], vertical_alignment="center")
    left.caption(sentence)
    with right.container(horizontal=True, horizontal_alignment="right"):
        st.button(
            f"Sign out {plain(person.name)}",
            icon=":material/logout:",
            type="tertiary",
            on_click=st.logout,
        )
