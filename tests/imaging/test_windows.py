"""From HU to grey: values at the edges of a window, and what the models see."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.imaging.study import Slice
from hemodetect.imaging.windows import BRAIN, FULL_GREY, WINDOWS_HU, Window, brain_grey, windowed


@pytest.mark.parametrize("name", WINDOWS_HU)
def test_a_window_goes_from_black_to_white_over_its_width(name: str) -> None:
    window = WINDOWS_HU[name]
    low, high = window.level - window.width / 2, window.level + window.width / 2
    values = np.array([-32768, low - 1, low, window.level, high, high + 1, 32767], np.float32)
    assert windowed(values, window).tolist() == [0, 0, 0, 128, 255, 255, 255]


def test_the_brain_window_is_0_to_80_hu() -> None:
    values = np.array([-1, 0, 20, 40, 60, 80, 81], np.int16)
    assert windowed(values, BRAIN).tolist() == [0, 0, 64, 128, 191, 255, 255]


def test_integers_do_not_overflow_at_the_ends_of_their_range() -> None:
    values = np.array([[-32768, 32767]], np.int16)
    grey = windowed(values, WINDOWS_HU["bone"])
    assert grey.dtype == np.uint8
    assert grey.tolist() == [[0, 255]]


def test_brighter_tissue_is_never_shown_darker() -> None:
    grey = windowed(np.arange(-1100, 3100, dtype=np.int16), Window(200, 80))
    assert np.diff(grey.astype(int)).min() >= 0


def test_the_full_grey_window_leaves_pictures_as_they_are() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(windowed(grey, FULL_GREY), grey)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_the_models_see_hu_in_the_brain_window(kind: type) -> None:
    grey = brain_grey(Slice(np.array([[-1000, 0], [40, 500]], kind), "HU", "1.dcm"))
    assert grey.dtype == np.uint8
    assert grey.tolist() == [[0, 0], [128, 255]]


def test_the_models_see_the_grey_of_a_picture_untouched() -> None:
    grey = np.array([[0, 41], [80, 255]], np.uint8)
    np.testing.assert_array_equal(brain_grey(Slice(grey, "grey", "1.png")), grey)
