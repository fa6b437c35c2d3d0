"""What is done with a study that came from the PACS or the worklist: results sent back, and "Done"."""

from __future__ import annotations

import streamlit as st

from app_pages.common.answers import Answers
from app_pages.common.sign_in import acting_person
from app_pages.common.text import counted
from hemodetect.errors import HemodetectError
from hemodetect.pacs import worklist
from hemodetect.pacs.deliveries import deliveries
from hemodetect.pacs.results import send_back
from hemodetect.pacs.sealed import unseal
from hemodetect.settings import settings

ORIGINAL = "session"
"""What one of the study's files is sealed for, in the session: it says whose the results are."""


def send_button(found: Answers) -> None:
    """Sends the results of a study that came from the PACS back to it, after a confirmation."""
    if "read_sealed" not in st.session_state or not settings().send_to:
        return
    study = found.prediction.study.id
    person = acting_person()
    if "reader" not in person.roles or found.prediction.study.units != "HU":
        return
    try:
        earlier = deliveries(study)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    if earlier:
        reason = f": {earlier[0].reason}" if earlier[0].reason else "."
        st.caption(
            f"Results of this study: {earlier[0].state}, asked for by {earlier[0].who}{reason}"
        )
    sure = st.checkbox(
        "Under the patient's own name",
        key="read_send_sure",
        help="The report and the heat maps go to the PACS as research results, into the patient's own"
        " study. Everybody there can see them.",
    )
    if st.button(
        "Send results to the PACS",
        icon=":material/send:",
        width="stretch",
        disabled=not sure or bool(earlier and earlier[0].state == "waiting"),
        key="read_send",
    ):
        try:
            _send(found)
        except (HemodetectError, OSError, ValueError) as error:
            st.error(str(error), icon=":material/error:")


def done_button() -> None:
    """Takes a study of the worklist off the list of those to read, and goes back there."""
    study = st.session_state.get("read_worklist")
    if study is None or not st.button("Done", icon=":material/check:", key="read_done"):
        return
    try:
        files = st.session_state.get("read_worklist_files", 0)
        worklist.finish(study, acting_person(), files)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.switch_page("app_pages/worklist/worklist.py")


def _send(found: Answers) -> None:
    original = unseal(st.session_state["read_sealed"], ORIGINAL)
    count = send_back(found.prediction, found.grad_cam, original, acting_person().name)
    st.success(
        f"{counted(count, 'result')} will be sent. `hemodetect judge` sends them, now or when the"
        " PACS answers again.",
        icon=":material/schedule_send:",
    )
