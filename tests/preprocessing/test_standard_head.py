"""The standard slice shows every head upright, centred and in one size, however it lay."""

from __future__ import annotations

import numpy as np
from drawn_skulls import drawn_series
from scipy.ndimage import binary_opening

from hemodetect.preprocessing.standard_head import STANDARD_SIDE, in_source, standard_series


def test_pose_size_and_rest_leave_no_trace() -> None:
    plain = standard_series(drawn_series(9, 1))
    moved = standard_series(
        drawn_series(9, 2, turn_degrees=20, shift=(-14, 10), scale=0.85, rest=True)
    )
    apart = np.abs(plain.grey[4].astype(int) - moved.grey[4].astype(int))
    assert np.median(apart) < 8
    assert (apart > 60).mean() < 0.05


def test_the_level_of_brain_is_that_of_the_series() -> None:
    assert abs(standard_series(drawn_series(9, 1, brain=90)).level - 90) < 4
    dark, bright = (standard_series(drawn_series(9, 1, brain=b)) for b in (90, 140))
    middle = slice(STANDARD_SIDE // 2 + 18, STANDARD_SIDE // 2 + 26)
    levels = [s.normalised()[4, middle, middle].mean() for s in (dark, bright)]
    assert abs(levels[0] - levels[1]) < 0.1


def test_no_head_is_found_in_an_empty_slice() -> None:
    grey = drawn_series(9, 1)
    grey[0] = 0
    standard = standard_series(grey)
    assert list(standard.head_found) == [False] + [True] * 8
    assert standard.grey[0].max() == 0
    empty = standard_series(np.zeros((2, 244, 244), np.uint8))
    assert not empty.head_found.any()
    assert np.isfinite(empty.normalised()).all()


def test_a_map_goes_back_to_where_the_head_lies() -> None:
    grey = drawn_series(9, 3, turn_degrees=15, shift=(12, -9), bleed=True)
    standard = standard_series(grey)
    level = standard.normalised()[4]
    heat = binary_opening((level > 0.6) & (level < 1.7), iterations=2).astype(np.float32)
    map_in_source = in_source(heat[None], standard.affine[[4]])[0]
    bleed_in_source = binary_opening((grey[4] > 165) & (grey[4] < 195), iterations=4)
    for axis in (0, 1):
        expected, mapped = (
            np.nonzero(mask)[axis].mean() for mask in (bleed_in_source, map_in_source > 0.5)
        )
        assert abs(expected - mapped) < 3
