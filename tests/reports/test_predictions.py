"""Predictions as JSON, CSV and terminal text."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.imaging.study import RefusedFile, Series, Slice, Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.predictions import (
    no_formula,
    prediction_csv,
    prediction_json,
    prediction_text,
)

REFUSED = RefusedFile("notes.dcm", "No pixels in it; leave it out.")


def predicted(*files: str, refused: tuple[RefusedFile, ...] = ()) -> StudyPrediction:
    """All five families on slices of these names; the first slice is the least suspicious."""
    slices = tuple(Slice(np.zeros((4, 4), np.uint8), "grey", file) for file in files)
    scout = Series("R-2", "1 slice", slices[:1], "localizer")
    chosen = Series("R-1", "axial slices", slices, cautions=("It covers 40 mm.",))
    study = Study("S-0a1b", (chosen, scout), refused=refused, left_out="Not read: 1 series.")
    probabilities = np.linspace(0.2, 0.9, len(files), dtype=np.float32)
    families = {
        family: FamilyPrediction(probabilities, patient, 0.5, "paper-1")
        for family, patient in zip(FAMILY_NAMES, (0.55, 0.5, 0.49, 0.1, 0.9), strict=True)
    }
    return StudyPrediction(study, families, cautions=study.cautions)


def test_json_has_the_shape_of_the_design() -> None:
    prediction = prediction_json(predicted("1.png", "2.png", "3.png", refused=(REFUSED,)))
    assert list(prediction) == [
        "study", "stopped", "cautions", "series", "slices", "patient", "refused",
    ]  # fmt: skip
    assert prediction["stopped"] is None
    assert prediction["cautions"] == ["It covers 40 mm.", "Not read: 1 series."]
    assert prediction["series"] == [
        {"description": "axial slices", "chosen": True, "set_aside": None},
        {"description": "1 slice", "chosen": False, "set_aside": "localizer"},
    ]
    assert prediction["study"] == "S-0a1b"
    assert [(s["file"], s["index"]) for s in prediction["slices"]] == [
        ("1.png", 0), ("2.png", 1), ("3.png", 2),
    ]  # fmt: skip
    for image, expected in zip(prediction["slices"], (0.2, 0.55, 0.9), strict=True):
        assert set(image) == {"file", "index", "probability"}
        assert image["probability"] == pytest.approx(dict.fromkeys(FAMILY_NAMES, expected))
    assert list(prediction["patient"]) == ["svm", "logistic", "cnn", "rnn", "attention_rnn"]
    assert prediction["patient"]["svm"] == {
        "probability": 0.55, "call": "hemorrhage", "threshold": 0.5,
        "slice_threshold": 0.5, "cannot_tell": False,
        "top_slices": [2, 1, 0], "out_of_fold": False,
    }  # fmt: skip
    assert prediction["refused"] == [{"file": "notes.dcm", "reason": REFUSED.reason}]


def test_json_calls_hemorrhage_at_the_threshold_and_not_below() -> None:
    patient = prediction_json(predicted("1.png"))["patient"]
    assert patient["logistic"]["call"] == "hemorrhage"
    assert patient["cnn"]["call"] == "no hemorrhage"


def test_json_can_be_written_on_one_line_and_read_back() -> None:
    prediction = prediction_json(predicted("a\nb.png", "2.png"))
    line = json.dumps(prediction, allow_nan=False)
    assert "\n" not in line
    assert json.loads(line) == prediction


def test_csv_says_research_use_only_and_has_a_row_a_slice() -> None:
    first, *table = prediction_csv(predicted("1.png", "2, left.png")).splitlines()
    assert first == f"# {RESEARCH_USE_ONLY}"
    assert list(csv.reader(table)) == [
        ["study", "slice", *FAMILY_NAMES],
        ["S-0a1b", "1", *["0.2000"] * 5],
        ["S-0a1b", "2", *["0.9000"] * 5],
    ]


def test_csv_names_no_file() -> None:
    assert "Smith" not in prediction_csv(predicted("Smith.png", "Smith 2.png"))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_guarded(start: str) -> None:
    text = f'{start}HYPERLINK("http://x")'
    assert no_formula(text) == f"'{text}"
    assert no_formula("a note") == "a note"


def test_text_counts_slices_from_one_and_names_what_was_refused() -> None:
    lines = prediction_text(predicted("1", "2", "3", refused=(REFUSED,)), "scan").splitlines()
    assert lines[0] == "scan (S-0a1b). Read: series 1 of 2, axial slices."
    assert " ".join(lines[4].split()) == (
        "SVM hemorrhage 55.0% (threshold 50%; 2 of 3 slices suspicious; highest: 3, 2, 1)"
    )
    starts = [line.strip().split("  ")[0] for line in lines[4:9]]
    assert starts == list(FAMILY_NAMES.values())
    assert f"    notes.dcm: {REFUSED.reason}" in lines
    assert lines[-1].strip() == RESEARCH_USE_ONLY


def test_text_says_nothing_of_refusals_where_there_are_none() -> None:
    assert "refused" not in prediction_text(predicted("1"), "scan")


def test_text_begins_with_the_series_that_was_read_and_those_that_were_not() -> None:
    lines = prediction_text(predicted("1.png", "2.png"), "scan").splitlines()
    assert lines[:4] == [
        "scan (S-0a1b). Read: series 1 of 2, axial slices.",
        "  Set aside: series 2, 1 slice (localizer).",
        "  Caution: It covers 40 mm.",
        "  Caution: Not read: 1 series.",
    ]


def test_a_series_chosen_by_hand_is_named_with_why_it_is_not_read_otherwise() -> None:
    prediction = predicted("1.png", "2.png")
    other = replace(prediction, study=prediction.study.choosing(1))
    first, second, *_ = prediction_text(other, "scan").splitlines()
    assert first.endswith("Read: series 2 of 2, 1 slice (not read by default: localizer).")
    assert second == "  Set aside: series 1, axial slices (read by default)."


def test_a_stopped_study_has_no_probabilities_and_says_why() -> None:
    prediction = replace(predicted("1.png", "2.png"), families={}, stopped="It shows a chest.")
    written = prediction_json(prediction)
    assert written["stopped"] == "It shows a chest."
    assert written["patient"] == {}
    assert [image["probability"] for image in written["slices"]] == [{}, {}]
    assert "Stopped, no model was run: It shows a chest." in prediction_text(prediction, "scan")
