"""Input that is no head CT in a brain window is repaired or stopped; a doubtful one has a caution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_studies import PIXEL_MM, STEP_MM, positions, slice_hu

from hemodetect.imaging import read_study
from hemodetect.imaging.study import Series, Slice, SliceGeometry, Study, Units
from hemodetect.imaging.windows import BRAIN, Window, windowed
from hemodetect.inputcheck import checked_study
from hemodetect.inputcheck.check import CONTRAST_GIVEN
from hemodetect.inputcheck.hounsfield import NO_BRAIN, OTHER_PART
from hemodetect.inputcheck.pictures import COLOURED, FILM_SHEET, NEGATIVE, OTHER_WINDOW

SHARED = Path(__file__).parents[3] / "shared"
HEAD = [slice_hu(z) for z in positions()]


def study(images: list[np.ndarray], units: Units = "HU", **series) -> Study:
    heights = series.pop("heights", positions())
    coloured = series.pop("coloured", False)
    slices = []
    for number, values in enumerate(images):
        geometry = None
        if units == "HU":
            z = heights[number]
            geometry = SliceGeometry(z, (0.0, 0.0, 1.0), PIXEL_MM, PIXEL_MM, STEP_MM)
        slices.append(Slice(values, units, f"{number}", geometry, coloured))
    return Study("S", (Series("R", "slices", tuple(slices), **series),))


def pictures(window: Window = BRAIN) -> list[np.ndarray]:
    return [windowed(hu, window) for hu in HEAD]


def trunk(lungs: bool) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64] * 6.0 - 192
    hu = np.where(np.hypot(rows / 110, columns / 165) < 1, 45, -1000)
    for side in (-80, 80):
        lung = np.hypot(rows / 70, (columns - side) / 55) < 1
        hu[lung & lungs] = -800
    hu[np.hypot(rows - 70, columns) < 18] = 500
    return hu.astype(np.int16)


def test_a_head_and_its_pictures_pass_without_a_word() -> None:
    for one in (study(HEAD), study(pictures(), "grey")):
        checked = checked_study(one)
        assert (checked.stopped, checked.cautions, checked.study) == (None, (), one)


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (lambda hu: np.where(hu < 0, hu + 4096, hu), "stored modulo 4096"),
        (lambda hu: hu + 1024, "lacks the intercept of -1024"),
    ],
    ids=["wrapped", "without intercept"],
)
def test_values_are_repaired_where_that_is_certain(stored, sentence: str) -> None:
    head = [np.maximum(hu, -1024) for hu in HEAD]
    checked = checked_study(study([stored(hu).astype(np.int16) for hu in head]))
    assert checked.stopped is None
    assert sentence in checked.cautions[0]
    for image, hu in zip(checked.study.slices, head, strict=True):
        np.testing.assert_array_equal(image.values, hu)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([hu // 2 for hu in HEAD], "Air around the head has -500 Hounsfield units"),
        ([hu + 300 for hu in HEAD], "Air around the head has -700"),
        ([np.where(hu > -100, hu + 50, hu) for hu in HEAD], "The brain has 82 Hounsfield"),
        (31 * [trunk(lungs=True)], OTHER_PART),
        (31 * [trunk(lungs=False)], OTHER_PART),
        ([slice_hu(z) for z in positions(-160, -10)], NO_BRAIN),
    ],
    ids=["half", "shifted", "dense brain", "chest", "abdomen", "neck"],
)
def test_what_is_no_head_in_hounsfield_units_is_stopped(images, reason: str) -> None:
    one = study(images)
    if images[0] is images[-1]:
        slices = [
            replace(s, geometry=replace(s.geometry, row_spacing_mm=6, column_spacing_mm=6))
            for s in one.slices
        ]
        one = replace(one, series=(replace(one.series[0], slices=tuple(slices)),))
    checked = checked_study(one)
    assert checked.stopped is not None
    assert reason in checked.stopped
    assert checked.cautions == ()


def sheet() -> np.ndarray:
    rows = [np.hstack(pictures()[6 + 4 * n : 10 + 4 * n]) for n in range(4)]
    return np.vstack(rows)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (pictures(Window(2000, 400)), OTHER_WINDOW),
        (pictures(Window(4000, 500)), OTHER_WINDOW),
        ([255 - image for image in pictures()], NEGATIVE),
        ([sheet()], FILM_SHEET),
    ],
    ids=["bone window", "wide window", "negative", "sheet"],
)
def test_pictures_in_another_form_are_stopped_with_what_to_do(images, reason: str) -> None:
    assert checked_study(study(images, "grey")).stopped == reason


def test_pictures_whose_channels_differ_are_stopped() -> None:
    assert checked_study(study(pictures(), "grey", coloured=True)).stopped == COLOURED


@pytest.mark.parametrize("window", [BRAIN, Window(100, 40), Window(120, 50), Window(60, 35)])
def test_windows_of_the_brain_are_read(window: Window) -> None:
    assert checked_study(study(pictures(window), "grey")).stopped is None


def test_contrast_in_the_header_is_cautioned() -> None:
    assert checked_study(study(HEAD, contrast=True)).cautions == (CONTRAST_GIVEN,)


def test_a_gap_between_slices_is_named() -> None:
    remaining = [n for n in range(31) if n not in (12, 13, 20)]
    heights = [positions()[n] for n in remaining]
    (caution,) = checked_study(study([HEAD[n] for n in remaining], heights=heights)).cautions
    assert "between slices 12 and 13 (15.0 mm), between slices 18 and 19 (10.0 mm)" in caution
    assert "the others are 5.0 mm apart" in caution


def test_thin_slices_at_the_base_and_thick_ones_above_are_no_gap() -> None:
    heights = [*positions(0, 50, 4), *positions(58, 150, 8)]
    one = study([slice_hu(z) for z in heights], heights=heights)
    slices = [
        replace(s, geometry=replace(s.geometry, thickness_mm=4.0 if z <= 50 else 8.0))
        for s, z in zip(one.slices, heights, strict=True)
    ]
    assert (
        checked_study(replace(one, series=(replace(one.series[0], slices=tuple(slices)),))).cautions
        == ()
    )


def test_missing_numbers_of_pictures_are_named() -> None:
    numbers = tuple(float(n) for n in range(34) if n not in (7, 8, 9))
    (caution,) = checked_study(study(pictures(), "grey", numbers=numbers)).cautions
    assert "between slices 7 and 8 (numbers 6 and 10 of the files)" in caution


def test_too_few_slices_are_cautioned() -> None:
    cautions = checked_study(study(pictures()[10:13], "grey")).cautions
    assert "The series has 3 slices" in cautions[0]


CASES = {
    "wrapped-12-bit": (None, "stored modulo 4096"),
    "chest-ct": (OTHER_PART, ""),
    "bone-window-pictures": (OTHER_WINDOW, ""),
    "film-sheet": (FILM_SHEET, ""),
    "three-slices-missing": (None, "between slices 5 and 6 (20.0 mm)"),
    "contrast-given": (None, CONTRAST_GIVEN),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_that_once_went_wrong_are_checked_rightly(name: str) -> None:
    file = SHARED / "cases" / f"{name}.zip"
    if not file.is_file():
        pytest.skip("the cases are not beside the repository (shared/cases)")
    stop, caution = CASES[name]
    checked = checked_study(read_study(file))
    assert checked.stopped == stop
    assert caution in " ".join(checked.cautions)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("near-east/NORMAL/*", 27),
        ("near-east/Hemorrhagic/KANAMA/*", 18),
        ("ct-ich/Patients_CT/*", 55),
        ("dicom-ge-head", 1),
    ],
)
def test_no_real_head_is_stopped(pattern: str, count: int) -> None:
    folders = sorted((SHARED / "data").glob(pattern))
    if not folders:
        pytest.skip("the image sets are not beside the repository (shared/data)")
    stopped = {
        folder.name: checked.stopped
        for folder in folders
        if (checked := checked_study(read_study(folder))).stopped
    }
    assert (len(folders), stopped) == (count, {})
