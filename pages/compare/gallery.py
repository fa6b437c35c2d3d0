"""The cases behind a number, with their pictures; a click opens one in the viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from hemodetect.dataset.lookup import LocatedSet, find_set
from hemodetect.errors import HemodetectError, UnreadableFile
from hemodetect.evaluation.comparison import Comparison
from hemodetect.evaluation.comparison_view import Cell, ComparisonView, Thresholds
from hemodetect.figures.comparing import CELLS
from hemodetect.figures.slice_view import png_bytes
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.pictures import decode_grey
from hemodetect.registry.training_patients import trained_on
from hemodetect.reviews.sessions import MOST_STUDIES, may_read, reading_from
from hemodetect.reviews.sources import OfSet
from hemodetect.settings import settings
from pages.common.sign_in import acting_person
from pages.common.text import plain

PER_PAGE, PER_ROW = 12, 6
_THUMBNAIL = 200


def gallery(
    view: ComparisonView, thresholds: Thresholds, opened: tuple[str, ...], close: Callable[[], None]
) -> None:
    """The cases of `opened`: (model, cell) of a confusion matrix, or ("difference", A, B)."""
    if opened[0] == "difference":
        _, a, b = opened
        key, rows = a, view.only_right(a, b, thresholds)
        names = {model.key: model.name for model in view.comparison.models}
        said = f"{names[a]} right, {names[b]} wrong; largest difference first"
    else:
        key, cell = opened[0], cast(Cell, opened[1])
        rows = view.cell(key, cell, thresholds)
        label, call, meaning = CELLS[cell]
        model = view.comparison.model(key)
        said = f"{model.name}: labelled {label}, called {call} ({meaning}); most confident first"
    with st.container(border=True):
        title, hide = st.columns([7, 1], vertical_alignment="center")
        title.markdown(f"**{_counted(len(rows), view.level)}** — {said}")
        hide.button("Close", on_click=close, key="compare_close", width="stretch")
        if not len(rows):
            st.caption("No case is in this cell at these thresholds.")
            return
        me = acting_person()
        for session in reading_from(set(view.comparison.slices["set"]), me.name):
            if not may_read(me, session):
                continue
            st.info(
                f"You are to read patients of this set in “{plain(session.title)}”. Cases with their"
                " answers are shown here when you have read all of it.",
                icon=":material/visibility_off:",
            )
            return
        shown = rows[_page(len(rows))]
        if "lead" in acting_person().roles:
            _to_a_session(view, rows)
        _pictures(view, key, shown)


def _to_a_session(view: ComparisonView, rows: np.ndarray) -> None:
    """The people behind all of `rows`, a folder each, as the studies of a new review session."""
    of_people = view.cases.iloc[rows].drop_duplicates(["set", "group"]).head(MOST_STUDIES)
    patients = of_people[["set", "patient"]]
    if not st.button(
        f"Review {_counted(len(patients), 'patient')} in a session",
        icon=":material/reviews:",
        key="compare_review",
    ):
        return
    truth = view.comparison.slices.groupby(["set", "patient"])["label"].max()
    st.session_state["review_cases"] = [
        (OfSet(str(name), str(patient)), "hemorrhage" if truth[name, patient] else "none")
        for name, patient in patients.itertuples(index=False)
    ]
    st.switch_page("pages/review/review.py")


def _counted(n: int, level: str) -> str:
    return f"{n:,} {level}" + ("" if n == 1 else "s")


def _page(n: int) -> slice:
    """Which of `n` cases are in view; draws what turns the pages."""
    pages = -(-n // PER_PAGE)
    if pages == 1:
        return slice(0, n)
    # A moved threshold may leave fewer pages than the one in view.
    st.session_state["compare_page"] = min(st.session_state.get("compare_page", 1), pages)
    page = int(st.number_input(f"Page (of {pages:,})", 1, pages, key="compare_page", width=160))
    return slice((page - 1) * PER_PAGE, page * PER_PAGE)


def _pictures(view: ComparisonView, key: str, rows: np.ndarray) -> None:
    found = {name: _place(view.comparison, name) for name in view.comparison.fingerprints}
    absent = [name for name, place in found.items() if place is None]
    if absent:
        st.caption(
            f":material/image_not_supported: The images of {plain(', '.join(absent))} are not on this"
            " server, so only the numbers are shown. Put the data set into the folder that"
            " HEMODETECT_DATA names."
        )
    for start in range(0, len(rows), PER_ROW):
        columns = st.columns(PER_ROW)
        for column, row in zip(columns, rows[start : start + PER_ROW], strict=False):
            with column:
                _case(view, int(row), key, found)


def _case(view: ComparisonView, row: int, key: str, found: dict[str, LocatedSet | None]) -> None:
    case, shown = view.cases.iloc[row], view.slice_of(row, key)
    place = found[case["set"]]
    name = str(shown["slice"]).rsplit("/", 1)[-1]
    if place is not None:
        try:
            picture = _thumbnail(str(place.file(shown["patient"], shown["slice"])))
            st.image(picture, width="stretch")
        except (HemodetectError, OSError) as error:
            st.caption(f":material/broken_image: {error}")
    which = plain(name) if view.level == "slice" else f"shown: {plain(name)}"
    st.caption(
        f"Patient {plain(case['patient'])}  \n{which}  \n"
        + "  \n".join(
            f"{'**' if model.key == key else ''}{model.name} {case[model.key]:.0%}"
            f"{'**' if model.key == key else ''}"
            for model in view.comparison.models
        )
    )
    if place is not None and st.button(
        "Open", key=f"compare_case_{row}", width="stretch", icon=":material/open_in_full:"
    ):
        _open_in_viewer(view, case, shown, place)


def _open_in_viewer(
    view: ComparisonView, case: pd.Series, shown: pd.Series, place: LocatedSet
) -> None:
    """The patient in the Read page, at this slice; leaves this page."""
    patient = str(shown["patient"])
    try:
        names = place.page_names(patient)
        study = read_study(
            [
                UploadedFile(names[name], file.read_bytes())
                for name, file in place.patient_files(patient).items()
            ]
        )
        wanted = PurePosixPath(names[shown["slice"]])
        where = [
            (number, index)
            for number, series in enumerate(study.series)
            for index, image in enumerate(series.slices)
            if wanted.parts[-len(PurePosixPath(image.source).parts) :]
            == PurePosixPath(image.source).parts
        ]
        if not where:
            raise UnreadableFile(f"{wanted} cannot be read.")
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return
    series, index = where[0]
    for old in [old for old in st.session_state if str(old).startswith("read_")]:
        del st.session_state[old]
    models = view.comparison.models
    said = ", ".join(f"{model.name} {case[model.key]:.0%}" for model in models)
    st.session_state["read_study"] = study.choosing(series)
    st.session_state["read_series"] = series
    st.session_state["read_slice"] = index + 1
    st.session_state["read_origin"] = (
        f"From the comparison: patient {plain(patient)}, labelled"
        f" {'hemorrhage' if case['label'] else 'no hemorrhage'}. There this {view.level} got {said}."
    )
    st.session_state["read_trained_on"] = trained_on(
        settings().artifacts, patient, list(place.patient_files(patient))
    )
    st.switch_page("pages/read/read.py")


@st.cache_resource(show_spinner="Looking for the images", max_entries=8, ttl=300)
def _found_set(_wanted: pd.DataFrame, name: str, content: int) -> LocatedSet | None:
    return find_set(name, _wanted)


def _place(comparison: Comparison, name: str) -> LocatedSet | None:
    """Where the images of a set lie, or None."""
    slices = comparison.slices
    wanted = slices.loc[slices["set"] == name, ["patient", "slice", "label"]]
    # By content: a file somebody made may claim the fingerprint of another.
    return _found_set(wanted, name, int(pd.util.hash_pandas_object(wanted, index=False).sum()))


@st.cache_data(show_spinner=False, max_entries=500)
def _thumbnail(path: str) -> bytes:
    grey = decode_grey(Path(path).read_bytes(), settings().max_slice_pixels)
    return png_bytes(grey, _THUMBNAIL)
