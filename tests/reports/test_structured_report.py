"""The structured report: calls of the models and of the reader, and references to the pictures."""

from __future__ import annotations

from dataclasses import replace

import pydicom
import pytest
from dicom_result_files import (
    HOSTILE,
    READER,
    items,
    measurement_groups,
    numbers,
    picture,
    read,
    results_of,
    texts,
)
from highdicom import sr
from pydicom.sr.codedict import codes

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.reports.dicom_report import NOTE_LENGTH
from hemodetect.reviews.session import Answer


@pytest.mark.parametrize(
    ("family", "patient", "call", "code"),
    [
        ("svm", 0.55, "hemorrhage", codes.cid240.Present),
        ("logistic", 0.5, "cannot tell", codes.cid240.Undetermined),
        ("cnn", 0.125, "no hemorrhage", codes.cid240.Absent),
        ("rnn", 0.1, "no hemorrhage", codes.cid240.Absent),
        ("attention_rnn", 0.9, "hemorrhage", codes.cid240.Present),
    ],
)
def test_the_report_states_each_models_call_probability_threshold_and_version(
    result_files: dict[str, bytes],
    family: str,
    patient: float,
    call: str,
    code: pydicom.sr.coding.Code,
) -> None:
    group = measurement_groups(result_files["report.dcm"])[FAMILY_NAMES[family]]
    assert numbers(group, "Probability of hemorrhage for the patient") == [patient]
    assert numbers(group, "Operating point: least probability called hemorrhage") == [0.45]
    assert texts(group, "Algorithm Version") == [f"{family}-paper-1"]
    (presence,) = items(group, "Presence")
    assert presence.ConceptCodeSequence[0].CodeValue == code.value
    assert texts(group, "Conclusion") == [
        f"{FAMILY_NAMES[family]}: {call}. Probability {patient:.3f}, operating point 0.450, "
        f"bundle {family}-paper-1. Most suspicious slices: 9, 8, 7, 6, 5."
    ]


def test_the_report_names_the_most_suspicious_slices_from_one_with_their_probabilities(
    result_files: dict[str, bytes],
) -> None:
    group = measurement_groups(result_files["report.dcm"])["CNN"]
    name = "Probability of hemorrhage for a most suspicious slice"
    assert numbers(group, name) == pytest.approx([0.9, 0.8125, 0.725, 0.6375, 0.55], abs=1e-6)
    slice_numbers = [
        item.ContentSequence[0].MeasuredValueSequence[0].NumericValue for item in items(group, name)
    ]
    assert [str(number) for number in slice_numbers] == ["9", "8", "7", "6", "5"]


def test_the_report_says_of_the_whole_study_what_the_models_agree_on_and_research_only(
    result_files: dict[str, bytes],
) -> None:
    (evaluation,) = items(read(result_files["report.dcm"]), "Qualitative Evaluations")
    assert texts(evaluation, "Comment") == [f"{RESEARCH_USE_ONLY} Not for care."]
    assert texts(evaluation, "Conclusion")[0].startswith("The models disagree: ")
    assert texts(evaluation, "Most suspicious slices")[0].startswith("9, 8, 7, 6, 5 (")


def test_the_reader_is_anonymous_and_the_call_is_there(result_files: dict[str, bytes]) -> None:
    group = measurement_groups(result_files["report.dcm"])["Reader"]
    assert [str(item.PersonName) for item in items(group, "Person Observer Name")] == ["reader^"]
    assert items(group, "Presence")[0].ConceptCodeSequence[0].CodeMeaning == "Present"
    assert numbers(group, "Confidence of the reader, 1 (guess) to 5 (certain)") == [4]
    assert numbers(group, "Number of a slice named by the reader, from 1") == [9, 7]
    assert texts(group, "Type of hemorrhage") == ["Subdural", "Epidural"]
    assert texts(group, "Comment") == ["Left, thin.\r\nÖdem? 🧠"]
    assert texts(group, "Conclusion") == ["Reader: hemorrhage. Confidence 4 of 5."]


@pytest.mark.parametrize(("call", "meaning"), [("none", "Absent"), ("unsure", "Undetermined")])
def test_a_reader_may_see_no_hemorrhage_or_be_unsure(call: str, meaning: str) -> None:
    reader = Answer(call, 1)  # type: ignore[arg-type]
    group = measurement_groups(results_of(reader=reader)["report.dcm"])["Reader"]
    assert items(group, "Presence")[0].ConceptCodeSequence[0].CodeMeaning == meaning
    assert not items(group, "Comment")


def test_without_a_reader_the_report_names_none() -> None:
    data = results_of(reader=None)["report.dcm"]
    assert list(measurement_groups(data)) == list(FAMILY_NAMES.values())
    assert b"reader" not in data.lower()


def test_the_report_refers_to_the_captures_under_the_model_that_each_explains(
    result_files: dict[str, bytes],
) -> None:
    captures = [read(result_files[f"overlay-{number:02d}.dcm"]) for number in (1, 2, 3)]
    report = sr.ComprehensiveSR.from_dataset(read(result_files["report.dcm"]))
    assert report.get_evidence(current_procedure_only=True) == [
        (c.StudyInstanceUID, c.SeriesInstanceUID, c.SOPInstanceUID, c.SOPClassUID) for c in captures
    ]
    assert {c.StudyInstanceUID for c in captures} == {report.StudyInstanceUID}
    assert {c.SeriesInstanceUID for c in captures}.isdisjoint({report.SeriesInstanceUID})
    explained = {
        model: [
            (
                image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID,
                *texts(image, "Method of the heat map"),
                *numbers(image, "Number of the slice in its series, from 1"),
            )
            for image in items(group, "Visual explanation")
        ]
        for model, group in measurement_groups(result_files["report.dcm"]).items()
    }
    first, second, third = (c.SOPInstanceUID for c in captures)
    assert explained == {model: [] for model in explained} | {
        "CNN": [(first, "Grad-CAM", 9), (second, "Grad-CAM", 8)],
        "Attention RNN": [(third, "Attention", 9)],
    }


def test_without_pictures_there_is_a_report_without_evidence() -> None:
    files = results_of(pictures=())
    assert list(files) == ["report.dcm"]
    report = read(files["report.dcm"])
    assert "CurrentRequestedProcedureEvidenceSequence" not in report
    assert report.StudyInstanceUID != "2.25.0"
    assert len(measurement_groups(files["report.dcm"])) == 6


def test_a_hostile_note_is_cut_and_loses_what_dicom_forbids() -> None:
    data = results_of(reader=replace(READER, note=HOSTILE))["report.dcm"]
    group = measurement_groups(data)["Reader"]
    (note,) = texts(group, "Comment")
    assert NOTE_LENGTH - 2 <= len(note) <= NOTE_LENGTH
    assert note.startswith("[31m\\\\ <script> \r\n\r\n\r\n\r\n🧠👩🏽‍⚕️ İ漢字 [31m")
    assert note.endswith("…")
    assert not {c for c in note if (ord(c) < 32 or 127 <= ord(c) < 160) and c not in "\r\n"}
    assert "\u202e" not in note


def test_a_hostile_method_becomes_a_short_line_or_not_stated() -> None:
    pictures = tuple(replace(picture(8), method=method) for method in (HOSTILE, "\x00"))
    group = measurement_groups(results_of(pictures=pictures)["report.dcm"])["CNN"]
    explanations = items(group, "Visual explanation")
    (long_method,), (no_method,) = (texts(i, "Method of the heat map") for i in explanations)
    assert len(long_method) <= 64
    assert "\n" not in long_method
    assert no_method == "not stated"
