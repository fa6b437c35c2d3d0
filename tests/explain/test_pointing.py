"""A map points at a bleed where its maximum lies in a box."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.explain.pointing import chance, points_at

BOX = [0.5, 0.25, 0.75, 0.5]


@pytest.mark.parametrize(
    ("row", "column", "hit"), [(30, 60, True), (30, 20, False), (60, 60, False), (49, 74, True)]
)
def test_the_maximum_decides(row: int, column: int, hit: bool) -> None:
    heat = np.zeros((100, 100), np.float32)
    heat[row, column] = 1
    heat[31, 61] = 0.5
    assert points_at(heat, [[0.0, 0.9, 0.1, 1.0], BOX]) == hit


def test_a_box_is_grown_a_little() -> None:
    heat = np.zeros((512, 512), np.float32)
    heat[256 + 6, 300] = 1
    assert points_at(heat, [BOX])
    heat[256 + 10, 300] = 2
    assert not points_at(heat, [BOX])


def test_a_map_without_heat_points_nowhere() -> None:
    assert not points_at(np.zeros((10, 10), np.float32), [[0, 0, 1, 1]])


def test_chance_is_the_share_of_the_head_in_the_boxes() -> None:
    head = np.zeros((100, 100), bool)
    head[:, 50:] = True
    grown = (0.25 + 2 * 8 / 512) * (0.25 + 2 * 8 / 512)
    assert chance(head, [BOX]) == pytest.approx(grown / 0.5, rel=0.15)
    assert chance(np.zeros((10, 10), bool), [BOX]) == 0
