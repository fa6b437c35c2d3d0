"""Results as DICOM files, read back by pydicom and highdicom and checked by dciodvfy."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.imaging.study import RefusedFile, Series, Slice, Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.dicom_report import NOTE_LENGTH
from hemodetect.reports.dicom_results import dicom_results
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reviews.session import Answer, ReviewError
from hemodetect.settings import settings

WHEN = datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
SLICES = 9
READER = Answer("hemorrhage", 4, (9, 7), ("Subdural", "Epidural"), "Left, thin.\nÖdem? 🧠")
HOSTILE = ("\x00\x1b[31m\x9b\x7f\ud800\u202e\\\\ <script> \r\n\r\v\u2028🧠👩🏽‍⚕️ İ漢字\t" * 400)[
    :10_000
]


def predicted(study: str = "study-7f3a9c21d0", count: int = SLICES) -> StudyPrediction:
    """All five families; the last slice is the most suspicious. The logistic one cannot tell."""
    slices = tuple(
        Slice(np.zeros((4, 4), np.uint8), "grey", f"MUELLER^HANS/{n}.dcm") for n in range(count)
    )
    found = Study(
        study,
        (Series("series-1", "HANS MUELLER", slices),),
        refused=(RefusedFile("MUELLER.dcm", "Of HANS MUELLER."),),
    )
    probabilities = np.linspace(0.2, 0.9, count, dtype=np.float32)
    families = {
        family: FamilyPrediction(probabilities, patient, 0.45, f"{family}-paper-1")
        for family, patient in zip(FAMILY_NAMES, (0.55, 0.5, 0.125, 0.1, 0.9), strict=True)
    }
    families["logistic"] = replace(families["logistic"], cannot_tell=(0.4, 0.52))
    return StudyPrediction(found, families)


def picture(index: int, family: str = "cnn", shape: tuple[int, int] = (6, 8)) -> SlicePicture:
    values = np.random.default_rng(index).integers(0, 256, (*shape, 3)).astype(np.uint8)
    method = "Grad-CAM" if family == "cnn" else "Attention"
    return SlicePicture(index, values[..., 0], values, 0.5, method, family)


PICTURES = (picture(8), picture(7), picture(8, "attention_rnn", (5, 7)))


def made(
    prediction: StudyPrediction | None = None,
    pictures: tuple[SlicePicture, ...] = PICTURES,
    reader: Answer | None = READER,
    when: datetime = WHEN,
) -> dict[str, bytes]:
    return dicom_results(prediction or predicted(), pictures, reader, when)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The results of a study with three pictures and a reader."""
    return made()


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def groups(data: bytes) -> dict[str, Dataset]:
    """Measurement groups by tracking identifier, as highdicom finds them in the file."""
    report = sr.ComprehensiveSR.from_dataset(read(data))
    return {
        group.tracking_identifier: group[0]
        for group in report.content.get_image_measurement_groups()
    }


def items(parent: Dataset, name: str) -> list[Dataset]:
    """Children of `parent` whose concept has this meaning."""
    return [
        item
        for item in parent.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == name
    ]


def numbers(parent: Dataset, name: str) -> list[float]:
    return [float(item.MeasuredValueSequence[0].NumericValue) for item in items(parent, name)]


def texts(parent: Dataset, name: str) -> list[str]:
    return [item.TextValue for item in items(parent, name)]


def everything(data_set: Dataset) -> Iterator[pydicom.DataElement]:
    yield from data_set.file_meta
    yield from data_set.iterall()


def identities(files: dict[str, bytes]) -> set[str]:
    """All UIDs that name something of this set (not a class or a syntax)."""
    return {
        str(element.value)
        for data in files.values()
        for element in everything(read(data))
        if element.VR == "UI" and str(element.value).startswith("2.25.")
    }


def test_files_are_named_in_the_order_of_the_pictures_and_the_report_comes_last(
    files: dict[str, bytes],
) -> None:
    assert list(files) == ["overlay-01.dcm", "overlay-02.dcm", "overlay-03.dcm", "report.dcm"]
    kinds = [read(data).SOPClassUID for data in files.values()]
    assert kinds == [SecondaryCaptureImageStorage] * 3 + [ComprehensiveSRStorage]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_capture_holds_the_very_pixels_also_of_an_odd_picture(
    files: dict[str, bytes], number: int
) -> None:
    image = read(files[f"overlay-{number:02d}.dcm"])
    assert image.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(image.pixel_array, PICTURES[number - 1].overlay)


def test_a_capture_says_what_it_shows_and_that_it_is_for_research_only(
    files: dict[str, bytes],
) -> None:
    image = read(files["overlay-03.dcm"])
    assert "BurnedInAnnotation" not in image  # nobody has looked for any
    for text in (image.ImageComments, image.DerivationDescription):
        assert RESEARCH_USE_ONLY in text
        assert "Heat map (Attention) of the Attention RNN model over slice 9 of 9" in text
    assert image.SeriesDescription == "hemodetect heat maps, research use only, not for care"


