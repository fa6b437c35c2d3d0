"""Large studies, long notes and hostile text do not break the PDF report of one study."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from study_pdfs import (
    BLIND,
    FAMILIES,
    MARKUP,
    SHOWN,
    card_of,
    cards_of,
    images,
    pages,
    pdf_of,
    picture_of,
    predicted,
    read_of,
    with_note,
    words,
)

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.reports.study_pdf import NOTE_LENGTH
from hemodetect.reports.study_pictures import PICTURE_SIDE, slice_pictures
from hemodetect.reviews.session import Answer


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
