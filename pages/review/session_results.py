"""The results of a session: readers and models side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import streamlit as st

from hemodetect.evaluation.levels import EvaluationError
from hemodetect.figures.comparing import CELLS, confusion_matrices
from hemodetect.figures.reviewing import readers_roc
from hemodetect.reports.review import (
    UNSURE_COUNTS,
    figure_rows,
    reads_csv,
    review_pdf,
    sentences,
    skip_sentence,
    training_sentence,
)
from hemodetect.reviews.model_reads import ModelRead, model_reads
from hemodetect.reviews.results import STAGE_WORDS, Rated, Results, model_names, results
from hemodetect.reviews.session import Read, ReviewSession
from hemodetect.reviews.sessions import reads, session, skips
from pages.common.charts import chart_config
from pages.common.exports import export_button
from pages.common.text import plain
from pages.review.study_report import study_report

_PER_ROW = 5


def result_page(of: ReviewSession) -> None:
    """Figures of whatever has been read so far, and their exports."""
    made, models, gone = reads(of.id), model_reads(of.id), skips(of.id)
    if not made:
        st.caption("Nobody has read yet.")
        for one in gone:
            st.caption(plain(skip_sentence(one)))
        return
    try:
        found = _results(of.id, len(made), len(models), len(gone))
    except EvaluationError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if found.done < 1:
        st.caption(
            f":material/hourglass: {found.done:.0%} of the reads are done; the figures will change."
        )
    _matrices(found, made, models)
    st.dataframe(figure_rows(found), hide_index=True, width="stretch", height="content")
    st.caption(UNSURE_COUNTS)
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences(found)))
    figure = readers_roc(found)
    if figure is not None:
        st.plotly_chart(figure, theme=None, key="review_roc", config=chart_config("readers"))
        st.caption(
            "Ring: a reader without the models; dot: with the models. Intervals resample studies."
        )
    _exports(found, made, models)
    study_report(found.session, made)


@st.cache_resource(show_spinner="Counting", max_entries=16)
def _results(session_id: str, reads_made: int, models_kept: int, skipped: int) -> Results:
    """Kept by the numbers of reads, which are only ever added to: it resamples 2,000 times."""
    made, models = reads(session_id), model_reads(session_id)
    return results(session(session_id), made, models, skips(session_id))


def _matrices(found: Results, made: list[Read], models: list[ModelRead]) -> None:
    known = {one.rater.key: one for one in found.rated if one.confusion}
    if not known:
        st.caption(
            "The labels of these studies are unknown, so calls cannot be counted as right or wrong."
        )
        return
    for stage, title in (
        ("blind", "Readers without the models"),
        ("shown", "Readers with the models"),
        (None, "Models"),
    ):
        keys = [key for key, one in known.items() if one.rater.stage == stage]
        if keys:
            st.markdown(f"**{title}**")
        for start in range(0, len(keys), _PER_ROW):
            _row(known, keys[start : start + _PER_ROW], f"review_matrices_{stage}_{start}")
    if seen := training_sentence(found):
        st.caption(f":material/school: {seen}")
    st.caption("Click a cell to see its studies. Percentages are of the row.")
    opened = st.session_state.get("review_cell")
    if opened and opened[0] in known:
        _cases(known[opened[0]], opened[1], made, models)


def _row(known: dict[str, Rated], keys: list[str], place: str) -> None:
    def clicked() -> None:
        points = st.session_state[place]["selection"]["points"]
        if points:
            st.session_state["review_cell"] = tuple(points[0]["customdata"])

    # A row that is not full is as wide as its matrices would be in a full one.
    missing = _PER_ROW - len(keys)
    with st.columns([len(keys), missing])[0] if missing else st.container():
        st.plotly_chart(
            confusion_matrices(
                {key: counts for key in keys if (counts := known[key].confusion)},
                {key: escape(known[key].rater.who) for key in keys},
                st.session_state.get("review_cell"),
            ),
            theme=None,
            key=place,
            on_select=clicked,
            selection_mode="points",
            config=chart_config("readers"),
        )


def _cases(one: Rated, cell: str, made: list[Read], models: list[ModelRead]) -> None:
    label, call, meaning = CELLS[cell]
    numbers = one.cases[cell]
    st.markdown(
        f"**{len(numbers)} {'study' if len(numbers) == 1 else 'studies'}** — {plain(one.rater.name)}:"
        f" labelled {label}, called {call} ({meaning})"
    )
    st.dataframe(
        [_case(number, made, models) for number in numbers], hide_index=True, width="stretch"
    )


def _case(number: int, made: list[Read], models: list[ModelRead]) -> dict[str, str]:
    row = {"Study": str(number)}
    for read in made:
        if read.study == number:
            said = f"{read.answer.call} ({read.answer.confidence})"
            row[f"{read.reader}, {STAGE_WORDS[read.stage]}"] = said
    names = model_names(models)
    return row | {
        names[model.family, model.version]: f"{model.probability:.0%}"
        for model in models
        if model.study == number
    }


def _exports(found: Results, made: list[Read], models: list[ModelRead]) -> None:
    of, told = found.session, {"reads": len(made)}
    as_csv, as_pdf, _ = st.columns([2, 2, 4])
    export_button(
        as_csv, "All reads as CSV", f"review-{of.id}.csv",
        lambda: reads_csv(of, made, models, found.skips), of.id, told,
    )  # fmt: skip
    export_button(
        as_pdf, "Results as PDF", f"review-{of.id}.pdf",
        lambda: review_pdf(found, models, datetime.now(UTC)), of.id, told,
    )  # fmt: skip
