"""The sentences a radiologist reads: agreement, reliability, track record."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from hemodetect.imaging.study import Series, Slice, Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.registry.bundle import Card
from hemodetect.reports.words import (
    agreement_sentence,
    beats_baseline,
    no_head_sentence,
    pointing_sentence,
    reliability_sentence,
    track_record,
    trained_on_sentence,
)


def predicted(**patient: float) -> StudyPrediction:
    """One slice, and each family's probability for the patient; the threshold is one half."""
    image = Slice(np.zeros((2, 2), np.uint8), "grey", "1.png")
    families = {
        family: FamilyPrediction(np.array([value], np.float32), value, 0.5, "v")
        for family, value in patient.items()
    }
    return StudyPrediction(Study("S", (Series("R", "one slice", (image,)),)), families)


def card(family: str, low: float, baseline: float = 0.5) -> Card:
    """A card of accuracy 0.8 on 40 patients, its interval from `low` to 0.9."""
    accuracy = {"value": 0.8, "low": low, "high": 0.9}
    by_patient = {"n": 40, "accuracy": accuracy, "majority_baseline": baseline}
    return Card(
        family=family, recipe="paper", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=0.5, threshold_reason="as published",
        metrics={"patient": by_patient}, seconds={}, versions={}, commit="unknown",
        created="2026-01-02", remarks=(), files={},
    )  # fmt: skip


@pytest.mark.parametrize(("value", "call"), [(0.9, "call hemorrhage"), (0.1, "call no hemorrhage")])
def test_models_that_agree_are_counted(value: float, call: str) -> None:
    sentence = agreement_sentence(predicted(**dict.fromkeys(FAMILY_NAMES, value)))
    assert sentence == f"All five models {call}."


@pytest.mark.parametrize(
    ("patient", "sentence"),
    [
        ({"svm": 0.9, "logistic": 0.1, "cnn": 0.2},
         "The models disagree: the SVM calls hemorrhage, logistic regression and the CNN do not."),
        ({"svm": 0.9, "cnn": 0.9, "rnn": 0.5, "attention_rnn": 0.4},
         "The models disagree: the SVM, the CNN and the RNN call hemorrhage,"
         " the attention RNN does not."),
    ],
)  # fmt: skip
def test_models_that_disagree_are_named(patient: dict[str, float], sentence: str) -> None:
    assert agreement_sentence(predicted(**patient)) == sentence


@pytest.mark.parametrize(("value", "verb"), [(0.9, "calls"), (0.1, "does not call")])
def test_one_model_alone_does_not_agree_with_itself(value: float, verb: str) -> None:
    sentence = agreement_sentence(predicted(cnn=value))
    assert sentence == f"The only model in use, the CNN, {verb} hemorrhage."


def test_a_model_beats_the_baseline_with_its_whole_interval_only() -> None:
    assert beats_baseline(card("svm", low=0.51))
    assert not beats_baseline(card("svm", low=0.5))
    assert not beats_baseline(card("svm", low=0.49))


def test_where_no_model_beats_the_baseline_the_reader_is_asked_not_to_rely_on_them() -> None:
    sentence = reliability_sentence({f: card(f, low=0.4) for f in FAMILY_NAMES})
    assert "none of these models" in sentence
    assert sentence.endswith("do not rely on the calls.")


@pytest.mark.parametrize(
    ("better", "words"),
    [({"rnn"}, "only the RNN was shown"), ({"svm", "cnn"}, "only the SVM and the CNN were shown")],
)
def test_where_some_models_beat_the_baseline_they_are_named(better: set[str], words: str) -> None:
    cards = {f: card(f, low=0.6 if f in better else 0.4) for f in FAMILY_NAMES}
    assert words in reliability_sentence(cards)


def test_where_all_models_beat_the_baseline_the_sentence_says_so() -> None:
    sentence = reliability_sentence({f: card(f, low=0.6) for f in FAMILY_NAMES})
    assert "each of these models was more accurate" in sentence


def test_without_models_there_is_nothing_to_rely_on() -> None:
    assert reliability_sentence({}) == "No model is in use."


@pytest.mark.parametrize(
    ("svm", "cnn", "sentence"),
    [
        ([1, 0, 0], [1, 1, 0], "No head was found in 2 of 3 slices; the models skip them."),
        ([0], None, "No head was found in 1 of 1 slice; the models skip it."),
        ([1, 1], [1, 1], ""),
        (None, None, ""),
    ],
    ids=["some slices", "the only slice", "none", "no model looks for heads"],
)  # fmt: skip
def test_slices_without_a_head_are_counted_by_the_model_that_misses_most(
    svm: list[int] | None, cnn: list[int] | None, sentence: str
) -> None:
    n = len(svm or [0])
    slices = tuple(Slice(np.zeros((2, 2), np.uint8), "grey", f"{i}.png") for i in range(n))
    families = {
        family: FamilyPrediction(
            np.full(n, 0.5, np.float32), 0.5, 0.5, "v",
            head_found=None if head_found is None else np.array(head_found, bool),
        )
        for family, head_found in (("svm", svm), ("cnn", cnn))
    }  # fmt: skip
    study = Study("S", (Series("R", "slices", slices),))
    assert no_head_sentence(StudyPrediction(study, families)) == sentence


@pytest.mark.parametrize(
    ("families", "sentence"),
    [
        ([], ""),
        (["cnn"], "The CNN was trained on this patient, so its answers here do not test it."),
        (
            ["svm", "logistic", "rnn"],
            "The SVM, logistic regression and the RNN were trained on this patient, so their"
            " answers here do not test them.",
        ),
        (
            list(FAMILY_NAMES),
            "All models were trained on this patient, so their answers here do not test them.",
        ),
        (["logistic"], "Logistic regression was trained on this patient, so its answers here do"
         " not test it."),
    ],
)  # fmt: skip
def test_models_trained_on_the_patient_are_named(families: list[str], sentence: str) -> None:
    prediction = predicted(**dict.fromkeys(FAMILY_NAMES, 0.5))
    for family, family_prediction in prediction.families.items():
        prediction.families[family] = replace(family_prediction, version=f"{family}-1")
    trained_on = {f"{family}-1": family in families for family in FAMILY_NAMES}
    assert trained_on_sentence(prediction, trained_on) == sentence
    assert trained_on_sentence(prediction, {}) == ""


def test_a_track_record_gives_patients_interval_and_baseline() -> None:
    assert track_record(card("svm", low=0.62, baseline=0.55)) == (
        "Accuracy on 40 patients held out of training: 80% (95 % interval 62% to 90%)."
        " Majority-class baseline: 55%."
    )


def test_a_track_record_ends_with_what_the_card_remarks() -> None:
    remarked = replace(card("svm", low=0.62), remarks=("Trained for 4 epochs.", "It leaks."))
    assert track_record(remarked).endswith(".\n\nTrained for 4 epochs.\n\nIt leaks.")


def test_a_map_says_how_often_it_pointed_at_a_bleed() -> None:
    figures = {"slices": 80, "patients": 9, "hits": {"Blood map": 60}, "chance": 7.0}
    other = {"slices": 20, "patients": 3, "hits": {"Blood map": 10}, "chance": 2.0}
    card = SimpleNamespace(pointing={"a": figures, "b": other})
    card.points_at_bleeds = partial(Card.points_at_bleeds, card)
    assert "in 70 of 100 labelled slices" in pointing_sentence(card, "Blood map")  # type: ignore[arg-type]
    assert pointing_sentence(card, "SmoothGrad") == ""  # type: ignore[arg-type]
