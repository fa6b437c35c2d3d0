"""What a browser may fetch of an open study, and that it is the right pixels."""

from __future__ import annotations

import gc
import re
import zlib

import numpy as np
import pytest

from hemodetect.imaging.study import Slice, SliceGeometry
from hemodetect.viewer.store import MOST_SLICES, HeatMaps, NothingToShow, OpenStudies, OpenStudy

MIRRORED = SliceGeometry(
    0.0, (0.0, 0.0, -1.0), 1.0, 1.0, 5.0, (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)
)


def study(*slices: np.ndarray, units: str = "HU", geometry: SliceGeometry | None = None):
    images = tuple(Slice(values, units, str(n), geometry) for n, values in enumerate(slices))
    return OpenStudy(images, "owner")


def test_hounsfield_units_come_as_int16_in_order() -> None:
    values = [
        np.array([[-1000.4, 39.6], [70000.0, -70000.0]], np.float32),
        np.zeros((2, 2), np.int16),
    ]
    sent = np.frombuffer(zlib.decompress(study(*values).pixels(0, 1)), "<i2")
    assert sent.tolist() == [-1000, 40, 32767, -32768, 0, 0, 0, 0]


def test_grey_pictures_come_as_bytes() -> None:
    opened = study(np.array([[1, 2], [3, 255]], np.uint8), units="grey")
    assert opened.pixel_type == "uint8"
    assert zlib.decompress(opened.pixels(0, 0)) == bytes([1, 2, 3, 255])


def test_pixels_and_maps_are_turned_alike() -> None:
    opened = study(np.array([[1, 2], [3, 4]], np.int16), geometry=MIRRORED)
    assert np.frombuffer(zlib.decompress(opened.pixels(0, 0)), "<i2").tolist() == [2, 1, 4, 3]
    opened.maps = {"a": HeatMaps("A", "", lambda: np.array([[[0.0, 1.0]]]))}
    content, shape = opened.heat("a", None)
    assert shape == (1, 2)
    assert zlib.decompress(content) == bytes([255, 0])


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (1, 0), (0, 40), (0, MOST_SLICES)])
def test_slices_that_are_not_there_are_not_sent(first: int, last: int) -> None:
    opened = study(*[np.zeros((1, 1), np.int16)] * (MOST_SLICES + 3))
    with pytest.raises(NothingToShow):
        opened.pixels(first, last)


@pytest.mark.parametrize(
    ("method", "index"), [("a", 0), ("b", None), ("b", 1), ("b", -1), ("c", None)]
)
def test_maps_that_are_not_there_are_not_sent(method: str, index: int | None) -> None:
    opened = study(np.zeros((1, 1), np.int16))
    opened.maps = {
        "a": HeatMaps("A", "", all_slices=lambda: np.zeros((1, 1, 1))),
        "b": HeatMaps("B", "", one_slice=lambda _: np.zeros((1, 1))),
    }
    with pytest.raises(NothingToShow):
        opened.heat(method, index)
    assert opened.heat("b", 0)[1] == (1, 1)


def test_no_maps_before_they_are_given() -> None:
    with pytest.raises(NothingToShow):
        study(np.zeros((1, 1), np.int16)).heat("blood-map", None)


def test_only_the_owner_gets_a_study_and_only_while_it_is_open() -> None:
    studies, opened = OpenStudies(), study(np.zeros((1, 1), np.int16))
    studies.add(opened)
    assert studies.get(opened.token, "owner") is opened
    for token, owner in ((opened.token, "other"), (opened.token, ""), ("guess", "owner")):
        with pytest.raises(NothingToShow):
            studies.get(token, owner)
    studies.close(opened)
    with pytest.raises(NothingToShow):
        studies.get(opened.token, "owner")


def test_a_browser_without_a_secret_owns_nothing() -> None:
    studies = OpenStudies()
    opened = OpenStudy((Slice(np.zeros((1, 1), np.uint8), "grey", "a"),), "")
    studies.add(opened)
    with pytest.raises(NothingToShow):
        studies.get(opened.token, "")


def test_a_study_is_gone_with_its_session() -> None:
    studies, opened = OpenStudies(), study(np.zeros((1, 1), np.int16))
    studies.add(opened)
    token = opened.token
    del opened
    gc.collect()
    with pytest.raises(NothingToShow):
        studies.get(token, "owner")


def test_addresses_cannot_be_guessed() -> None:
    tokens = {study(np.zeros((1, 1), np.int16)).token for _ in range(50)}
    assert len(tokens) == 50
    # 192 bits; Streamlit refuses a component whose key holds "__", as one of 60 tokens once made it.
    assert all(re.fullmatch("[0-9a-f]{48}", token) for token in tokens)
