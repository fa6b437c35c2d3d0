"""The results of a session equal figures calculated by hand."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest
from made_sessions import Make, read_all

from hemodetect.evaluation import Confusion
from hemodetect.reports.review import reads_csv, sentences, training_sentence
from hemodetect.reviews.model_reads import ModelRead
from hemodetect.reviews.results import Results, majority, rating, results
from hemodetect.reviews.session import Answer, Read, Skip
from hemodetect.reviews.sessions import answer, reads
from hemodetect.storage.people import local_person

pytestmark = pytest.mark.usefixtures("database")
# Of six studies the first three bleed.
# Ada misses one and has one false alarm; she corrects the miss after seeing the models.
ADA = {1: ("none", "hemorrhage"), 2: ("hemorrhage",) * 2, 3: ("unsure",) * 2,
       4: ("hemorrhage",) * 2, 5: ("none",) * 2, 6: ("none",) * 2}  # fmt: skip
BO = {1: ("hemorrhage", "none"), 2: ("hemorrhage",) * 2, 3: ("hemorrhage",) * 2,
      4: ("none",) * 2, 5: ("none",) * 2, 6: ("unsure", "none")}  # fmt: skip
MODELS = [
    ModelRead(number, "svm", "paper-1", probability, 0.5, undecided=number == 6)
    for number, probability in enumerate((0.9, 0.8, 0.2, 0.1, 0.6, 0.3), start=1)
]


@pytest.fixture
def session_results(make: Make) -> Results:
    session = make(n=6)
    read_all(session, "Ada", ADA)  # type: ignore[arg-type]
    read_all(session, "Bo", BO)  # type: ignore[arg-type]
    return results(session, reads(session.id), MODELS)


def test_readers_their_majority_and_models_are_compared_with_the_truth(
    session_results: Results,
) -> None:
    by_name = {rated.rater.name: rated for rated in session_results.rated}
    assert list(by_name) == [
        "Ada, without models", "Bo, without models", "Majority, without models",
        "Ada, with models", "Bo, with models", "Majority, with models", "SVM",
    ]  # fmt: skip
    assert by_name["Ada, without models"].confusion == Confusion(tn=2, fp=1, fn=1, tp=2)
    assert by_name["Ada, with models"].confusion == Confusion(tn=2, fp=1, fn=0, tp=3)
    assert by_name["Bo, without models"].confusion == Confusion(tn=2, fp=1, fn=0, tp=3)
    assert by_name["Bo, with models"].confusion == Confusion(tn=3, fp=0, fn=1, tp=2)
    assert by_name["SVM"].confusion == Confusion(tn=2, fp=1, fn=1, tp=2)
    assert (by_name["Ada, without models"].unsure, by_name["SVM"].unsure) == (1, 1)
    # Studies 1 and 4 are ties of two readers: not sure, so counted as hemorrhage.
    assert by_name["Majority, without models"].confusion == Confusion(tn=1, fp=2, fn=0, tp=3)
    assert by_name["Majority, without models"].unsure == 4
    scores = by_name["Ada, with models"].scores
    assert scores is not None
    assert scores.sensitivity.value == 1.0
    assert scores.specificity.value == pytest.approx(2 / 3)
    assert session_results.baseline == 0.5
    assert session_results.done == 1.0
    assert by_name["Ada, without models"].median_seconds == 10


def test_each_version_that_was_shown_is_judged_by_the_studies_it_was_shown_for(
    make: Make,
) -> None:
    session = make(n=6)
    read_all(session, "Ada", ADA)  # type: ignore[arg-type]
    newer = [replace(read, version="paper-2") for read in MODELS[:3]]
    session_results = results(session, reads(session.id), [*MODELS[2:], *newer])
    by_name = {rated.rater.name: rated for rated in session_results.rated if rated.rater.family}
    assert {name: rated.n for name, rated in by_name.items()} == {
        "SVM (paper-1)": 4,
        "SVM (paper-2)": 3,
    }
    assert "The models in use changed during the session" in sentences(session_results)[-1]


def test_what_a_model_says_of_patients_it_was_trained_on_is_called_no_test(make: Make) -> None:
    session = make(n=6)
    read_all(session, "Ada", ADA)  # type: ignore[arg-type]
    svm = [replace(read, trained_on=read.study < 4) for read in MODELS]
    cnn = [replace(read, family="cnn") for read in svm]
    sentence = training_sentence(results(session, reads(session.id), [*svm, *cnn]))
    assert sentence.startswith("SVM, CNN were trained on the patients of 3 of 6 studies.")
    assert "nor do the calls of readers who saw these answers" in sentence
    not_trained_on = [replace(read, trained_on=False) for read in MODELS]
    assert training_sentence(results(session, reads(session.id), not_trained_on)) == ""
    # Of what was read before this was kept, and of uploads, it is not known.
    sentence = training_sentence(results(session, reads(session.id), MODELS))
    assert sentence.startswith("SVM may have been trained on the patients of 6 of 6 studies.")
    partly_known = [*svm[:4], *MODELS[4:]]
    assert "3 of 6 studies and may have been on those of 2 more" in training_sentence(
        results(session, reads(session.id), partly_known)
    )


def test_a_skipped_study_is_reported_and_not_waited_for(make: Make) -> None:
    session = make(readers=("Ada",), n=2)
    first, second = session.order("Ada")
    skips = [Skip(second, "Ada", "its images are gone", session.created)]
    for stage in ("blind", "shown"):
        answer(local_person("Ada"), session, first, stage, Answer("none", 3), 1)  # type: ignore[arg-type]
    session_results = results(session, reads(session.id), [], skips)
    assert session_results.done == 1
    assert results(session, reads(session.id), []).done == 0.5
    assert f"Ada could not open study {second} and skipped it." in sentences(session_results)
    *_, row = csv.DictReader(
        io.StringIO(reads_csv(session, reads(session.id), [], skips).split("\n", 2)[2])
    )
    assert (row["study"], row["by"], row["stage"]) == (str(second), "Ada", "skipped")
    assert row["note"] == "its images are gone"


def test_a_change_of_mind_is_counted_and_whether_it_was_for_the_better(
    session_results: Results,
) -> None:
    ada, bo = session_results.changes
    assert (ada.n, ada.changed, ada.to_right, ada.to_wrong) == (6, 1, 1, 0)
    # Bo's not sure of study 6 became none, which was right; study 1 became wrong.
    assert (bo.changed, bo.to_right, bo.to_wrong) == (2, 1, 1)
    assert ada.test is not None
    assert ada.test.p_value == 1.0


def test_agreement_of_two_is_cohen_s_by_hand(session_results: Results) -> None:
    # Without models they agree on 2 and 5 of six. By chance: hemorrhage 2/6 * 3/6, none 3/6 * 2/6,
    # not sure 1/6 * 1/6.
    chance = 2 / 6 * 3 / 6 + 3 / 6 * 2 / 6 + 1 / 36
    assert session_results.kappas["Ada", "Bo", "blind"].value == pytest.approx(
        (2 / 6 - chance) / (1 - chance)
    )
    assert session_results.fleiss == {}


def test_three_readers_have_fleiss_kappa_on_what_all_have_read(make: Make) -> None:
    session = make(readers=("Ada", "Bo", "Cleo"), n=6)
    for reader in session.readers:
        read_all(session, reader, ADA)  # type: ignore[arg-type]
    session_results = results(session, reads(session.id), [])
    assert session_results.fleiss["blind"].value == pytest.approx(1.0)
    assert not session_results.fleiss["blind"].has_interval
    assert len(session_results.kappas) == 2 * 3


def test_without_truth_there_are_counts_and_agreement_alone(make: Make) -> None:
    from dataclasses import replace

    session = make(n=6)
    read_all(session, "Ada", ADA)  # type: ignore[arg-type]
    read_all(session, "Bo", BO)  # type: ignore[arg-type]
    blank = replace(session, studies=tuple(replace(study, truth=None) for study in session.studies))
    session_results = results(blank, reads(session.id), MODELS)
    assert session_results.baseline is None
    assert all(rated.confusion is None and rated.scores is None for rated in session_results.rated)
    assert [change.test for change in session_results.changes] == [None, None]
    assert session_results.changes[0].changed == 1
    assert math.isfinite(session_results.kappas["Ada", "Bo", "shown"].value)


def test_a_session_that_nobody_has_read_has_results_without_anything_in_them(make: Make) -> None:
    session = make()
    session_results = results(session, [], [])
    assert (
        session_results.done,
        session_results.rated,
        session_results.kappas,
        session_results.changes,
    ) == (0, (), {}, ())


def test_a_rating_runs_from_surely_none_to_surely_hemorrhage() -> None:
    def of(call: str, confidence: int) -> float:
        answer = Answer(call, confidence)  # type: ignore[arg-type]
        return rating(Read(1, "Ada", "blind", answer, 1.0, None))  # type: ignore[arg-type]

    scale = [of("none", n) for n in (5, 4, 3, 2, 1)] + [of("unsure", 3)]
    scale += [of("hemorrhage", n) for n in (1, 2, 3, 4, 5)]
    assert scale == pytest.approx([n / 10 for n in range(11)])


def test_a_tie_of_readers_is_not_sure() -> None:
    calls = {"a": {1: "none", 2: "none"}, "b": {1: "hemorrhage", 2: "none"}, "c": {2: "unsure"}}
    assert majority(calls) == {1: "unsure", 2: "none"}  # type: ignore[arg-type]
