"""Removal of saved studies after their retention time."""

from __future__ import annotations

import logging

import streamlit as st

from hemodetect.errors import HemodetectError
from hemodetect.reviews.saved import sweep

log = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False, ttl=3600, max_entries=1)
def remove_expired_studies() -> int:
    """Removes saved studies whose retention time is over, at most once per hour; returns how many."""
    try:
        return sweep()
    except HemodetectError as error:
        log.warning("expired studies were not removed: %s", error)
        return 0
