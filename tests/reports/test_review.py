"""A session's results as CSV and PDF, and its readers as points over the models' curves."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hemodetect.figures.reviewing import readers_roc
from hemodetect.reports.review import figure_rows, reads_csv, review_pdf, sentences
from hemodetect.reviews.model_reads import ModelRead
from hemodetect.reviews.results import Results, results
from hemodetect.reviews.session import Answer, Call, Read, ReviewSession, ReviewStudy
from hemodetect.reviews.sources import SyntheticPhantom

WHEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOSTILE = "=HYPERLINK(1)\n<b>&amp; 😀"


def session(readers: tuple[str, ...] = ("Ada", "Bo", "Cleo"), n: int = 12) -> ReviewSession:
    studies = tuple(
        ReviewStudy(k, SyntheticPhantom(k), "hemorrhage" if k % 2 else "none")
        for k in range(1, n + 1)
    )
    return ReviewSession("abc", "Tuesday <b>", "blind-first", 1, WHEN, "Lena", readers, studies)


def reads(session: ReviewSession) -> list[Read]:
    """Every third study is called wrongly without the models, every sixth with them."""
    session_reads = []
    for place, reader in enumerate(session.readers):
        for study in session.studies:
            for stage, every in (("blind", 3), ("shown", 6)):
                truth_call: Call = study.truth or "unsure"
                wrong_call: Call = "none" if truth_call == "hemorrhage" else "hemorrhage"
                call = wrong_call if (study.number + place) % every == 0 else truth_call
                answer = Answer(call, 4, (3, 4) if call == "hemorrhage" else (), (), HOSTILE)
                session_reads.append(Read(study.number, reader, stage, answer, 20.0 + place, WHEN))  # type: ignore[arg-type]
    return session_reads


MODELS = [
    ModelRead(number, family, f"{family}-1", 0.9 if number % 2 else 0.2, 0.5, False)
    for number in range(1, 13)
    for family in ("svm", "cnn")
]


@pytest.fixture
def session_results() -> Results:
    return results(session(), reads(session()), MODELS)


def test_the_csv_has_every_read_and_no_formula() -> None:
    text = reads_csv(session(), reads(session()), MODELS)
    body = text.split("\n", 2)[2]
    rows = list(csv.DictReader(io.StringIO(body)))
    assert len(rows) == 3 * 12 * 2 + 24
    people = [row for row in rows if row["kind"] == "reader"]
    assert all(row["note"] == "'" + HOSTILE for row in people)
    assert {row["slices"] for row in people} == {"", "3 4"}
    assert {row["probability"] for row in rows if row["kind"] == "cnn"} == {"0.9000", "0.2000"}


def test_the_sentences_say_who_changed_what(session_results: Results) -> None:
    text = "\n".join(sentences(session_results))
    assert "Accuracy of the majority-class baseline: 50.0 %." in text
    assert (
        "Ada changed 2 of 12 calls after seeing the models: 2 became right, 0 became wrong" in text
    )
    assert "All readers, without models: Fleiss' kappa" in text
    assert " to " in text.splitlines()[1]


def test_an_unknown_agreement_says_so(session_results: Results) -> None:
    from hemodetect.evaluation.metrics import Metric

    bare = replace(session_results, kappas={("Ada", "Bo", "blind"): Metric(math.nan)}, fleiss={})
    assert "kappa is not known" in sentences(bare)[1]


def test_the_table_has_a_row_for_each(session_results: Results) -> None:
    rows = figure_rows(session_results)
    assert [row["Who"] for row in rows][-2:] == ["SVM", "CNN"]
    assert len(rows) == 2 * (3 + 1) + 2
    assert rows[0]["Time per study"] == "20 s"


def test_the_pdf_is_the_same_again_and_takes_any_name(session_results: Results) -> None:
    first = review_pdf(session_results, MODELS, WHEN)
    assert first.startswith(b"%PDF")
    assert first == review_pdf(session_results, MODELS, WHEN)
    many = session(tuple(f"{'W' * 190}{n}" for n in range(50)), 4)
    assert review_pdf(results(many, reads(many), []), [], WHEN).startswith(b"%PDF")
    assert review_pdf(results(session(), [], []), [], WHEN).startswith(b"%PDF")


def test_readers_are_points_over_the_models_curves(session_results: Results) -> None:
    figure = readers_roc(session_results)
    assert figure is not None
    named = {trace.name: trace for trace in figure.data if trace.name}
    ada = named["A: Ada"]
    scores_by_rater = {rated.rater.name: rated.scores for rated in session_results.rated}
    for place, stage in enumerate(("without models", "with models")):
        scores = scores_by_rater[f"Ada, {stage}"]
        assert scores is not None
        assert ada.x[place] == pytest.approx(100 * (1 - scores.specificity.value))
        assert ada.y[place] == pytest.approx(100 * scores.sensitivity.value)
    assert any(name.startswith("CNN") for name in named)
    unknown = replace(session(), studies=tuple(replace(s, truth=None) for s in session().studies))
    assert readers_roc(results(unknown, reads(unknown), MODELS)) is None
