"""A saved study comes back without names, and is deleted when its time is over."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from hemodetect.imaging.study import Series, Slice, SliceGeometry, Study
from hemodetect.reviews.saved import StudyGone, save_study, saved_studies, saved_study, sweep
from hemodetect.storage.people import NotAllowed, Person, local_person

pytestmark = pytest.mark.usefixtures("database")
NAME = "MUSTERMANN^ERIKA"


@pytest.fixture
def study() -> Study:
    """Three slices in HU, from files with a patient's name."""
    random = np.random.default_rng(0)
    slices = tuple(
        Slice(
            random.integers(-1000, 2000, (64, 48)).astype(np.int16),
            "HU",
            f"{NAME}/IM{number}",
            SliceGeometry(5.0 * number, (0.0, 0.1, 0.995), 0.45, 0.5, 5.0),
        )
        for number in range(3)
    )
    return Study("study-0123456789", (Series("series-1", "3 axial slices", slices),))


def test_a_study_comes_back_pixel_by_pixel_and_without_its_files_names(study: Study) -> None:
    key = save_study(study, local_person("Lena"))
    loaded = saved_study(key)
    assert loaded.id == study.id
    assert len(loaded.slices) == len(study.slices)
    for before, after in zip(study.slices, loaded.slices, strict=True):
        np.testing.assert_array_equal(before.values, after.values)
        assert (before.values.dtype, before.units, before.geometry) == (
            after.values.dtype, after.units, after.geometry,
        )  # fmt: skip
    assert [image.source for image in loaded.slices[:2]] == ["slice 1", "slice 2"]
    (file,) = saved_studies().iterdir()
    assert NAME.encode() not in file.read_bytes()


def test_a_study_is_swept_when_its_time_is_over_and_says_so(study: Study) -> None:
    key = save_study(study, local_person("Lena"))
    assert sweep() == 0
    assert sweep(datetime.now(UTC) + timedelta(days=91)) == 1
    with pytest.raises(StudyGone, match="at the end of their retention time"):
        saved_study(key)
    assert sweep(datetime.now(UTC) + timedelta(days=91)) == 0


def test_a_damaged_study_is_named_and_swept(study: Study) -> None:
    key = save_study(study, local_person("Lena"))
    (file,) = saved_studies().iterdir()
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(StudyGone, match="damaged"):
        saved_study(key)
    assert sweep() == 1


def test_a_key_that_is_a_path_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(StudyGone, match="not the key"):
        saved_study("../../etc/passwd")


def test_only_a_lead_saves(study: Study) -> None:
    with pytest.raises(NotAllowed):
        save_study(study, Person("Ada", frozenset({"reader"})))
    assert not saved_studies().exists()


def test_a_study_with_one_byte_changed_anywhere_never_breaks_the_sweep(study: Study) -> None:
    key = save_study(study, local_person("Lena"))
    (file,) = saved_studies().iterdir()
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 1500):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(StudyGone):
            saved_study(key)
        sweep()


def test_what_a_kill_left_half_saved_goes_after_a_day(study: Study) -> None:
    save_study(study, local_person("Lena"))
    half = saved_studies() / ".0123.partial"
    half.write_bytes(b"x")
    assert sweep() == 0
    assert half.exists()
    assert sweep(datetime.now(UTC) + timedelta(days=2)) == 0
    assert not half.exists()


def test_a_saved_study_keeps_what_the_check_and_the_models_need(database: str) -> None:
    image = Slice(np.zeros((4, 4), np.uint8), "grey", "1.png", is_coloured=True)
    series = Series(
        "series-1", "1 picture", (image,), cautions=("It covers 40 mm.",), is_ordered=False,
        contrast=True, numbers=(4711.0,),
    )  # fmt: skip
    loaded = saved_study(
        save_study(Study("study-0123456789", (series,)), local_person("Lena"))
    ).series[0]
    assert loaded.cautions == ("It covers 40 mm.",)
    assert (loaded.is_ordered, loaded.contrast) == (False, True)
    assert loaded.slices[0].is_coloured
    assert loaded.numbers == ()  # of file names, which may be a hospital's
