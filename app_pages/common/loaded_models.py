"""The models in use, loaded once per process and shared by all sessions."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import streamlit as st

from hemodetect.registry.promotion import PUBLISHED, release_state
from hemodetect.settings import settings

if TYPE_CHECKING:
    from hemodetect.registry.releases import Releases


def warm_up() -> None:
    """Starts loading the models in the background; returns at once."""
    _loading(release_state(settings().artifacts))


def releases() -> Releases:
    """The models in use; waits while they are being loaded."""
    return _loading(release_state(settings().artifacts)).result()


def has_published_models() -> bool:
    """Whether the study's own models lie beside the releases."""
    return any((settings().artifacts / PUBLISHED).glob("*/card.json"))


def published() -> Releases:
    """The study's own models, loaded when they are first asked for."""
    return _published(release_state(settings().artifacts, PUBLISHED))


def missing_reasons(loaded: Releases) -> dict[str, str]:
    """Why a family has no model, without the server's own path."""
    artifacts = f"{settings().artifacts}/"
    return {family: reason.replace(artifacts, "") for family, reason in loaded.missing.items()}


@st.cache_resource(show_spinner=False, max_entries=2)
def _loading(state: tuple[tuple[str, int, int], ...]) -> Future[Releases]:
    # Keyed by the state of the releases, so that a promotion needs no restart.
    return ThreadPoolExecutor(1, thread_name_prefix="models").submit(_loaded)


@st.cache_resource(show_spinner=False, max_entries=1)
def _published(state: tuple[tuple[str, int, int], ...]) -> Releases:
    from app_pages.common.streamlit_cleanup import never_clear_keras, spare_loaded_models
    from hemodetect.registry.published import load_published

    never_clear_keras()
    loaded = load_published(settings().artifacts)
    spare_loaded_models()
    return loaded


def _loaded() -> Releases:
    from app_pages.common.streamlit_cleanup import never_clear_keras, spare_loaded_models
    from hemodetect.prediction.warm_up import load_warm

    never_clear_keras()
    loaded = load_warm(settings().artifacts)
    spare_loaded_models()
    return loaded
