"""Entries that pages add to the audit trail."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app_pages.common.sign_in import acting_person
from hemodetect.errors import HemodetectError
from hemodetect.storage import audit_trail


def record_event(
    action: audit_trail.Action, subject: str, detail: Mapping[str, object] | None = None
) -> None:
    """Adds to the audit trail what the acting person did; stops the page if that cannot be written."""
    try:
        audit_trail.record(acting_person().name, action, subject, detail)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
