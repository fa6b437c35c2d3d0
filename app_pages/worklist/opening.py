"""Opens a study of the worklist on the page Read."""

from __future__ import annotations

import streamlit as st

from app_pages.common.audit import record_event
from app_pages.common.opening import Origin, open_study
from app_pages.read.sending import ORIGINAL
from hemodetect.pacs import inbox, worklist
from hemodetect.pacs.sealed import seal
from hemodetect.storage.people import Person


def open_from_worklist(entry: worklist.Entry, person: Person, *, from_other: bool) -> None:
    """Takes the study for the person, reads it, and puts it where the page Read shows it.

    Raises:
        WorklistError: another person has it, or it is gone.
        HemodetectError: nothing in it can be read, or the database does not answer.
        OSError: its files cannot be read.
    """
    worklist.take(entry.study, person, from_other=from_other)
    with st.spinner("Opening the study"):
        study, files = inbox.read(entry.study)
    open_study(
        study,
        Origin("", "app_pages/worklist/worklist.py", "Back to the worklist"),
        sealed=seal(files[0].data, ORIGINAL),
        worklist=entry.study,
        worklist_files=len(files),
    )
    record_event("upload", study.id, {"files": len(files), "from": "worklist"})