def test_a_capture_claims_no_side_of_the_patient(files: dict[str, bytes]) -> None:
    assert not read(files["overlay-01.dcm"]).PatientOrientation


@pytest.mark.parametrize("name", ["overlay-01.dcm", "report.dcm"])
def test_every_file_carries_pseudonym_maker_and_moment(files: dict[str, bytes], name: str) -> None:
    found = read(files[name])
    assert found.PatientID == found.PatientName == found.StudyID == "study-7f3a9c21d0"
    assert found.PatientBirthDate == found.PatientSex == ""
    assert (found.Manufacturer, found.SoftwareVersions) == ("hemodetect", __version__)
    assert (found.ContentDate, found.ContentTime) == ("20260304", "150607")
    assert found.TimezoneOffsetFromUTC == "-0330"
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.ContentQualification == "RESEARCH"


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
    files: dict[str, bytes], family: str, patient: float, call: str, code: pydicom.sr.coding.Code
) -> None:
    group = groups(files["report.dcm"])[FAMILY_NAMES[family]]
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
    files: dict[str, bytes],
) -> None:
    group = groups(files["report.dcm"])["CNN"]
    name = "Probability of hemorrhage for a most suspicious slice"
    assert numbers(group, name) == pytest.approx([0.9, 0.8125, 0.725, 0.6375, 0.55], abs=1e-6)
    named = [
        item.ContentSequence[0].MeasuredValueSequence[0].NumericValue for item in items(group, name)
    ]
    assert [str(number) for number in named] == ["9", "8", "7", "6", "5"]


def test_the_report_says_of_the_whole_study_what_the_models_agree_on_and_research_only(
    files: dict[str, bytes],
) -> None:
    (whole,) = items(read(files["report.dcm"]), "Qualitative Evaluations")
    assert texts(whole, "Comment") == [f"{RESEARCH_USE_ONLY} Not for care."]
    assert texts(whole, "Conclusion")[0].startswith("The models disagree: ")
    assert texts(whole, "Most suspicious slices")[0].startswith("9, 8, 7, 6, 5 (")


def test_the_reader_is_anonymous_and_the_call_is_there(files: dict[str, bytes]) -> None:
    group = groups(files["report.dcm"])["Reader"]
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
    group = groups(made(reader=reader)["report.dcm"])["Reader"]
    assert items(group, "Presence")[0].ConceptCodeSequence[0].CodeMeaning == meaning
    assert not items(group, "Comment")


def test_without_a_reader_the_report_speaks_of_none() -> None:
    data = made(reader=None)["report.dcm"]
    assert list(groups(data)) == list(FAMILY_NAMES.values())
    assert b"reader" not in data.lower()


def test_the_report_refers_to_the_captures_under_the_model_that_each_explains(
    files: dict[str, bytes],
) -> None:
    captures = [read(files[f"overlay-{number:02d}.dcm"]) for number in (1, 2, 3)]
    report = sr.ComprehensiveSR.from_dataset(read(files["report.dcm"]))
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
        for model, group in groups(files["report.dcm"]).items()
    }
    first, second, third = (c.SOPInstanceUID for c in captures)
    assert explained == {model: [] for model in explained} | {
        "CNN": [(first, "Grad-CAM", 9), (second, "Grad-CAM", 8)],
        "Attention RNN": [(third, "Attention", 9)],
    }


def test_without_pictures_there_is_a_report_without_evidence() -> None:
    files = made(pictures=())
    assert list(files) == ["report.dcm"]
    report = read(files["report.dcm"])
    assert "CurrentRequestedProcedureEvidenceSequence" not in report
    assert report.StudyInstanceUID != "2.25.0"
    assert len(groups(files["report.dcm"])) == 6


def test_the_same_input_gives_the_same_bytes() -> None:
    assert made() == made()


@pytest.mark.parametrize(
    "other",
    [
        {"prediction": predicted("study-0000000000")},
        {"prediction": predicted(count=8), "pictures": (), "reader": None},
        {"when": WHEN + timedelta(seconds=1)},
        {"reader": replace(READER, note="other")},
        {"pictures": PICTURES[::-1]},
    ],
    ids=["study", "slices", "moment", "note", "pictures"],
)
def test_another_input_gives_other_uids(files: dict[str, bytes], other: dict[str, Any]) -> None:
    shared = identities(files) & identities(made(**other))
    device = items(read(files["report.dcm"]), "Device Observer UID")[0].UID
    assert shared == {device}


