"""What pages share: the models, loaded once a process, and the example study."""

from __future__ import annotations

import getpass
import logging
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from hemodetect.errors import HemodetectError
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging import UploadedFile
from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Bleed, head_phantom
from hemodetect.registry.promotion import release_state
from hemodetect.reviews.saved import sweep
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import Person, local_person, signed_in_person

if TYPE_CHECKING:
    from hemodetect.registry.releases import Releases


log = logging.getLogger(__name__)


def routed() -> None:
    """Starts again from app.py where Streamlit opened a page without it; every page calls this first.

    The first address that a server is asked for opens a file of a folder named "pages" by itself,
    and with it everything in that folder, until `st.navigation` has been called once. Several browsers
    may come that way at once, so the mark of having been let in is each session's own.
    """
    if not st.session_state.get("shared_entered"):
        PagesManager.uses_pages_directory = False
        st.rerun()


def warm_up() -> None:
    """Starts loading the models in the background; returns at once."""
    _loading(release_state(settings().artifacts))


def releases() -> Releases:
    """The models in use; waits where they are still being loaded."""
    return _loading(release_state(settings().artifacts)).result()


def missing_reasons(loaded: Releases) -> dict[str, str]:
    """Why a family has no model, without the server's own path."""
    here = f"{settings().artifacts}/"
    return {family: reason.replace(here, "") for family, reason in loaded.missing.items()}


def plain(text: object) -> str:
    """`text` as it stands, where Markdown would make something of it; names come from files."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|$~:-])", r"\\\1", str(text))


def chart_config(name: str) -> dict[str, Any]:
    """Settings of a chart whose picture may be saved, as `name`, in the format chosen on Compare."""
    kind = st.session_state.get("compare_picture", "png")
    return CHART_CONFIG | {
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": kind, "filename": f"hemodetect-{name}", "scale": 2},
    }


def let_in() -> None:
    """Asks for a sign-in where this server has one; nobody else gets past this."""
    if not has_sign_in():
        return
    if not st.user.is_logged_in:
        st.navigation([st.Page(_sign_in, title="Sign in")], position="hidden").run()
        st.stop()
    if not st.session_state.get("shared_signed_in"):
        try:
            _note_sign_in(acting().name, str(st.user.get("iat") or secrets.token_hex(8)))
        except HemodetectError as error:
            st.error(str(error), icon=":material/error:")
            st.stop()
        st.session_state["shared_signed_in"] = True


@st.cache_resource(show_spinner=False, ttl=30 * 24 * 3600, max_entries=10_000)
def _note_sign_in(name: str, issued: str) -> None:
    """Adds it to the audit trail, once for each time that the provider let somebody in, and again where
    this server was started since: another window or a page that is loaded again is none. Without a time
    from the provider every window is one.
    """
    audit_trail.record(name, "sign-in", name)


def banner(words: str) -> None:
    """What stands above every page: `words`, and who signed in with the way out."""
    who_is_in = signed_in()
    if who_is_in is None:
        st.caption(words)
        return
    left, right = st.columns([6, 4], vertical_alignment="center")
    left.caption(words)
    with right.container(horizontal=True, horizontal_alignment="right"):
        st.button(
            f"Sign out {plain(who_is_in.name)}",
            icon=":material/logout:",
            type="tertiary",
            on_click=st.logout,
        )


def _sign_in() -> None:
    st.title("hemodetect")
    st.button("Sign in", icon=":material/login:", on_click=st.login, type="primary")


@st.cache_resource(show_spinner=False, ttl=3600, max_entries=1)
def sweep_studies() -> int:
    """Removes saved studies whose time is over, at most once an hour."""
    try:
        return sweep()
    except HemodetectError as error:
        log.warning("saved studies are not swept: %s", error)
        return 0


def signed_in() -> Person | None:
    """Who signed in; None where this server has no sign-in.

    An address that the provider says is not verified gives no role that was given to that address.
    """
    if not has_sign_in():
        return None
    address = st.user.get("email")
    if not address or st.user.get("email_verified") is False:
        address = f"sub:{st.user.get('sub', '')}"
    return signed_in_person(str(address))


@cache
def has_sign_in() -> bool:
    """Whether secrets.toml has a table ``[auth]`` (OIDC, `st.login`).

    Found out once a process: a file that cannot be read for a moment must not open the doors, so a
    page fails where there is one and it cannot be read.
    """
    if not any(Path(file).expanduser().exists() for file in st.get_option("secrets.files")):
        return False
    return "auth" in st.secrets


def acting() -> Person:
    """Who acts where no name is asked for: who signed in, or gave a name before, or this machine."""
    return signed_in() or local_person(st.session_state.get("shared_name") or _user())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "local user"


def noted(
    action: audit_trail.Action, subject: str, detail: Mapping[str, object] | None = None
) -> None:
    """Adds to the audit trail who did what; the page ends here where that cannot be written."""
    try:
        audit_trail.record(acting().name, action, subject, detail)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def person(place: DeltaGenerator, key: str) -> Person:
    """Who acts: whoever signed in, else whoever gives their name in `place`."""
    return signed_in() or local_person(who(place, key))


def who(place: DeltaGenerator, key: str = "name") -> str:
    """The name that an action is kept under, asked for in `place` and remembered for the session."""
    st.session_state.setdefault(key, st.session_state.get("shared_name", ""))
    given = place.text_input("Your name", key=key, placeholder="kept with what you do").strip()
    if given:
        st.session_state["shared_name"] = given
    return given


@st.cache_resource(show_spinner=False, max_entries=2)
def _loading(state: tuple[tuple[str, int, int], ...]) -> Future[Releases]:
    # Keyed by the state of the releases, so that a promotion needs no restart.
    return ThreadPoolExecutor(1, thread_name_prefix="models").submit(_loaded)


def _loaded() -> Releases:
    from hemodetect.prediction.warm_up import load_warm
    from pages.common.process import settle_models

    loaded = load_warm(settings().artifacts)
    settle_models()
    return loaded


@st.cache_data(show_spinner="Making the example", max_entries=1)
def example_files() -> list[UploadedFile]:
    """The example study as the DICOM files a user would have uploaded."""
    phantom = head_phantom([Bleed("intraparenchymal", 30)], seed=3)
    return [UploadedFile(name, data) for name, data in dicom_files(phantom)]
