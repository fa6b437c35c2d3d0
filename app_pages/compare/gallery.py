"""The cases behind a number, with their pictures; a click opens one in the viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.common.opening import Origin, open_study
from app_pages.common.sign_in import acting_person
from app_pages.common.text import plain
from hemodetect.dataset.lookup import LocatedSet, find_set
from hemodetect.errors import HemodetectError, UnreadableFile
from hemodetect.evaluation.comparison import Comparison
from hemodetect.evaluation.comparison_view import Cell, ComparisonView, Thresholds
from hemodetect.figures.comparing import CELLS
from hemodetect.figures.thumbnails import png_bytes
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.pictures import decode_grey
from hemodetect.registry.training_patients import trained_on
from hemodetect.reviews.sessions import MOST_STUDIES, may_read, reading_from
from hemodetect.reviews.sources import OfSet
from hemodetect.settings import settings

PER_PAGE, PER_ROW = 12, 6
_THUMBNAIL = 200


def gallery(
    view: ComparisonView,
    thresholds: Thresholds,
    open_cell: tuple[str, ...],
    close: Callable[[], None],
) -> None:
    """The cases of `opened`: (model, cell) of a confusion matrix, or ("difference", A, B)."""
    if open_cell[0] == "difference":
        _, a, b = open_cell
        key, rows = a, view.only_right(a, b, thresholds)
        names = {model.key: model.name for model in view.comparison.models}
        description = f"{names[a]} right, {names[b]} wrong; largest difference first"
    else:
        key, cell = open_cell[0], cast(Cell, open_cell[1])
        rows = view.cell(key, cell, thresholds)
        label, call, meaning = CELLS[cell]
        model = view.comparison.model(key)
        description = (
            f"{model.name}: labelled {label}, called {call} ({meaning}); most confident first"
        )
    with st.container(border=True):
        title, hide = st.columns([7, 1], vertical_alignment="center")
        title.markdown(f"**{_counted(len(rows), view.level)}** — {description}")
        hide.button("Close", on_click=close, key="compare_close", width="stretch")
        if not len(rows):
            st.caption("No case is in this cell at these thresholds.")
            return
        person = acting_person()
        for session in reading_from(set(view.comparison.slices["set"]), person.name):
            if not may_read(person, session):
                continue
            st.info(
                f"You still have patients of this data set to read in “{plain(session.title)}”. The"
                " cases and their labels are shown here when you have read the whole session.",
                icon=":material/visibility_off:",
            )
            return
        rows_in_view = rows[_page(len(rows))]
        if "lead" in person.roles:
            _review_button(view, rows)
        _pictures(view, key, rows_in_view)


def _review_button(view: ComparisonView, rows: np.ndarray) -> None:
    """Makes the patients of `rows` the studies of a new review session; one folder per person."""
    one_case_per_person = view.cases.iloc[rows].drop_duplicates(["set", "group"]).head(MOST_STUDIES)
    patients = one_case_per_person[["set", "patient"]]
    if not st.button(
        f"Review {_counted(len(patients), 'patient')} in a session",
        icon=":material/reviews:",
        key="compare_review",
    ):
        return
    truths = view.comparison.slices.groupby(["set", "patient"])["label"].max()
    st.session_state["review_cases"] = [
        (OfSet(str(name), str(patient)), "hemorrhage" if truths[name, patient] else "none")
        for name, patient in patients.itertuples(index=False)
    ]
    st.switch_page("app_pages/review/review.py")


def _counted(n: int, level: str) -> str:
    return f"{n:,} {level}" + ("" if n == 1 else "s")


def _page(n: int) -> slice:
    """Which of `n` cases are in view; draws the page number."""
    pages = -(-n // PER_PAGE)
    if pages == 1:
        return slice(0, n)
    # After a change of the threshold there may be fewer pages.
    st.session_state["compare_page"] = min(st.session_state.get("compare_page", 1), pages)
    page = int(st.number_input(f"Page (of {pages:,})", 1, pages, key="compare_page", width=160))
    return slice((page - 1) * PER_PAGE, page * PER_PAGE)


def _pictures(view: ComparisonView, key: str, rows: np.ndarray) -> None:
    located_sets = {
        name: _located_set(view.comparison, name) for name in view.comparison.fingerprints
    }
    missing_sets = [name for name, located_set in located_sets.items() if located_set is None]
    if missing_sets:
        st.caption(
            f":material/image_not_supported: The images of {plain(', '.join(missing_sets))} are not on"
            " this server, so only the numbers are shown. To see the images, copy the data set into the"
            " folder that HEMODETECT_DATA names."
        )
    for start in range(0, len(rows), PER_ROW):
        columns = st.columns(PER_ROW)
        for column, row in zip(columns, rows[start : start + PER_ROW], strict=False):
            with column:
                _case(view, int(row), key, located_sets)


def _case(
    view: ComparisonView, row: int, key: str, located_sets: dict[str, LocatedSet | None]
) -> None:
    case, slice_row = view.cases.iloc[row], view.slice_of(row, key)
    located_set = located_sets[case["set"]]
    name = str(slice_row["slice"]).rsplit("/", 1)[-1]
    if located_set is not None:
        try:
            picture = _thumbnail(str(located_set.file(slice_row["patient"], slice_row["slice"])))
            st.image(picture, width="stretch")
        except (HemodetectError, OSError) as error:
            st.caption(f":material/broken_image: {error}")
    slice_line = plain(name) if view.level == "slice" else f"slice {plain(name)}"
    st.caption(
        f"Patient {plain(case['patient'])}  \n{slice_line}  \n"
        + "  \n".join(
            f"{'**' if model.key == key else ''}{model.name} {case[model.key]:.0%}"
            f"{'**' if model.key == key else ''}"
            for model in view.comparison.models
        )
    )
    if located_set is not None and st.button(
        "Open", key=f"compare_case_{row}", width="stretch", icon=":material/open_in_full:"
    ):
        _open_in_viewer(view, case, slice_row, located_set)


def _open_in_viewer(
    view: ComparisonView, case: pd.Series, slice_row: pd.Series, located_set: LocatedSet
) -> None:
    """Opens the patient in the page Read, at this slice."""
    patient = str(slice_row["patient"])
    try:
        names = located_set.page_names(patient)
        study = read_study(
            [
                UploadedFile(names[name], file.read_bytes())
                for name, file in located_set.patient_files(patient).items()
            ]
        )
        path = PurePosixPath(names[slice_row["slice"]])
        matches = [
            (number, index)
            for number, series in enumerate(study.series)
            for index, image in enumerate(series.slices)
            if path.parts[-len(PurePosixPath(image.source).parts) :]
            == PurePosixPath(image.source).parts
        ]
        if not matches:
            raise UnreadableFile(f"{path} cannot be read.")
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return
    series, index = matches[0]
    models = view.comparison.models
    probabilities = ", ".join(f"{model.name} {case[model.key]:.0%}" for model in models)
    text = (
        f"From the comparison: patient {plain(patient)}, labelled"
        f" {'hemorrhage' if case['label'] else 'no hemorrhage'}. Probabilities of this"
        f" {view.level}: {probabilities}."
    )
    open_study(
        study.choosing(series),
        Origin(text, "app_pages/compare/compare.py", "Back to the comparison"),
        series=series,
        slice=index + 1,
        trained_on=trained_on(
            settings().artifacts, patient, list(located_set.patient_files(patient))
        ),
    )
    st.switch_page("app_pages/read/read.py")


@st.cache_resource(show_spinner="Looking for the images", max_entries=8, ttl=300)
def _cached_set(_labelled_slices: pd.DataFrame, name: str, content: int) -> LocatedSet | None:
    return find_set(name, _labelled_slices)


def _located_set(comparison: Comparison, name: str) -> LocatedSet | None:
    """The folder with the images of a set, or None."""
    slices = comparison.slices
    labelled_slices = slices.loc[slices["set"] == name, ["patient", "slice", "label"]]
    # By content: an uploaded file may contain the fingerprint of another data set.
    return _cached_set(
        labelled_slices, name, int(pd.util.hash_pandas_object(labelled_slices, index=False).sum())
    )


@st.cache_data(show_spinner=False, max_entries=500)
def _thumbnail(path: str) -> bytes:
    grey = decode_grey(Path(path).read_bytes(), settings().max_slice_pixels)
    return png_bytes(grey, _THUMBNAIL)
