"""The report of one study: its content, and hostile words and sizes that must not break it."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from PIL import Image

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.explain.overlay import heatmap_overlay
from hemodetect.imaging.study import RefusedFile, Series, Slice, Study
from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.registry.bundle import Card
from hemodetect.reports.study_pdf import NOTE_LENGTH, study_pdf
from hemodetect.reports.study_pictures import PICTURE_SIDE, SlicePicture, slice_pictures
from hemodetect.reports.words import (
    CANNOT_TELL,
    NO_HOUNSFIELD_UNITS,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
)
from hemodetect.reviews.session import Answer, Read, Stage

FAMILIES = tuple(FAMILY_NAMES)
WHEN = datetime(2026, 11, 27, 14, 3, tzinfo=UTC)
MARKUP = "<b>&<para><img src='file:///etc/passwd'/>"


def read_of(stage: Stage, answer: Answer) -> Read:
    return Read(study=1, reader="ada", stage=stage, answer=answer, seconds=30.0, at=WHEN)


def with_note(read: Read, note: str) -> Read:
    return dataclasses.replace(read, answer=dataclasses.replace(read.answer, note=note))


BLIND = read_of("blind", Answer("unsure", 2, (14, 15, 16, 21), ("Subdural",), "A dense rim."))
SHOWN = read_of("shown", Answer("hemorrhage", 5, (14,), ("Subdural", "Epidural"), "It is blood."))


def card_of(family: str, digit: str = "a", **changes: object) -> Card:
    """Correct for 4 of 5 bleeding patients and 9 of 10 others; each file hash repeats one digit."""
    figure = {"value": 0.8, "low": 0.61, "high": 0.97}
    by_patient = {
        "level": "patient", "n": 15, "n_positive": 5, "n_groups": 15, "threshold": 0.5,
        "majority_baseline": 0.5, "accuracy": figure, "balanced_accuracy": figure,
        "sensitivity": figure, "specificity": {"value": 0.9, "low": 0.72, "high": 0.98},
        "auroc": figure, "confusion": {"tn": 9, "fp": 1, "fn": 1, "tp": 4},
    }  # fmt: skip
    card = Card(
        family=family, recipe="study", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=0.5, threshold_reason="as published",
        metrics={"patient": by_patient}, seconds={}, versions={}, commit="unknown",
        created="2026-01-02", remarks=("Trained for 5 epochs.",),
        files={"blood.keras": digit * 64, "scale.skops": "f" * 64, "split.json": "0" * 64},
    )  # fmt: skip
    return dataclasses.replace(card, **changes)


def cards_of(families: Sequence[str] = FAMILIES) -> dict[str, Card]:
    return {
        family: card_of(family, digit) for family, digit in zip(families, "abcde", strict=False)
    }


def predicted(
    cards: Mapping[str, Card],
    patient: Mapping[str, float] | None = None,
    *,
    slices: int = 30,
    shape: tuple[int, int] = (40, 40),
    units: str = "HU",
    **more: object,
) -> StudyPrediction:
    """Slice probabilities rise from 0 to 1; every patient has 0.9 unless `patient` says otherwise."""
    random = np.random.default_rng(2)
    if units == "HU":
        values = random.integers(-100, 200, (slices, *shape)).astype(np.int16)
    else:
        values = random.integers(0, 256, (slices, *shape)).astype(np.uint8)
    images = tuple(Slice(v, units, f"DOE-JANE-{n}.dcm") for n, v in enumerate(values))
    series = Series("R-1", f"{slices} axial slices, 7.0 mm apart", images)
    families = {
        family: FamilyPrediction(
            probabilities=np.linspace(0, 1, slices, dtype=np.float32),
            patient=(patient or {}).get(family, 0.9),
            threshold=card.threshold,
            version=card.version,
            cannot_tell=card.cannot_tell,
        )
        for family, card in cards.items()
    }
    return StudyPrediction(Study("study-0a1b", (series,), **more), families)


def pdf_of(
    prediction: StudyPrediction | None = None,
    cards: Mapping[str, Card] | None = None,
    *,
    pictures: Sequence[SlicePicture] = (),
    reads: Sequence[Read] = (),
    when: datetime = WHEN,
    trained_on: Mapping[str, bool] | None = None,
) -> bytes:
    cards = cards_of() if cards is None else cards
    return study_pdf(prediction or predicted(cards), cards, pictures, reads, when, trained_on)


def objects(pdf: bytes) -> list[tuple[bytes, bytes]]:
    """(dictionary, unpacked content) of every page, form and image."""
    streams = []
    for head, packed in re.findall(rb"<<((?:(?!endobj).)*?)>>\s*stream\n(.*?)endstream", pdf, re.S):
        if b"/ASCII85Decode" in head:
            data = base64.a85decode(b"<~" + packed.strip(), adobe=True)
            streams.append((head, zlib.decompress(data) if b"/FlateDecode" in head else data))
    return streams


def pages(pdf: bytes) -> list[str]:
    """The text of every page in drawing order, words separated by one space."""
    texts = []
    for head, content in objects(pdf):
        if b"/Subtype /Image" in head or b"Page " not in content:
            continue
        drawn = re.findall(r"\(((?:\\.|[^\\)])*)\) Tj", content.decode("latin-1"))
        texts.append(" ".join(re.sub(r"\\([()\\])", r"\1", " ".join(drawn)).split()))
    assert len(texts) == len(re.findall(rb"/Type /Page\b(?!s)", pdf))
    return texts


def words(pdf: bytes) -> str:
    return " ".join(pages(pdf))


def images(pdf: bytes) -> list[np.ndarray]:
    """Every image of the PDF, (rows, columns) or (rows, columns, 3) uint8."""
    arrays = []
    for head, content in objects(pdf):
        if b"/Subtype /Image" not in head:
            continue
        if b"/DCTDecode" in head:
            arrays.append(np.asarray(Image.open(io.BytesIO(content))))
            continue
        sizes = [re.search(rb"/%s (\d+)" % name, head) for name in (b"Height", b"Width")]
        shape = [int(size.group(1)) for size in sizes if size]
        values = np.frombuffer(content, np.uint8)
        arrays.append(values.reshape(*shape, 3) if b"/DeviceRGB" in head else values.reshape(shape))
    return arrays


def picture_of(shape: tuple[int, int] = (40, 40), index: int = 3, mapped: bool = True):
    grey = np.random.default_rng(index).integers(0, 256, shape).astype(np.uint8)
    overlay = np.stack([np.full_like(grey, 40 + index), grey // 2, grey // 3], axis=2)
    return SlicePicture(index, grey, overlay if mapped else None, 0.5 + index / 100)


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


def test_a_slice_is_printed_as_it_is_and_its_heat_map_nearly_so():
    picture = picture_of()
    arrays = images(pdf_of(pictures=[picture]))
    assert picture.overlay is not None
    (grey,) = [image for image in arrays if image.ndim == 2]
    np.testing.assert_array_equal(grey, picture.grey)
    (overlay,) = [image for image in arrays if image.shape == picture.overlay.shape]
    assert abs(overlay.astype(int) - picture.overlay).mean() < 20


def test_four_slices_are_shown_with_their_number_and_mean_probability():
    pictures = [picture_of(index=index) for index in (7, 2, 9, 4, 11)]
    pdf = pdf_of(pictures=pictures)
    text = words(pdf)
    for index in (7, 2, 9, 4):
        assert f"Slice {index + 1} of 30, mean probability {50 + index}.0 %" in text
    assert "Slice 12 of 30" not in text
    assert len(images(pdf)) == 9  # slices, overlays, colour scale


def test_the_colour_scale_and_the_limits_of_heat_maps_are_explained_with_heat_maps_only():
    with_maps = words(pdf_of(pictures=[picture_of()]))
    assert "evidence for hemorrhage: none strongest in this study" in with_maps
    assert "not where a hemorrhage is" in with_maps
    without = words(pdf_of(pictures=[picture_of(mapped=False)]))
    assert "strongest in this study" not in without
    assert "There are no heat maps" in without


def test_a_slice_without_a_heat_map_among_others_says_so():
    pdf = pdf_of(pictures=[picture_of(), picture_of(index=5, mapped=False)])
    assert "no heat map" in words(pdf)
    assert len(images(pdf)) == 4


def test_the_window_of_the_pictures_is_named():
    pictures = [picture_of(mapped=False)]
    assert "brain window (width 80 HU, level 40 HU)" in words(pdf_of(pictures=pictures))
    grey = predicted(cards_of(), units="grey")
    assert "own grey levels" in words(pdf_of(grey, pictures=pictures))


def test_pictures_are_of_the_most_suspicious_slices_in_the_brain_window():
    prediction = predicted(cards_of(("svm", "rnn")))
    prediction.families["rnn"] = dataclasses.replace(
        prediction.families["rnn"], probabilities=np.full(30, 0.5, np.float32)
    )
    pictures = slice_pictures(prediction, None)
    assert [picture.index for picture in pictures] == [29, 28, 27, 26]
    assert pictures[0].mean_probability == pytest.approx(0.75)
    for picture in pictures:
        values = prediction.study.slices[picture.index].values
        np.testing.assert_array_equal(picture.grey, windowed(values, BRAIN))
        assert picture.overlay is None


def test_heat_maps_are_scaled_by_the_strongest_of_the_study():
    prediction = predicted(cards_of(), slices=6)
    maps = np.zeros((6, 40, 40), np.float32)
    maps[0, 0, 0] = 8.0  # not one of the slices in the report
    maps[5] = 2.0
    first, second, *_ = slice_pictures(prediction, maps)
    expected = heatmap_overlay(first.grey, np.full((40, 40), 0.25, np.float32), 0.6)
    np.testing.assert_array_equal(first.overlay, expected)
    np.testing.assert_array_equal(second.overlay, np.repeat(second.grey[..., None], 3, axis=2))


def test_maps_of_nothing_leave_the_slices_as_they_are():
    prediction = predicted(cards_of(), slices=1)
    (picture,) = slice_pictures(prediction, np.zeros((1, 8, 8), np.float32))
    np.testing.assert_array_equal(picture.overlay, np.repeat(picture.grey[..., None], 3, axis=2))


@pytest.mark.parametrize("units", ["HU", "grey"])
@pytest.mark.parametrize(
    ("slices", "shape"), [(3, (2000, 1000)), (1, (16, 16)), (300, (16, 16)), (2, (3, 900))]
)
def test_studies_of_any_size_fit(slices: int, shape: tuple[int, int], units: str):
    prediction = predicted(cards_of(), slices=slices, shape=shape, units=units)
    maps = np.random.default_rng(0).random((slices, 30, 30)).astype(np.float32)
    pictures = slice_pictures(prediction, maps)
    for picture in pictures:
        rows, columns = picture.grey.shape
        assert max(rows, columns) <= PICTURE_SIDE
        assert picture.overlay is not None
        assert picture.overlay.shape == (rows, columns, 3)
        assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.2)
    pdf = pdf_of(prediction, pictures=pictures, reads=[BLIND, SHOWN])
    assert len(pages(pdf)) <= 2
    assert len(images(pdf)) == 2 * min(slices, 4) + 1


def test_large_pictures_are_made_smaller():
    arrays = images(pdf_of(pictures=[picture_of((2000, 1000))]))
    assert (
        sorted(image.shape[:2] for image in arrays)[1:] == [(PICTURE_SIDE, PICTURE_SIDE // 2)] * 2
    )


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


def test_slices_that_do_not_fit_are_counted():
    answer = Answer("hemorrhage", 4, tuple(range(1, 301, 2)))
    text = words(pdf_of(reads=[read_of("blind", answer)]))
    assert "(150 in all)" in text
    assert "299" not in text


def test_a_long_note_is_cut_and_says_so():
    text = words(pdf_of(reads=[with_note(BLIND, "word " * 2000)]))
    assert "The note is cut here; it has 9,999 characters." in text
    assert text.count("word") == NOTE_LENGTH // 5
    whole = words(pdf_of(reads=[with_note(BLIND, "x" * 800)]))
    assert "is cut" not in whole


@pytest.mark.parametrize(
    "text",
    [
        MARKUP * 300,
        "W" * 10_000,
        "脑出血 мозг 🧠 " * 1000,
        "\x00\x07\u202e\ud800egnp.exe" * 800,
        "&#0; &nbsp; <![CDATA[ ]]> <br/>" * 400,
        "\n" * 9000 + "late",
        "%s {0} \\ ) Tj ET (" * 500,
    ],
)
def test_no_text_breaks_the_document(text: str):
    answer = Answer("hemorrhage", 3, tuple(range(1, 301)), (text, text), text)
    prediction = predicted(cards_of())
    study = dataclasses.replace(prediction.study, id=text)
    pdf = pdf_of(
        StudyPrediction(study, prediction.families),
        pictures=[picture_of(index=n) for n in range(4)],
        reads=[read_of("blind", answer), read_of("shown", answer)],
    )
    page_texts = pages(pdf)
    assert len(page_texts) <= 3
    assert all(RESEARCH_USE_ONLY in page for page in page_texts)
    assert "blood.keras" in " ".join(page_texts)


def test_two_long_notes_of_words_stay_on_two_pages():
    note = "Hyperdense collection along the left convexity, 9 mm deep; midline kept. " * 140
    reads = [with_note(BLIND, note), with_note(SHOWN, note)]
    assert len(pages(pdf_of(pictures=[picture_of(index=n) for n in range(4)], reads=reads))) == 2


def test_markup_in_a_note_is_printed_as_text():
    pdf = pdf_of(reads=[with_note(BLIND, MARKUP)])
    # Drawn in pieces; `words` puts spaces between them.
    assert "<b>&<para><imgsrc=" in words(pdf).replace(" ", "")
    assert not images(pdf)


def test_names_from_a_card_cannot_break_the_document():
    files = {f"{n}-{'w' * 200}.keras": "a" * 64 for n in range(40)}
    cards = {f: card_of(f, files=files, recipe="r" * 500) for f in FAMILIES}
    text = words(pdf_of(cards=cards))
    assert text.count("and 32 more") == 5


def test_the_same_study_gives_the_same_bytes():
    def report() -> bytes:
        return pdf_of(pictures=[picture_of()], reads=[BLIND, SHOWN])

    first = report()
    pdf_of(cards=cards_of(("rnn",)))
    assert report() == first
