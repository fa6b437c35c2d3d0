"""What the PDF report of one study says of the models, of the files and of the reader."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from study_pdfs import (
    BLIND,
    FAMILIES,
    SHOWN,
    card_of,
    cards_of,
    pages,
    pdf_of,
    picture_of,
    predicted,
    read_of,
    words,
)

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.imaging.study import RefusedFile
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.registry.bundle import Card
from hemodetect.reports.study_pictures import slice_pictures
from hemodetect.reports.words import (
    CANNOT_TELL,
    NO_HOUNSFIELD_UNITS,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
)
from hemodetect.reviews.session import Answer, Read


def test_every_model_is_listed_with_its_call_and_probability():
    cards = cards_of()
    probabilities = dict(zip(FAMILIES, (0.912, 0.5, 0.499, 0.0, 1.0), strict=True))
    text = words(pdf_of(predicted(cards, probabilities), cards))
    for family, probability in probabilities.items():
        call = "Hemorrhage" if probability >= 0.5 else "No hemorrhage"
        row = (
            f"{FAMILY_NAMES[family]} {cards[family].version} {call}"
            f" {100 * probability:.1f} % 50.0 % 15 of 30 highest 30, 29, 28"
        )
        assert row in text


def test_a_model_calls_from_its_own_operating_point():
    cards = {"svm": card_of("svm", threshold=0.285)}
    text = words(pdf_of(predicted(cards, {"svm": 0.3}), cards))
    assert "Hemorrhage 30.0 % 28.5 % 21 of 30" in text


def test_a_model_that_cannot_tell_is_not_given_a_call():
    cards = {"svm": card_of("svm", cannot_tell=(0.4, 0.6)), "cnn": card_of("cnn")}
    text = words(pdf_of(predicted(cards, {"svm": 0.55}), cards))
    assert f"SVM {cards['svm'].version} Cannot tell 55.0 %" in text
    assert f"Cannot tell: a{CANNOT_TELL[1:]}" in text
    assert "does not settle" not in words(pdf_of())


def test_the_track_record_has_counts_and_intervals():
    assert words(pdf_of()).count("80 % (4 of 5) 61 % to 97 % 90 % (9 of 10) 72 % to 98 %") == 5


def test_a_figure_without_an_interval_says_so():
    figures = card_of("svm").metrics["patient"]
    alone = {"value": 0.8, "low": float("nan"), "high": float("nan")}
    card = card_of("svm", metrics={"patient": {**figures, "sensitivity": alone}})
    text = words(pdf_of(cards={"svm": card}))
    assert "80 % (4 of 5) no interval 90 % (9 of 10)" in text
    assert "nan" not in text.lower()


def test_the_first_sentences_are_those_of_the_read_page():
    cards = cards_of()
    prediction = predicted(cards, {"cnn": 0.1})
    text = words(pdf_of(prediction, cards))
    assert agreement_sentence(prediction) in text
    assert reliability_sentence(cards) in text


def test_models_that_were_trained_on_the_patient_are_named():
    sentence = (
        "The SVM and the CNN were trained on this patient, so their answers here do not test them."
    )
    families = predicted(cards_of()).families
    trained_on = {
        prediction.version: family in ("svm", "cnn") for family, prediction in families.items()
    }
    assert sentence in words(pdf_of(trained_on=trained_on))
    assert "trained on this patient" not in words(pdf_of())


def test_models_not_in_use_are_named_and_only_those():
    cards = cards_of(("cnn", "attention_rnn"))
    text = words(pdf_of(cards=cards))
    for family, name in FAMILY_NAMES.items():
        assert (f"{name} Not in use" in text) == (family not in cards)


def test_a_report_without_any_model_says_so():
    prediction = predicted({})
    text = words(pdf_of(prediction, {}, pictures=slice_pictures(prediction, None)))
    assert "No model is in use." in text
    assert text.count("Not in use") == 5


@pytest.mark.parametrize(
    "cards",
    [
        {"svm": card_of("svm")},
        {"svm": card_of("svm"), "cnn": card_of("cnn", "e")},
        {"svm": card_of("svm"), "cnn": card_of("cnn", metrics={})},
    ],
    ids=["no card", "another bundle's card", "no figures by patient"],
)
def test_a_track_record_that_is_not_known_is_not_borrowed(cards: dict[str, Card]):
    prediction = predicted({"svm": card_of("svm"), "cnn": card_of("cnn")})
    text = words(pdf_of(prediction, cards))
    assert text.count("80 % (4 of 5)") == 1
    assert "15 of 30 highest 30, 29, 28 not known not known" in text
    assert "The accuracy is not known here for: CNN." in text
    assert "e" * 16 not in text


def test_bundles_are_named_by_version_and_the_start_of_their_weights_hashes():
    text = words(pdf_of())
    for (family, card), digit in zip(cards_of().items(), "abcde", strict=True):
        named = f"blood.keras {digit * 16}, scale.skops {'f' * 16}"
        assert f"{FAMILY_NAMES[family]} {card.version} {named}" in text
    assert "a" * 17 not in text
    assert "split.json" not in text


def test_a_remark_is_printed_once_with_the_models_it_is_about():
    cards = cards_of(("svm", "cnn"))
    cards["cnn"] = card_of("cnn", "b", remarks=("Trained for 5 epochs.", "Rests on another."))
    text = words(pdf_of(cards=cards))
    assert 'All: "Trained for 5 epochs." CNN: "Rests on another."' in text
    assert text.count("Trained for 5 epochs") == 1


def test_every_page_is_stamped_with_study_time_version_use_and_number():
    page_texts = pages(
        pdf_of(pictures=[picture_of(index=n) for n in range(4)], reads=[BLIND, SHOWN])
    )
    assert len(page_texts) == 2
    for number, page in enumerate(page_texts, start=1):
        assert f"Page {number} of" in page
        assert "study-0a1b" in page
        assert f"Made 2026-11-27 14:03 UTC with hemodetect {__version__}" in page
        assert RESEARCH_USE_ONLY in page


@pytest.mark.parametrize(
    "when",
    [
        datetime(2026, 11, 27, 14, 3),
        datetime(2026, 11, 27, 17, 3, tzinfo=timezone(timedelta(hours=3))),
    ],
)
def test_the_time_is_printed_in_utc(when: datetime):
    assert "Made 2026-11-27 14:03 UTC" in words(pdf_of(when=when))


def test_what_was_read_is_described_without_file_names():
    refused = (RefusedFile("DOE-JANE.pdf", "no"), RefusedFile("b", "no"))
    prediction = predicted(cards_of(), refused=refused, ignored=1)
    text = words(pdf_of(prediction, pictures=slice_pictures(prediction, None)))
    assert "Read: 30 axial slices, 7.0 mm apart; 2 files could not be read; 1 file without" in text
    assert "DOE" not in text
    assert "no file refused" in words(pdf_of())


def test_a_series_not_read_by_default_is_named_as_one_of_several():
    prediction = predicted(cards_of())
    series = dataclasses.replace(prediction.study.series[0], set_aside="bone kernel")
    study = dataclasses.replace(prediction.study, series=(prediction.study.series[0], series))
    text = words(pdf_of(StudyPrediction(study.choosing(1), prediction.families)))
    assert "Read: series 2 of 2" in text
    assert "(not read by default: bone kernel)" in text
    assert "Set aside: series 1" in text


def test_slices_without_a_head_and_pictures_without_hounsfield_units_are_reported():
    prediction = predicted(cards_of(), units="grey")
    head_found = np.arange(30) > 2
    families = {
        family: dataclasses.replace(family_prediction, head_found=head_found)
        for family, family_prediction in prediction.families.items()
    }
    prediction = StudyPrediction(prediction.study, families)
    text = words(pdf_of(prediction))
    assert no_head_sentence(prediction)
    assert no_head_sentence(prediction) in text
    assert NO_HOUNSFIELD_UNITS in text
    plain = words(pdf_of())
    assert "no head could" not in plain
    assert "without Hounsfield" not in plain


def test_reads_are_listed_in_order_with_slices_from_one():
    text = words(pdf_of(reads=[SHOWN, BLIND]))
    before = "Before seeing the models Unsure 2 of 5 14-16, 21 Subdural"
    after = "After seeing the models Hemorrhage 5 of 5 14 Subdural, Epidural"
    assert f"{before} {after}" in text
    assert "Note before seeing the models: A dense rim." in text
    assert "Note after seeing the models: It is blood." in text


@pytest.mark.parametrize(
    ("reads", "sentence"),
    [
        ((BLIND, SHOWN), "The call changed after"),
        ((BLIND, read_of("shown", Answer("unsure", 5))), "The call stayed the same after"),
        ((BLIND,), None),
        ((SHOWN,), None),
    ],
)
def test_a_change_of_call_is_reported_where_both_reads_exist(
    reads: tuple[Read, ...], sentence: str | None
):
    text = words(pdf_of(reads=reads))
    assert ("The call " in text) == (sentence is not None)
    assert sentence is None or sentence in text


def test_without_reads_nothing_is_said_of_a_reader():
    assert "reader" not in words(pdf_of())


def test_a_read_of_no_hemorrhage_names_neither_slices_nor_types():
    text = words(pdf_of(reads=[read_of("blind", Answer("none", 4))]))
    assert "Before seeing the models No hemorrhage 4 of 5 none named none named" in text
    assert "Note " not in text


def test_the_same_study_gives_the_same_bytes():
    def report() -> bytes:
        return pdf_of(pictures=[picture_of()], reads=[BLIND, SHOWN])

    first = report()
    pdf_of(cards=cards_of(("rnn",)))
    assert report() == first
