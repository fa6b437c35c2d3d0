"""Where a pixel lies in the patient, and where a map is highest."""

from __future__ import annotations

import numpy as np

from hemodetect.imaging.study import Slice, SliceGeometry
from hemodetect.viewer.places import Place, distance_mm, highest_place, millimetres


def at(z: float) -> Slice:
    geometry = SliceGeometry(
        z, (0.0, 0.0, 1.0), 0.5, 0.4, 5.0, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-100.0, -120.0, z)
    )
    return Slice(np.zeros((40, 60), np.int16), "HU", "a", geometry)


PICTURE = Slice(np.zeros((40, 60), np.uint8), "grey", "a")


def test_a_place_in_the_patient() -> None:
    assert millimetres([at(0), at(5)], Place(2, 10, 20)) == (-92.0, -115.0, 5.0)
    assert millimetres([PICTURE], Place(1, 10, 20)) is None


def test_how_far_two_places_are_apart() -> None:
    slices = [at(0), at(5)]
    assert distance_mm(slices, Place(1, 0, 0), Place(1, 6, 10)) == 5.0
    assert distance_mm(slices, Place(1, 0, 0), Place(2, 0, 0)) == 5.0
    assert distance_mm([PICTURE], Place(1, 0, 0), Place(1, 0, 1)) is None


def test_the_highest_place_of_maps_in_pixels_of_the_slice() -> None:
    maps = np.zeros((2, 4, 6), np.float32)
    maps[1, 2, 3] = 1
    assert highest_place(maps, [at(0), at(5)]) == Place(2, 25, 35)
