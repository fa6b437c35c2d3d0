"""Removal of saved studies, and of those of the worklist, after their retention time."""

from __future__ import annotations

import logging

import streamlit as st

from hemodetect.errors import HemodetectError
from hemodetect.pacs import worklist
from hemodetect.reviews.saved import sweep

log = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False, ttl=3600, max_entries=1)
def remove_expired_studies() -> int:
    """Removes studies whose retention time is over, at most once per hour; returns how many."""
    try:
        return sweep() + worklist.sweep()
    except HemodetectError as error:
        log.warning("expired studies were not removed: %s", error)
        return 0
