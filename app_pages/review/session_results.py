"""The results of a session: readers and models side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import streamlit as st

from app_pages.common.charts import chart_config
from app_pages.common.exports import export_button
from app_pages.common.text import plain
from app_pages.review.marks import marks
from app_pages.review.study_report import study_report
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

_PER_ROW = 5


def result_page(review_session: ReviewSession) -> None:
    """Shows the results of the reads so far, and their exports."""
    by_readers, by_models, skipped = (
        reads(review_session.id),
        model_reads(review_session.id),
        skips(review_session.id),
    )
    if not by_readers:
        st.caption("Nobody has read yet.")
        for skipped_study in skipped:
            st.caption(plain(skip_sentence(skipped_study)))
        return
    try:
        session_results = _results(review_session.id, len(by_readers), len(by_models), len(skipped))
    except EvaluationError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if session_results.done < 1:
        st.caption(
            f":material/hourglass: {session_results.done:.0%} of the reads are done; the figures will"
            " change."
        )
    _matrices(session_results, by_readers, by_models)
    st.dataframe(figure_rows(session_results), hide_index=True, width="stretch", height="content")
    st.caption(UNSURE_COUNTS)
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences(session_results)))
    figure = readers_roc(session_results)
    if figure is not None:
        st.plotly_chart(figure, theme=None, key="review_roc", config=chart_config("readers"))
        st.caption(
            "Ring: a reader without the models. Dot: a reader with the models. The intervals come from"
            " resampling studies."
        )
    _exports(session_results, by_readers, by_models)
    marks(session_results.session, by_readers)
    study_report(session_results.session, by_readers)


@st.cache_resource(show_spinner="Computing the results", max_entries=16)
def _results(session_id: str, n_reads: int, n_model_reads: int, n_skipped: int) -> Results:
    """Cached by the numbers of reads, which only grow: the intervals resample 2,000 times."""
    by_readers, by_models = reads(session_id), model_reads(session_id)
    return results(session(session_id), by_readers, by_models, skips(session_id))


def _matrices(session_results: Results, by_readers: list[Read], by_models: list[ModelRead]) -> None:
    rated = {rating.rater.key: rating for rating in session_results.rated if rating.confusion}
    if not rated:
        st.caption(
            "The labels of these studies are unknown, so calls cannot be counted as right or wrong."
        )
        return
    for stage, title in (
        ("blind", "Readers without the models"),
        ("shown", "Readers with the models"),
        (None, "Models"),
    ):
        keys = [key for key, rating in rated.items() if rating.rater.stage == stage]
        if keys:
            st.markdown(f"**{title}**")
        for start in range(0, len(keys), _PER_ROW):
            _row(rated, keys[start : start + _PER_ROW], f"review_matrices_{stage}_{start}")
    if sentence := training_sentence(session_results):
        st.caption(f":material/school: {sentence}")
    st.caption("Click a cell to see its studies. Each percentage is a share of its row.")
    opened = st.session_state.get("review_cell")
    if opened and opened[0] in rated:
        _cases(rated[opened[0]], opened[1], by_readers, by_models)


def _row(rated: dict[str, Rated], keys: list[str], place: str) -> None:
    def clicked() -> None:
        points = st.session_state[place]["selection"]["points"]
        if points:
            st.session_state["review_cell"] = tuple(points[0]["customdata"])

    # In a row that is not full, the matrices are as wide as in a full row.
    missing = _PER_ROW - len(keys)
    with st.columns([len(keys), missing])[0] if missing else st.container():
        st.plotly_chart(
            confusion_matrices(
                {key: counts for key in keys if (counts := rated[key].confusion)},
                {key: escape(rated[key].rater.who) for key in keys},
                st.session_state.get("review_cell"),
            ),
            theme=None,
            key=place,
            on_select=clicked,
            selection_mode="points",
            config=chart_config("readers"),
        )


def _cases(rating: Rated, cell: str, by_readers: list[Read], by_models: list[ModelRead]) -> None:
    label, call, meaning = CELLS[cell]
    numbers = rating.cases[cell]
    st.markdown(
        f"**{len(numbers)} {'study' if len(numbers) == 1 else 'studies'}** —"
        f" {plain(rating.rater.name)}: labelled {label}, called {call} ({meaning})"
    )
    st.dataframe(
        [_case(number, by_readers, by_models) for number in numbers],
        hide_index=True,
        width="stretch",
    )


def _case(number: int, by_readers: list[Read], by_models: list[ModelRead]) -> dict[str, str]:
    row = {"Study": str(number)}
    for read in by_readers:
        if read.study == number:
            call = f"{read.answer.call} ({read.answer.confidence})"
            row[f"{read.reader}, {STAGE_WORDS[read.stage]}"] = call
    names = model_names(by_models)
    return row | {
        names[model.family, model.version]: f"{model.probability:.0%}"
        for model in by_models
        if model.study == number
    }


def _exports(session_results: Results, by_readers: list[Read], by_models: list[ModelRead]) -> None:
    review_session, detail = session_results.session, {"reads": len(by_readers)}
    as_csv, as_pdf, _ = st.columns([2, 2, 4])
    export_button(
        as_csv, "All reads as CSV", f"review-{review_session.id}.csv",
        lambda: reads_csv(review_session, by_readers, by_models, session_results.skips),
        review_session.id, detail,
    )  # fmt: skip
    export_button(
        as_pdf, "Results as PDF", f"review-{review_session.id}.pdf",
        lambda: review_pdf(session_results, by_models, datetime.now(UTC)),
        review_session.id, detail,
    )  # fmt: skip
