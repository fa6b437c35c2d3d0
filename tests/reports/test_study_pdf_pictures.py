"""Slices and heat maps in the PDF report of one study."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from study_pdfs import cards_of, images, pdf_of, picture_of, predicted, words

from hemodetect.explain.overlay import heatmap_overlay
from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.reports.study_pictures import PICTURE_SIDE, slice_pictures


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
    without = words(pdf_of(pictures=[picture_of(heat_map=False)]))
    assert "strongest in this study" not in without
    assert "There are no heat maps" in without


def test_a_slice_without_a_heat_map_among_others_says_so():
    pdf = pdf_of(pictures=[picture_of(), picture_of(index=5, heat_map=False)])
    assert "no heat map" in words(pdf)
    assert len(images(pdf)) == 4


def test_the_window_of_the_pictures_is_named():
    pictures = [picture_of(heat_map=False)]
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


def test_large_pictures_are_made_smaller():
    arrays = images(pdf_of(pictures=[picture_of((2000, 1000))]))
    assert (
        sorted(image.shape[:2] for image in arrays)[1:] == [(PICTURE_SIDE, PICTURE_SIDE // 2)] * 2
    )
