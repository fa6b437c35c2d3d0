"""What pages share: the models, loaded once a process, and the example study."""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.imaging import UploadedFile
from hemodetect.imaging.phantom import Bleed, head_phantom
from hemodetect.imaging.phantom_files import dicom_files
from hemodetect.models.promotion import release_state
from hemodetect.settings import settings

if TYPE_CHECKING:
    from hemodetect.models.released import Releases


def routed() -> None:
    """Starts again from app.py where Streamlit opened a page without it; every page calls this first.

    The first address that a server is asked for opens a file of a folder named "pages" by itself,
    and with it everything in that folder, until `st.navigation` has been called once.
    """
    if PagesManager.uses_pages_directory:
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
    from hemodetect.models.warm import load_warm

    return load_warm(settings().artifacts)


@st.cache_data(show_spinner="Making the example", max_entries=1)
def example_files() -> list[UploadedFile]:
    """The example study as the DICOM files a user would have uploaded."""
    phantom = head_phantom([Bleed("intraparenchymal", 30)], seed=3)
    return [UploadedFile(name, data) for name, data in dicom_files(phantom)]