def test_another_key_gives_other_uids(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = identities(files)
    monkeypatch.setenv("HEMODETECT_PSEUDONYM_KEY", "another key of some length, as is asked for")
    settings.cache_clear()
    try:
        assert not first & identities(made())
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_uids_are_valid_and_each_a_uuid_of_version_8(files: dict[str, bytes]) -> None:
    found = identities(files)
    assert len(found) == 14  # 3 captures, report, 2 series, study, device, 6 groups
    for uid in found:
        assert pydicom.uid.UID(uid).is_valid
        number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
        assert (number.variant, number.version) == (uuid.RFC_4122, 8)


def test_nothing_of_the_files_that_were_read_is_in_the_results() -> None:
    for data in made(reader=None).values():
        assert b"MUELLER" not in data.upper()
        assert b"HANS" not in data.upper()


def test_the_only_names_are_the_pseudonym_and_reader(files: dict[str, bytes]) -> None:
    names = {
        str(element.value)
        for data in files.values()
        for element in everything(read(data))
        if element.VR == "PN" and element.value
    }
    assert names == {"study-7f3a9c21d0", "reader^"}


def test_a_hostile_note_is_taken_cut_and_without_what_dicom_forbids() -> None:
    data = made(reader=replace(READER, note=HOSTILE))["report.dcm"]
    group = groups(data)["Reader"]
    (note,) = texts(group, "Comment")
    assert NOTE_LENGTH - 2 <= len(note) <= NOTE_LENGTH
    assert note.startswith("[31m\\\\ <script> \r\n\r\n\r\n\r\n🧠👩🏽‍⚕️ İ漢字 [31m")
    assert note.endswith("…")
    assert not {c for c in note if (ord(c) < 32 or 127 <= ord(c) < 160) and c not in "\r\n"}
    assert "\u202e" not in note


def test_a_hostile_method_becomes_a_short_line_or_not_stated() -> None:
    pictures = tuple(replace(picture(8), method=method) for method in (HOSTILE, "\x00"))
    shown = items(groups(made(pictures=pictures)["report.dcm"])["CNN"], "Visual explanation")
    (long_method,), (no_method,) = (texts(image, "Method of the heat map") for image in shown)
    assert len(long_method) <= 64
    assert "\n" not in long_method
    assert no_method == "not stated"


def test_pictures_with_an_overlay_are_exported_and_the_others_are_left_out() -> None:
    rgb = np.full((4, 4, 3), 7, np.uint8)
    grey = np.zeros((4, 4), np.uint8)
    given = (SlicePicture(8, grey, None, 0.9), SlicePicture(3, grey, rgb, 0.8))
    files = made(pictures=given)
    assert sorted(files) == ["overlay-01.dcm", "report.dcm"]
    image = read(files["overlay-01.dcm"])
    assert "Grad-CAM" in image.DerivationDescription
    assert "CNN" in image.DerivationDescription
    assert "slice 4 of 9" in image.DerivationDescription
    np.testing.assert_array_equal(image.pixel_array, rgb)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"when": WHEN.replace(tzinfo=None)}, "expected a time with its time zone"),
        ({"prediction": replace(predicted(), families={}), "pictures": ()}, "has no model"),
        ({"pictures": (replace(picture(1), overlay=np.zeros((4, 4), np.uint8)),)}, "picture 1 is"),
        (
            {"pictures": (replace(picture(1), overlay=np.zeros((4, 4, 3))),)},
            "picture 1 is .* float64",
        ),
        ({"pictures": (picture(8), picture(9))}, "picture 2 is of slice 9; expected 0 to 8"),
        ({"pictures": (picture(1, "forest"),)}, "picture 1 explains 'forest'"),
        ({"reader": replace(READER, slices=(9, 10))}, "names slice 10; expected 1 to 9"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_with_what_was_expected(
    other: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(**other)


@pytest.mark.parametrize(
    "change",
    [{"call": "maybe"}, {"confidence": 6}, {"slices": (0,)}, {"types": (HOSTILE,)}],
    ids=["call", "confidence", "slice", "type"],
)
def test_a_call_that_no_reader_can_make_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ReviewError):
        made(reader=replace(READER, **change))


@pytest.fixture(scope="module")
def dciodvfy() -> str:
    """The validator of Debian's dicom3tools; skips where it is absent, unless it is required."""
    found = shutil.which("dciodvfy")
    if found is None:
        reason = "dciodvfy is not installed (Debian package dicom3tools)"
        if os.environ.get("HEMODETECT_REQUIRE_DCIODVFY"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: made(), id="all"),
        pytest.param(
            lambda: made(predicted(count=1), (picture(0, shape=(512, 512)),), None, WHEN), id="one"
        ),
        pytest.param(
            lambda: made(pictures=(), reader=replace(READER, note=HOSTILE), when=datetime.now(UTC)),
            id="hostile",
        ),
    ],
)
def test_dciodvfy_finds_no_error(
    dciodvfy: str, make: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    for name, data in make().items():
        (tmp_path / name).write_bytes(data)
        checked = subprocess.run(
            [dciodvfy, tmp_path / name],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        lines = (checked.stdout + checked.stderr).splitlines()
        kind = "ComprehensiveSR" if name == "report.dcm" else "SCImage"
        assert kind in lines
        assert [line for line in lines if line.startswith("Error")] == []
