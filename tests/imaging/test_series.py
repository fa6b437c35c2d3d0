"""Slices are grouped, ordered by geometry or number, and one series is proposed."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.imaging.choice import proposed_first
from hemodetect.imaging.decoded_slice import DecodedSlice, without_copies
from hemodetect.imaging.series import Stack, stacks
from hemodetect.imaging.study import Slice, SliceGeometry

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def ct(
    z: float, *, noise: float = 3, thickness: float = 5, seed: int = 0, **fields
) -> DecodedSlice:
    """A CT slice of noisy soft tissue at `z` mm along its normal."""
    fields = {"series": "s", "study": "e", "patient": "p", "orientation": AXIAL} | fields
    normal = np.cross(fields["orientation"][:3], fields["orientation"][3:])
    values = np.random.default_rng(seed).normal(35, noise, (32, 32)).astype(np.int16)
    geometry = SliceGeometry(z, tuple(float(v) for v in normal), 0.5, 0.5, thickness)
    source = fields.pop("source", f"{fields['series']}/{z}")
    units = fields.pop("units", "HU")
    return DecodedSlice(slice=Slice(values, units, source, geometry), **fields)


def picture(source: str, shape: tuple[int, int] = (8, 8), page: int = 0) -> DecodedSlice:
    slice_ = Slice(np.zeros(shape, np.uint8), "grey", source)
    return DecodedSlice(slice=slice_, content=f"hash of {source}", page=page)


def sources(stack: Stack) -> list[str]:
    return [item.slice.source for item in stack.members]


def positions(stack: Stack) -> list[float]:
    return stack.positions_mm


@pytest.fixture
def proposed(limits):
    """(source of the first slice of the proposed series, [reason of every series])."""

    def propose(slices: list[DecodedSlice]) -> tuple[str, list[str | None]]:
        choice = proposed_first(stacks(slices), limits)
        first = choice.stack.members[0].slice.source
        assert choice.series[0].slices[0].source == first
        return first, [s.set_aside for s in choice.series]

    return propose


def test_slices_are_ordered_by_position_not_by_name_or_number():
    slices = [ct(z, number=n, source=f"{n}") for n, z in enumerate((10, 0, 5))]
    (stack,) = stacks(slices)
    assert sources(stack) == ["1", "2", "0"]


def test_slices_go_from_base_to_vertex_also_where_the_normal_points_down():
    downward = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    (stack,) = stacks([ct(z, orientation=downward) for z in (0, 5, 10)])
    assert positions(stack) == [10, 5, 0]  # along the normal, which points to the feet


def test_two_orientations_of_one_series_are_two_stacks():
    slices = [ct(z) for z in (0, 5)] + [ct(z, orientation=CORONAL) for z in (0, 5)]
    assert sorted(len(stack.members) for stack in stacks(slices)) == [2, 2]


def test_two_acquisitions_at_the_same_positions_are_two_stacks():
    slices = [ct(z, acquisition=a, source=f"{a}-{z}") for z in (5, 0) for a in (1, 2)]
    assert [sources(s) for s in stacks(slices)] == [["1-0", "1-5"], ["2-0", "2-5"]]


def test_repeated_positions_without_acquisitions_are_taken_apart_by_number():
    slices = [ct(z, number=n, source=f"{n}") for n, z in enumerate((0, 5, 0, 5))]
    assert [sources(s) for s in stacks(slices)] == [["0", "1"], ["2", "3"]]


def test_acquisitions_that_follow_one_another_stay_one_stack():
    (stack,) = stacks([ct(z, acquisition=z) for z in range(4)])
    assert positions(stack) == [0, 1, 2, 3]


def test_the_same_image_twice_is_read_once():
    twice = [ct(0, instance="i", source="a"), ct(0, instance="i", source="b")]
    kept, refused = without_copies(twice)
    assert [item.slice.source for item in kept] == ["a"]
    assert refused[0].file == "b"
    assert "same image as a" in refused[0].reason


def test_images_that_share_an_identifier_but_not_their_values_are_both_read():
    kept, refused = without_copies([ct(0, instance="i"), ct(5, instance="i", seed=1)])
    assert (len(kept), refused) == (2, [])


def test_slices_without_geometry_are_ordered_by_number():
    slices = []
    for number in (10, 9, 2):
        slice_ = Slice(np.zeros((4, 4), np.int16), "HU", f"x{number}")
        slices.append(DecodedSlice(slice=slice_, series="s", number=number))
    assert sources(stacks(slices)[0]) == ["x2", "x9", "x10"]


def test_pictures_are_ordered_by_the_numbers_in_their_names():
    (stack,) = stacks([picture(f"scan/s{n}.jpg") for n in (10, 9, 1, 100)])
    assert sources(stack) == [f"scan/s{n}.jpg" for n in (1, 9, 10, 100)]


def test_two_series_of_pictures_in_one_folder_are_separated_by_their_names():
    names = ["IMG-0001-00001.jpg", *(f"IMG-0002-0000{n}.jpg" for n in (1, 2, 3))]
    assert sorted(len(s.members) for s in stacks([picture(n) for n in names])) == [1, 3]


def test_pictures_of_differing_size_in_one_folder_stay_together(limits):
    pictures = [picture("1.jpg"), picture("2.jpg", (9, 7)), picture("3.jpg", (8, 6))]
    (series,) = proposed_first(stacks(pictures), limits).series
    assert series.description == "3 pictures, of differing size"


def test_pictures_named_without_numbers_stay_together():
    (stack,) = stacks([picture(n) for n in ("base.png", "middle.png", "vertex.png")])
    assert len(stack.members) == 3


def test_each_folder_of_pictures_is_a_series():
    pictures = [
        picture("brain/1.jpg"),
        picture("brain/2.jpg"),
        picture("bone/1.jpg"),
        picture("bone/2.jpg"),
    ]
    assert len(stacks(pictures)) == 2


def test_the_pages_of_a_file_are_a_series_in_their_order():
    pictures = [picture(f"a.tif#{page}", page=page) for page in (2, 1, 10)] + [picture("1.png")]
    assert [sources(s) for s in stacks(pictures)] == [["a.tif#1", "a.tif#2", "a.tif#10"], ["1.png"]]


def test_a_series_is_described_by_geometry_and_counts(limits):
    (series,) = proposed_first(stacks([ct(z) for z in (0, 4, 8, 15)]), limits).series
    assert series.description == "4 axial slices, 32 x 32, 4.0 to 7.0 mm apart"


def test_the_axial_head_series_is_proposed_and_the_others_say_why_not(proposed):
    head = [ct(z, series="head") for z in range(0, 100, 5)]
    scout = [ct(0, series="scout", set_aside="localizer")]
    capture = [ct(0, series="capture", units="grey", set_aside="secondary capture")]
    coronal = [ct(z, series="coronal", orientation=CORONAL) for z in range(0, 150, 2)]
    screenshot = [picture("screen.png")]
    first, reasons = proposed([*scout, *coronal, *capture, *screenshot, *head])
    assert first == "head/0"
    assert reasons[0] is None
    assert set(reasons[1:]) == {
        "localizer",
        "secondary capture",
        "coronal slices",
        "picture beside CT slices",
    }


def test_of_thick_and_thin_soft_series_the_one_with_more_slices_is_proposed(proposed):
    thick = [ct(z, series="thick", noise=3, thickness=5) for z in range(0, 100, 5)]
    thin = [ct(z, series="thin", noise=3 * 5**0.5, thickness=1) for z in range(100)]
    assert proposed([*thick, *thin])[0] == "thin/0"


def test_a_sharp_kernel_is_not_proposed_though_it_has_more_slices(proposed):
    soft = [ct(z, series="soft", noise=5, thickness=2) for z in range(0, 100, 2)]
    sharp = [ct(z, series="sharp", noise=40, thickness=1) for z in range(100)]
    assert proposed([*sharp, *soft])[0] == "soft/0"


def test_a_series_that_covers_part_of_the_head_is_not_proposed(proposed):
    part = [ct(z / 2, series="part", thickness=1) for z in range(80)]
    whole = [ct(z, series="whole") for z in range(0, 100, 5)]
    assert proposed([*part, *whole])[0] == "whole/0"


def test_series_of_another_patient_are_set_aside(proposed):
    mine = [ct(z, series="mine") for z in range(10)]
    other = [ct(z, series="other", patient="q", study="f") for z in range(5)]
    earlier = [ct(z, series="earlier", study="f") for z in range(5)]
    _, reasons = proposed([*other, *mine, *earlier])
    assert reasons[0] is None
    assert set(reasons[1:]) == {"of another patient", "of another examination"}


def test_where_all_are_set_aside_the_best_of_them_is_still_read(proposed):
    slices = [ct(z, series="map", set_aside="computed map") for z in range(5)]
    assert proposed([*slices, ct(0, series="scout", set_aside="localizer")]) == (
        "map/0",
        ["computed map", "localizer"],
    )
