"""The DICOM results of a study as one set: file names, UIDs, names of persons, and validity."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_result_files import (
    HOSTILE,
    PICTURES,
    READER,
    WHEN,
    all_elements,
    items,
    picture,
    predicted,
    read,
    results_of,
    uids_of,
)
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from hemodetect import __version__
from hemodetect.reviews.session import ReviewError
from hemodetect.settings import settings


def test_files_are_named_in_the_order_of_the_pictures_and_the_report_comes_last(
    result_files: dict[str, bytes],
) -> None:
    assert list(result_files) == [
        "overlay-01.dcm",
        "overlay-02.dcm",
        "overlay-03.dcm",
        "report.dcm",
    ]
    classes = [read(data).SOPClassUID for data in result_files.values()]
    assert classes == [SecondaryCaptureImageStorage] * 3 + [ComprehensiveSRStorage]


@pytest.mark.parametrize("name", ["overlay-01.dcm", "report.dcm"])
def test_every_file_carries_pseudonym_maker_and_moment(
    result_files: dict[str, bytes], name: str
) -> None:
    data_set = read(result_files[name])
    assert data_set.PatientID == data_set.PatientName == data_set.StudyID == "study-7f3a9c21d0"
    assert data_set.PatientBirthDate == data_set.PatientSex == ""
    assert (data_set.Manufacturer, data_set.SoftwareVersions) == ("hemodetect", __version__)
    assert (data_set.ContentDate, data_set.ContentTime) == ("20260304", "150607")
    assert data_set.TimezoneOffsetFromUTC == "-0330"
    assert data_set.SpecificCharacterSet == "ISO_IR 192"
    assert data_set.ContentQualification == "RESEARCH"


def test_the_same_input_gives_the_same_bytes() -> None:
    assert results_of() == results_of()


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": predicted("study-0000000000")},
        {"prediction": predicted(count=8), "pictures": (), "reader": None},
        {"when": WHEN + timedelta(seconds=1)},
        {"reader": replace(READER, note="other")},
        {"pictures": PICTURES[::-1]},
    ],
    ids=["study", "slices", "moment", "note", "pictures"],
)
def test_another_input_gives_other_uids(
    result_files: dict[str, bytes], change: dict[str, Any]
) -> None:
    shared = uids_of(result_files) & uids_of(results_of(**change))
    device = items(read(result_files["report.dcm"]), "Device Observer UID")[0].UID
    assert shared == {device}


def test_another_key_gives_other_uids(
    result_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = uids_of(result_files)
    monkeypatch.setenv("HEMODETECT_PSEUDONYM_KEY", "another key of some length, as is asked for")
    settings.cache_clear()
    try:
        assert not first & uids_of(results_of())
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_uids_are_valid_and_each_a_uuid_of_version_8(result_files: dict[str, bytes]) -> None:
    uids = uids_of(result_files)
    assert len(uids) == 14  # 3 captures, report, 2 series, study, device, 6 groups
    for uid in uids:
        assert pydicom.uid.UID(uid).is_valid
        number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
        assert (number.variant, number.version) == (uuid.RFC_4122, 8)


def test_nothing_of_the_files_that_were_read_is_in_the_results() -> None:
    for data in results_of(reader=None).values():
        assert b"MUELLER" not in data.upper()
        assert b"HANS" not in data.upper()


def test_the_only_names_are_the_pseudonym_and_reader(result_files: dict[str, bytes]) -> None:
    names = {
        str(element.value)
        for data in result_files.values()
        for element in all_elements(read(data))
        if element.VR == "PN" and element.value
    }
    assert names == {"study-7f3a9c21d0", "reader^"}


@pytest.mark.parametrize(
    ("change", "message"),
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
def test_an_impossible_argument_is_refused_with_what_was_expected(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        results_of(**change)


@pytest.mark.parametrize(
    "change",
    [{"call": "maybe"}, {"confidence": 6}, {"slices": (0,)}, {"types": (HOSTILE,)}],
    ids=["call", "confidence", "slice", "type"],
)
def test_a_call_that_no_reader_can_make_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ReviewError):
        results_of(reader=replace(READER, **change))


@pytest.fixture(scope="module")
def dciodvfy() -> str:
    """The validator of Debian's dicom3tools; skips where it is absent, unless it is required."""
    program = shutil.which("dciodvfy")
    if program is None:
        reason = "dciodvfy is not installed (Debian package dicom3tools)"
        if os.environ.get("HEMODETECT_REQUIRE_DCIODVFY"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: results_of(), id="all"),
        pytest.param(
            lambda: results_of(predicted(count=1), (picture(0, shape=(512, 512)),), None, WHEN),
            id="one",
        ),
        pytest.param(
            lambda: results_of(
                pictures=(), reader=replace(READER, note=HOSTILE), when=datetime.now(UTC)
            ),
            id="hostile",
        ),
    ],
)
def test_dciodvfy_finds_no_error(
    dciodvfy: str, make: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    for name, data in make().items():
        (tmp_path / name).write_bytes(data)
        validation = subprocess.run(
            [dciodvfy, tmp_path / name],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        lines = (validation.stdout + validation.stderr).splitlines()
        kind = "ComprehensiveSR" if name == "report.dcm" else "SCImage"
        assert kind in lines
        assert [line for line in lines if line.startswith("Error")] == []
