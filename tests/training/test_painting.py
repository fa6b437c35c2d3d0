"""Painted bleeds lie inside the skull, are brighter than the tissue, and a map shows where they are."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_skulls import drawn_series

from hemodetect.preprocessing.model_input import resized
from hemodetect.preprocessing.standard_head import standard_series
from hemodetect.training import painting
from hemodetect.training.painting import inside_skull, painted


@pytest.fixture(scope="module")
def slice_() -> np.ndarray:
    return standard_series(drawn_series(9, 1)).grey[4]


@pytest.fixture(scope="module")
def inside(slice_: np.ndarray) -> np.ndarray:
    mask = inside_skull(slice_)
    assert mask is not None
    return mask


def test_the_inside_of_the_skull_is_brain_and_no_bone(slice_, inside) -> None:
    small = resized(slice_, painting.SIDE)
    assert small[inside].max() < painting.BONE
    assert 0.4 < inside.sum() / (small > 20).sum() < 0.9


def test_an_open_skull_has_no_inside() -> None:
    grey = np.full((112, 112), 90, np.uint8)
    assert inside_skull(grey) is None


def test_a_painted_bleed_is_brighter_where_it_is_said_to_be_and_nowhere_outside(
    slice_, inside
) -> None:
    random = np.random.default_rng(3)
    paintings = [f for f in (painted(slice_, inside, random) for _ in range(60)) if f is not None]
    assert len(paintings) > 30
    side = len(slice_)
    within = resized(inside.astype(np.uint8) * 255, side) > 0
    for image, lesion in paintings:
        changed = image.astype(int) - slice_
        assert (changed[lesion > 0.5] > 0).all()
        assert lesion[~within].max() == 0
        assert (np.abs(changed)[~within] <= 1).all()
        assert 0 < (lesion > 0.5).sum() < 0.45 * within.sum() or lesion.max() <= 0.5


@pytest.mark.parametrize("kind", sorted(painting._KINDS_DRAWN))
def test_every_kind_can_be_painted(monkeypatch, slice_, inside, kind) -> None:
    monkeypatch.setattr(painting, "_KINDS_DRAWN", {kind: 1.0})
    random = np.random.default_rng(0)
    assert any(painted(slice_, inside, random) is not None for _ in range(20))
