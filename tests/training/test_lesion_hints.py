"""Hints of where blood is, from boxes and from another network's map."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from drawn_skulls import drawn_series

from hemodetect.preprocessing.standard_head import SOURCE_SIDE, standard_series
from hemodetect.training.lesion_hints import lesion_hint, slice_hints, standard_hint

BOX = [0.5, 0.25, 0.75, 0.5]


def test_a_normal_slice_is_known_to_be_free_of_blood() -> None:
    target, weight, region = lesion_hint(0, [], None)
    assert target.max() == region.max() == 0
    assert weight.min() == 1


def test_in_a_box_there_is_blood_somewhere_and_little_outside() -> None:
    target, weight, region = lesion_hint(1, [BOX], None)
    assert region[48, 80] == 1
    assert region[48, 40] == region[100, 80] == 0
    assert target.max() == 0
    assert weight[48, 80] == 0
    assert 0 < weight[48, 40] < 1


def test_a_map_counts_in_the_box_by_how_sure_it_is_and_nowhere_else() -> None:
    peer = np.zeros((128, 128), np.uint8)
    peer[40:50, 70:80], peer[40:50, 80:90] = 255, 128
    peer[100:110, 10:20] = 255
    target, weight, _ = lesion_hint(1, [BOX], peer)
    assert target[45, 75] == 1
    assert weight[45, 75] == 1
    assert weight[45, 85] < 0.05
    assert target[105, 15] == 0


def test_a_map_without_a_box_counts_less() -> None:
    peer = np.full((64, 64), 255, np.uint8)
    target, weight, region = lesion_hint(1, [], peer)
    assert target.min() == region.min() == 1
    assert weight.max() == 0.5


def test_boxes_are_in_pixels_of_the_file() -> None:
    table = pd.DataFrame(
        {
            "label": [1, 0, 1],
            "rows": 400,
            "columns": 200,
            "boxes": [json.dumps([[100, 100, 150, 200]]), "", ""],
        }
    )
    hints = slice_hints(table, {})
    assert sorted(hints) == [0, 2]
    np.testing.assert_array_equal(hints[0], lesion_hint(1, [BOX], None))
    assert hints[2][2].min() == 1


@pytest.mark.parametrize("turn", [0.0, 12.0])
def test_a_hint_lies_on_the_bleed_in_the_standard_frame(turn: float) -> None:
    grey = drawn_series(9, 3, bleed=True, turn_degrees=turn, shift=(9, -14))
    series = standard_series(grey)
    bright = grey[4] > 165
    bright &= grey[4] < 220
    hint = np.zeros((3, 128, 128), np.float32)
    rows, columns = (np.median(axis) * 128 / SOURCE_SIDE for axis in np.nonzero(bright))
    hint[0, int(rows) - 5 : int(rows) + 6, int(columns) - 5 : int(columns) + 6] = 1
    moved = standard_hint(hint, series.affine[4])
    assert moved.shape == (3, 48, 48)
    row, column = (int(np.median(axis)) for axis in np.nonzero(moved[0] > 128))
    around = series.grey[4][4 * row - 6 : 4 * row + 6, 4 * column - 6 : 4 * column + 6]
    assert np.median(around) > 165
