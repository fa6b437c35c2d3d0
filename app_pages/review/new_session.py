"""The form for a new review session: its studies, its readers, and when the models are shown."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app_pages.common.text import plain
from app_pages.train.data_set import picture_sets
from hemodetect.errors import HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.reports.review import MODES
from hemodetect.reviews.choosing import LabelledSources, drawn_from, shuffled, synthetic_phantoms
from hemodetect.reviews.saved import remove_saved, save_study
from hemodetect.reviews.sessions import MOST_STUDIES, create
from hemodetect.reviews.sources import Saved, Truth, labelled_patients
from hemodetect.settings import settings
from hemodetect.storage.people import Person

_FROM_SET, _FROM_UPLOAD, _PHANTOMS = "A labelled data set", "Uploads", "Synthetic phantoms"


def new_session(lead: Person) -> None:
    """Draws the form; after it is submitted, the page shows the new session."""
    title = st.text_input("Title", key="review_title")
    readers = st.text_input(
        "Readers (comma-separated)",
        key="review_readers",
        help="The names that the readers sign in with, or type into the field “Your name”.",
    )
    mode = st.radio(
        "Order of readers and models", list(MODES), format_func=MODES.get, key="review_mode"
    )
    kinds = [_FROM_SET, _FROM_UPLOAD, _PHANTOMS]
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
            n, chosen = _patients_of_set()
        elif kind == _PHANTOMS:
            n, chosen = _phantoms()
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
        studies = shuffled(chosen())
        session = create(lead, title, studies, readers.split(",") if readers.strip() else [], mode)
    except HemodetectError as error:
        for source, _ in saved:
            if isinstance(source, Saved):
                remove_saved(source.key, lead)
        st.error(plain(str(error)), icon=":material/error:")
        return
    if len(session.studies) < n:
        st.toast(
            f"The {n} folders belong to {len(session.studies)} people; each person is one study."
        )
    _drop_cases()
    st.query_params["session"] = session.id
    st.rerun()


def _drop_cases() -> None:
    st.session_state.pop("review_cases", None)


def _patients_of_set() -> tuple[int, Callable[[], LabelledSources]]:
    sets = picture_sets()
    if not sets:
        st.caption("There is no labelled data set of pictures on this server.")
        return 0, list
    names = [folder.name for folder in sets]
    set_column, number_column, seed_column = st.columns([3, 2, 2])
    name = set_column.selectbox("Data set", names, key="review_set")
    labels = _truth(name)
    largest = min(len(labels), MOST_STUDIES)
    n = int(number_column.number_input("Patients", 1, largest, min(20, largest), key="review_n"))
    chosen_seed = int(seed_column.number_input("Random seed", 0, 2**31 - 1, 0, key="review_seed"))
    st.caption(
        "Half of the patients are labelled hemorrhage, if the data set has enough of them. Each person"
        " is drawn once. Answers of a model for patients that it was trained on do not show how"
        " accurate it is."
    )

    def chosen() -> LabelledSources:
        with st.spinner(
            "Looking for folders of the same person; the first time takes half a minute"
        ):
            return drawn_from(name, n, chosen_seed)

    return n, chosen


@st.cache_data(show_spinner="Reading the data set", ttl=300, max_entries=8)
def _truth(name: str) -> dict[str, Truth]:
    return labelled_patients(name)


def _phantoms() -> tuple[int, Callable[[], LabelledSources]]:
    number_column, seed_column = st.columns(2)
    n = int(number_column.number_input("Phantoms", 1, 40, 6, key="review_heads"))
    first_seed = int(seed_column.number_input("First seed", 0, 10_000, 1, key="review_head_seed"))
    st.caption(
        "Computer-generated heads, not patients. Every second phantom has a bleed of 5 to 40 ml."
    )
    return n, lambda: synthetic_phantoms(n, first_seed)


def _uploads() -> list[tuple[UploadedFile, Truth | None]]:
    zips = st.file_uploader(
        "Zip files, one patient per file", accept_multiple_files=True, key="review_zips"
    )
    st.caption(
        "The studies are saved without names or dates and deleted after"
        f" {settings().retention_days} days. Text inside the images is not removed."
    )
    labels: dict[str, Truth | None] = {"unknown": None, "hemorrhage": "hemorrhage", "none": "none"}
    uploads = []
    for number, file in enumerate(zips, start=1):
        label = st.segmented_control(
            f"Label of study {number} ({plain(file.name)})",
            list(labels),
            default="unknown",
            required=True,
            key=f"review_truth_{number}",
        )
        uploads.append((UploadedFile(file.name, file.getvalue()), labels[label or "unknown"]))
    return uploads


def _saved(uploads: list[tuple[UploadedFile, Truth | None]], lead: Person) -> LabelledSources:
    """Reads all uploads before it saves the first: if a file cannot be read, nothing is saved."""
    studies = []
    for number, (file, truth) in enumerate(uploads, start=1):
        with st.spinner(f"Reading study {number} of {len(uploads)}"):
            studies.append((read_study([file]), truth))
    return [(Saved(save_study(study, lead)), truth) for study, truth in studies]
