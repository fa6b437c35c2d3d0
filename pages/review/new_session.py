"""A new review session: which studies, which readers, in which order of readers and models."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.reports.review import MODES
from hemodetect.reviews.choosing import LabelledSources, drawn_from, shuffled, synthetic_phantoms
from hemodetect.reviews.saved import remove_saved, save_study
from hemodetect.reviews.sessions import MOST_STUDIES, create
from hemodetect.reviews.sources import Saved, Truth, labelled_patients
from hemodetect.settings import settings
from hemodetect.storage.people import Person
from pages.common.text import plain
from pages.train.data_set import labelled_sets

_FROM_SET, _FROM_UPLOAD, _MADE_UP = "A labelled set", "Uploads", "Synthetic phantoms"


def new_session(lead: Person) -> None:
    """The form; on success the new session is the one in view."""
    title = st.text_input("Title", key="review_title")
    readers = st.text_input(
        "Readers (comma-separated)",
        key="review_readers",
        help="The names they sign in with, or will write as their names.",
    )
    mode = st.radio(
        "Order of readers and models", list(MODES), format_func=MODES.get, key="review_mode"
    )
    kinds = [_FROM_SET, _FROM_UPLOAD, _MADE_UP]
    cases: LabelledSources = list(st.session_state.get("review_cases", []))
    uploads: list[tuple[UploadedFile, Truth | None]] = []
    if cases:
        st.markdown(f":material/grid_view: {len(cases)} cases from the comparison.")
        st.button("Remove these cases", on_click=_drop_cases, key="review_drop")
        n, chosen = len(cases), lambda: cases
    else:
        kind = st.segmented_control(
            "Studies", kinds, default=_FROM_SET, required=True, key="review_kind"
        )
        if kind == _FROM_SET:
            n, chosen = _of_a_set()
        elif kind == _MADE_UP:
            n, chosen = _made_up()
        else:
            uploads = _uploads()
            n, chosen = len(uploads), lambda: saved
    st.caption(
        f"{n} {'study' if n == 1 else 'studies'}; each reader gets them in a different order."
    )
    if not st.button("Create session", type="primary", icon=":material/add:", key="review_make"):
        return
    saved: LabelledSources = []
    try:
        lead.require("lead")
        if uploads:
            saved = _saved(uploads, lead)
        given = shuffled(chosen())
        session = create(lead, title, given, readers.split(",") if readers.strip() else [], mode)
    except HemodetectError as error:
        for source, _ in saved:
            if isinstance(source, Saved):
                remove_saved(source.key, lead)
        st.error(plain(str(error)), icon=":material/error:")
        return
    if len(session.studies) < n:
        st.toast(f"The {n} folders belong to {len(session.studies)} people.")
    _drop_cases()
    st.query_params["session"] = session.id
    st.rerun()


def _drop_cases() -> None:
    st.session_state.pop("review_cases", None)


def _of_a_set() -> tuple[int, Callable[[], LabelledSources]]:
    sets = labelled_sets()
    if not sets:
        st.caption("No labelled set is on this server.")
        return 0, list
    names = [folder.name for folder in sets]
    which, number, seed = st.columns([3, 2, 2])
    name = which.selectbox("Set", names, key="review_set")
    truth = _truth(name)
    most = min(len(truth), MOST_STUDIES)
    n = int(number.number_input("Patients", 1, most, min(20, most), key="review_n"))
    drawn = int(seed.number_input("Random seed", 0, 2**31 - 1, 0, key="review_seed"))
    st.caption(
        "Half of the patients are labelled hemorrhage, if the set has enough; each person is drawn"
        " once. If the models in use were trained on these patients, their answers here do not test"
        " them."
    )

    def chosen() -> LabelledSources:
        with st.spinner(
            "Looking for folders of the same person; the first time takes half a minute"
        ):
            return drawn_from(name, n, drawn)

    return n, chosen


@st.cache_data(show_spinner="Reading the set", ttl=300, max_entries=8)
def _truth(name: str) -> dict[str, Truth]:
    return labelled_patients(name)


def _made_up() -> tuple[int, Callable[[], LabelledSources]]:
    number, seed = st.columns(2)
    n = int(number.number_input("Phantoms", 1, 40, 6, key="review_heads"))
    first = int(seed.number_input("First seed", 0, 10_000, 1, key="review_head_seed"))
    st.caption("Not patients; every second phantom has a bleed of 5 to 40 ml.")
    return n, lambda: synthetic_phantoms(n, first)


def _uploads() -> list[tuple[UploadedFile, Truth | None]]:
    zips = st.file_uploader(
        "Zip files (slices of one patient each)", accept_multiple_files=True, key="review_zips"
    )
    st.caption(
        "Saved without names or dates, and deleted after"
        f" {settings().retention_days} days. Text burnt into the pixels is not removed."
    )
    words: dict[str, Truth | None] = {"unknown": None, "hemorrhage": "hemorrhage", "none": "none"}
    given = []
    for number, file in enumerate(zips, start=1):
        label = st.segmented_control(
            f"Label of study {number} ({plain(file.name)})",
            list(words),
            default="unknown",
            required=True,
            key=f"review_truth_{number}",
        )
        given.append((UploadedFile(file.name, file.getvalue()), words[label or "unknown"]))
    return given


def _saved(uploads: list[tuple[UploadedFile, Truth | None]], lead: Person) -> LabelledSources:
    """All are read before the first is saved: one that cannot be read leaves nothing behind."""
    studies = []
    for number, (file, truth) in enumerate(uploads, start=1):
        with st.spinner(f"Reading study {number} of {len(uploads)}"):
            studies.append((read_study([file]), truth))
    return [(Saved(save_study(study, lead)), truth) for study, truth in studies]
