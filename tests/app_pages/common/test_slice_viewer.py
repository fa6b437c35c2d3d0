"""The viewer's page takes from a browser only places that the study has."""

from __future__ import annotations

import numpy as np
import pytest

from app_pages.common.slice_viewer import _stored_mark
from hemodetect.imaging.study import Slice, SliceGeometry
from hemodetect.viewer.store import OpenStudy

MIRRORED = SliceGeometry(
    0.0, (0.0, 0.0, -1.0), 1.0, 1.0, 5.0, (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)
)


def opened(geometry: SliceGeometry | None = None) -> OpenStudy:
    return OpenStudy((Slice(np.zeros((4, 6), np.int16), "HU", "a", geometry),) * 2, "owner")


def test_a_mark_is_kept_in_pixels_of_the_stored_slice() -> None:
    place = {"slice": 2, "row": 1, "column": 0}
    assert _stored_mark(place, opened()) == place
    assert _stored_mark(place, opened(MIRRORED)) == {"slice": 2, "row": 1, "column": 5}


@pytest.mark.parametrize(
    "place",
    [
        None,
        "here",
        [],
        {},
        {"slice": 0, "row": 1, "column": 1},
        {"slice": 3, "row": 1, "column": 1},
        {"slice": "1", "row": 1, "column": 1},
        {"slice": 1, "row": 4, "column": 1},
        {"slice": 1, "row": -1, "column": 1},
        {"slice": 1, "row": 1, "column": 6},
        {"slice": 1, "row": 1.5, "column": 1},
        {"slice": 1, "row": None, "column": 1},
        {"slice": 1, "row": [1], "column": {"a": 1}},
    ],
)
def test_a_place_that_is_not_there_is_no_mark(place: object) -> None:
    assert _stored_mark(place, opened()) is None
