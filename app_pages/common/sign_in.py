"""Who uses the app: sign-in with a provider, or a name that the person writes."""

from __future__ import annotations

import getpass
import secrets
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hemodetect.errors import HemodetectError
from hemodetect.storage import audit_trail
from hemodetect.storage.people import Person, local_person, signed_in_person


def require_sign_in() -> None:
    """Shows the sign-in page and stops where this server has a sign-in and nobody is signed in."""
    if not has_sign_in():
        return
    if not st.user.is_logged_in:
        st.navigation([st.Page(_sign_in_page, title="Sign in")], position="hidden").run()
        st.stop()
    if not st.session_state.get("person_sign_in_recorded"):
        try:
            _record_sign_in(acting_person().name, str(st.user.get("iat") or secrets.token_hex(8)))
        except HemodetectError as error:
            st.error(str(error), icon=":material/error:")
            st.stop()
        st.session_state["person_sign_in_recorded"] = True


@cache
def has_sign_in() -> bool:
    """Whether secrets.toml has a table ``[auth]`` (OIDC, `st.login`).

    Read once per process: if the file becomes unreadable later, the server must not open to everybody.
    A file that exists and cannot be read makes the page fail.
    """
    if not any(Path(file).expanduser().exists() for file in st.get_option("secrets.files")):
        return False
    return "auth" in st.secrets


def signed_in() -> Person | None:
    """The person who signed in; None where this server has no sign-in.

    An address that the provider did not verify gets none of the roles of that address.
    """
    if not has_sign_in():
        return None
    address = st.user.get("email")
    if not address or st.user.get("email_verified") is False:
        address = f"sub:{st.user.get('sub', '')}"
    return signed_in_person(str(address))


def acting_person() -> Person:
    """The person signed in; else the name written earlier in this session; else the local user."""
    return signed_in() or local_person(st.session_state.get("person_name") or _local_user())


def ask_person(place: DeltaGenerator, key: str) -> Person:
    """The person signed in; else the one whose name is written in `place`.

    The name is kept for the session. `key` is that of the text field.
    """
    person = signed_in()
    if person is not None:
        return person
    st.session_state.setdefault(key, st.session_state.get("person_name", ""))
    name = place.text_input(
        "Your name", key=key, help="Recorded with your reads and with every change you make."
    ).strip()
    if name:
        st.session_state["person_name"] = name
    return local_person(name)


def _sign_in_page() -> None:
    st.title("hemodetect")
    st.button("Sign in", icon=":material/login:", on_click=st.login, type="primary")


@st.cache_resource(show_spinner=False, ttl=30 * 24 * 3600, max_entries=10_000)
def _record_sign_in(name: str, issued: str) -> None:
    """Adds a sign-in to the audit trail, once per token of the provider and start of this server.

    A second window or a reload uses the same token and adds nothing. `issued` is the time of the token;
    where the provider gives none, each window counts as a sign-in.
    """
    audit_trail.record(name, "sign-in", name)


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "local user"
