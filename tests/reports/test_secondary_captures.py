"""Pictures of the results as secondary captures: their pixels and what they say."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_result_files import PICTURES, read, results_of

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.reports.study_pictures import SlicePicture


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_capture_holds_the_exact_pixels_also_of_a_picture_of_odd_size(
    result_files: dict[str, bytes], number: int
) -> None:
    image = read(result_files[f"overlay-{number:02d}.dcm"])
    assert image.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(image.pixel_array, PICTURES[number - 1].overlay)


def test_a_capture_says_what_it_shows_and_that_it_is_for_research_only(
    result_files: dict[str, bytes],
) -> None:
    image = read(result_files["overlay-03.dcm"])
    assert "BurnedInAnnotation" not in image  # nobody has looked for any
    for text in (image.ImageComments, image.DerivationDescription):
        assert RESEARCH_USE_ONLY in text
        assert "Heat map (Attention) of the Attention RNN model over slice 9 of 9" in text
    assert image.SeriesDescription == "hemodetect heat maps, research use only, not for care"


def test_a_capture_claims_no_side_of_the_patient(result_files: dict[str, bytes]) -> None:
    assert not read(result_files["overlay-01.dcm"]).PatientOrientation


def test_pictures_with_an_overlay_are_exported_and_the_others_are_left_out() -> None:
    rgb = np.full((4, 4, 3), 7, np.uint8)
    grey = np.zeros((4, 4), np.uint8)
    pictures = (SlicePicture(8, grey, None, 0.9), SlicePicture(3, grey, rgb, 0.8))
    files = results_of(pictures=pictures)
    assert sorted(files) == ["overlay-01.dcm", "report.dcm"]
    image = read(files["overlay-01.dcm"])
    assert "Grad-CAM" in image.DerivationDescription
    assert "CNN" in image.DerivationDescription
    assert "slice 4 of 9" in image.DerivationDescription
    np.testing.assert_array_equal(image.pixel_array, rgb)
