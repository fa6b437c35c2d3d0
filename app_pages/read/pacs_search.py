"""From the PACS: searches studies, and opens a series or puts the study into the worklist.

What the PACS answers is shown to the person who asked. It stays in the session until the next search,
and nowhere else.
"""

from __future__ import annotations

from datetime import date

import streamlit as st

from app_pages.common.audit import record_event
from app_pages.common.opening import open_study
from app_pages.common.sign_in import acting_person
from app_pages.common.text import counted, plain
from app_pages.read.sending import ORIGINAL
from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.pacs import inbox, worklist
from hemodetect.pacs.dicomweb import (
    MOST_STUDIES,
    Pacs,
    PacsSeries,
    PacsStudy,
    StudyQuery,
)
from hemodetect.pacs.outcomes import PacsError
from hemodetect.pacs.sealed import seal


def pacs_search() -> None:
    """The part of the page Read."""
    st.subheader("From the PACS")
    with st.form("pacs_form", border=False):
        patient_id, name, number, days, go = st.columns(
            [1.2, 1.6, 1.2, 1.6, 0.8], vertical_alignment="bottom"
        )
        query = StudyQuery(
            patient_id.text_input("Patient ID", key="pacs_patient_id"),
            name.text_input("Name", key="pacs_name", help="* stands for any letters: Smith*"),
            number.text_input("Accession number", key="pacs_accession"),
            *_days(days.date_input("Days", value=[], key="pacs_days")),
        )
        asked = go.form_submit_button("Search", icon=":material/search:", width="stretch")
    if asked:
        _search(query)
    found: list[PacsStudy] | None = st.session_state.get("pacs_found")
    if found is None:
        return
    if not found:
        st.caption("The PACS has no CT study like this.")
        return
    if st.session_state.get("pacs_more"):
        st.caption(
            f"More than {MOST_STUDIES} studies fit; {MOST_STUDIES} are shown. Narrow the search."
        )
    with st.container(key="pacs_rows"):
        for study in found:
            _row(study)


def _days(chosen: object) -> tuple[str, str]:
    days = [day for day in chosen if isinstance(day, date)] if isinstance(chosen, tuple) else []
    if not days:
        return "", ""
    return f"{days[0]:%Y%m%d}", f"{days[-1]:%Y%m%d}"


def _search(query: StudyQuery) -> None:
    _forget()
    try:
        with st.spinner("Asking the PACS"):
            found, more = Pacs().studies(query)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    # Not what was searched for: that names a patient.
    record_event("search", "PACS", {"studies": len(found)})
    st.session_state["pacs_found"], st.session_state["pacs_more"] = found, more


def _forget() -> None:
    for key in ("pacs_found", "pacs_more", "pacs_series", "pacs_chosen"):
        st.session_state.pop(key, None)


def _row(study: PacsStudy) -> None:
    """A study, and below it its series once they were asked for."""
    is_chosen = st.session_state.get("pacs_chosen") == study.uid
    button, when, name, about = st.columns([1, 1.3, 2.2, 4], vertical_alignment="center")
    if button.button(
        "Hide" if is_chosen else "Series",
        icon=":material/expand_less:" if is_chosen else ":material/expand_more:",
        key=f"pacs_study_{study.uid}",
        width="stretch",
    ):
        st.session_state["pacs_chosen"] = None if is_chosen else study.uid
        st.rerun()
    when.markdown(f"{_day(study.date)} :gray[{study.time[:2]}:{study.time[2:4]}]")
    name.markdown(f"**{plain(study.patient_name)}**  \n:small[:gray[{plain(study.patient_id)}]]")
    images = f", {counted(study.images, 'image')}" if study.images else ""
    about.markdown(
        f"{plain(study.description) or 'without description'}  \n"
        f":small[:gray[{plain(study.accession_number)}{images}]]"
    )
    if not is_chosen:
        return
    series = _series(study)
    for one in series:
        _one_series(study, one)
    if series and st.button(
        "Add the study to the worklist", icon=":material/playlist_add:", key="pacs_to_worklist"
    ):
        _to_worklist(study, series)


def _day(text: str) -> str:
    """YYYYMMDD as people write it; anything else as it is."""
    return (
        f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else plain(text)
    )


def _series(study: PacsStudy) -> list[PacsSeries]:
    kept: dict[str, list[PacsSeries]] = st.session_state.setdefault("pacs_series", {})
    if study.uid not in kept:
        try:
            with st.spinner("Asking for the series"):
                kept[study.uid] = Pacs().series(study.uid)
        except HemodetectError as error:
            st.error(str(error), icon=":material/error:")
            return []
    if not kept[study.uid]:
        st.caption("The study has no series.")
    return kept[study.uid]


def _one_series(study: PacsStudy, one: PacsSeries) -> None:
    _, open_, about = st.columns([0.4, 1, 7], vertical_alignment="center")
    thickness = f", {one.thickness_mm:g} mm" if one.thickness_mm else ""
    proposed = " :blue-badge[proposed]" if one.proposed else ""
    about.markdown(
        f"{plain(one.number)} **{plain(one.description) or 'without description'}**"
        f" :gray[{counted(one.images or 0, 'image')}{thickness}]{proposed}"
    )
    if open_.button(
        "Open", key=f"pacs_open_{one.uid}", icon=":material/open_in_full:", width="stretch",
        type="primary" if one.proposed else "secondary",
    ):  # fmt: skip
        _open(study, one)


def _open(study: PacsStudy, one: PacsSeries) -> None:
    try:
        files = _fetched(study, one)
        opened = read_study(files)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    record_event("upload", opened.id, {"files": len(files), "from": "PACS"})
    own = [file.data for file in files if inbox.described(file.data).study == opened.id]
    # Of the study that is read, and of no other that the PACS may have mixed in.
    open_study(opened, None, **{"sealed": seal(own[0], ORIGINAL)} if own else {})
    _forget()
    st.rerun()


def _to_worklist(study: PacsStudy, series: list[PacsSeries]) -> None:
    person = acting_person()
    try:
        # All before any: half a study must not look whole.
        files = [file for one in series for file in _fetched(study, one)]
        received = [inbox.described(file.data) for file in files]
        pseudonyms = {one.study for one in received}
        if len(pseudonyms) != 1:
            raise PacsError("The PACS sent images of several studies; search again.")
        (pseudonym,) = pseudonyms
        if not all(inbox.has(one) for one in received):
            worklist.arriving(pseudonym, person.name)
            for one, file in zip(received, files, strict=True):
                inbox.store(one, file.data)
            worklist.complete(pseudonym)
            record_event("receive", pseudonym, {"from": "PACS", "files": len(files)})
    except (HemodetectError, OSError, inbox.SameNameOtherImage) as error:
        reason = str(error) or "The PACS sent two images of the same UID."
        st.error(reason, icon=":material/error:")
        return
    st.success("The study is in the worklist.", icon=":material/check:")


def _fetched(study: PacsStudy, one: PacsSeries) -> list[UploadedFile]:
    place = st.empty()
    bar = place.progress(0.0, "Fetching images from the PACS")
    total = one.images or 0

    def progress(done: int) -> None:
        if done % max(total // 20, 1) == 0 or done == total:
            of = f" of {total}" if total else ""
            bar.progress(min(done / max(total, done), 1.0), f"Fetched {done}{of} images")

    try:
        return Pacs().files(study.uid, one.uid, progress)
    finally:
        place.empty()
