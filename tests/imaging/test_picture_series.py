"""Pictures: their names give series and order; masks and other windows are set aside."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from drawn_studies import slice_hu
from PIL import Image, TiffImagePlugin

from hemodetect.errors import EmptyStudy
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.picture_kinds import MASK, OTHER_WINDOW, SAME_SLICES
from hemodetect.imaging.picture_names import picture_groups
from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import BRAIN, Window, windowed

HASHES = [hashlib.sha256(bytes([n])).hexdigest()[:10] for n in range(20)]


def groups(names: list[str]) -> list[tuple[list[str], bool]]:
    """Names of each group in order, and whether the names give an order."""
    return [([names[i] for i in g.members], bool(g.numbers)) for g in picture_groups(names)]


@pytest.mark.parametrize(
    "names",
    [
        [f"z{z:.1f}.png" for z in np.arange(-77.5, 80, 5)],
        [f"z{z:g}.png" for z in np.arange(-80, 80, 2.5)],
        [f"slice_{z:+04d}mm.png" for z in range(-80, 80, 5)],
        [f"slice{z}.png" for z in range(-80, 80, 5)],
        [f"z-{z:.1f}.png" for z in np.arange(80, 2, -2.5)],
        [f"{n}.jpg" for n in range(1, 101)],
        [f"slice_{n}_of_32.png" for n in range(1, 33)],
        [f"3.{n}.png" for n in range(1, 33)],
        [f"1.2.840.113619.{n}.png" for n in range(1, 33)],
        [f"N10_0_{n}.jpg" for n in range(10, 130)],
        [f"IM{n:06}.png" for n in range(1000, 40_000, 1000)],
    ],
    ids=lambda names: names[0],
)
def test_numbers_in_the_names_order_one_series(names: list[str]) -> None:
    assert groups(sorted(names)) == [(names, True)]


@pytest.mark.parametrize(
    "names",
    [
        ["base.png", "middle.png", "vertex.png"],
        [f"{name}.png" for name in HASHES],
        [f"ID_{name}.png" for name in HASHES],
        [f"{int(name, 16)}.png" for name in HASHES],
    ],
    ids=["words", "hashes", "prefixed hashes", "numbers without meaning"],
)
def test_names_that_tell_no_order_are_one_series_without_one(names: list[str]) -> None:
    ((members, ordered),) = groups(names)
    assert (sorted(members), ordered) == (sorted(names), False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([f"{n}.jpg" for n in range(1, 33)], [f"{n}_HGE_Seg.jpg" for n in range(12, 19)]),
        ([f"{n}_w2000.png" for n in range(1, 33)], [f"{n}_w80.png" for n in range(1, 33)]),
        ([f"bone/{n}.png" for n in range(1, 33)], [f"brain/{n}.png" for n in range(1, 33)]),
        ([f"scan-2-{n:02}.png" for n in range(32)], [f"scan-3-{n:02}.png" for n in range(32)]),
        ([f"2.{n}.png" for n in range(1, 33)], [f"3.{n}.png" for n in range(1, 33)]),
        ([f"{n}.jpg" for n in range(1, 33)], [f"{n}.png" for n in range(1, 33)]),
    ],
    ids=lambda names: names[0],
)
def test_names_that_differ_beside_the_number_are_two_series(first, second) -> None:
    grouped = groups(sorted([*first, *second]))
    assert sorted(grouped) == sorted([(first, True), (second, True)])


# What lies beside the slices.

HEIGHTS = range(0, 150, 10)
BONE = Window(2000, 400)


@pytest.fixture
def read(limits) -> Callable[[dict[str, np.ndarray]], Study]:
    """Reads pictures by name, from a zip whose folder the names are in."""

    def read_(pictures: dict[str, np.ndarray]) -> Study:
        uploads = []
        for name, values in pictures.items():
            buffer = io.BytesIO()
            kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name.rpartition(".")[2], "PNG")
            Image.fromarray(values).save(buffer, kind)
            uploads.append(UploadedFile(f"patient/{name}", buffer.getvalue()))
        return read_study(uploads, limits)

    return read_


def brain(z: float) -> np.ndarray:
    return windowed(slice_hu(z), BRAIN)


def bone(z: float) -> np.ndarray:
    return windowed(slice_hu(z), BONE)


def mask(z: float, high: int = 255) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return (np.hypot(rows - 30, columns - 25 - z / 50) < 6).astype(np.uint8) * high


def reasons(study: Study) -> dict[str, str | None]:
    return {series.slices[0].source: series.set_aside for series in study.series}


@pytest.mark.parametrize("suffix", ["_HGE_Seg", "_seg", "-mask", "_x"])
@pytest.mark.parametrize("high", [255, 1])
def test_masks_beside_slices_are_set_aside(read, suffix: str, high: int) -> None:
    pictures = {f"{n}.jpg": brain(z) for n, z in enumerate(HEIGHTS)}
    pictures |= {f"{n}{suffix}.jpg": mask(z, high) for n, z in enumerate(HEIGHTS) if 4 < n < 9}
    study = read(pictures)
    assert reasons(study) == {"0.jpg": None, f"5{suffix}.jpg": MASK}
    assert [s.source for s in study.slices] == [f"{n}.jpg" for n in range(15)]


def test_masks_in_a_folder_beside_are_set_aside(read) -> None:
    pictures = {f"images/{n}.png": brain(z) for n, z in enumerate(HEIGHTS)}
    pictures |= {f"annotations/{n}.png": mask(z) for n, z in enumerate(HEIGHTS)}
    assert reasons(read(pictures)) == {"images/0.png": None, "annotations/0.png": MASK}


@pytest.mark.parametrize(
    ("brain_name", "bone_name"),
    [("brain/{}.jpg", "bone/{}.jpg"), ("{}_a.png", "{}_b.png"), ("b/{}.png", "a/{}.png")],
)
def test_the_brain_window_is_read_beside_the_bone_window(read, brain_name, bone_name) -> None:
    pictures = {bone_name.format(n): bone(z) for n, z in enumerate(HEIGHTS)}
    pictures |= {brain_name.format(n): brain(z) for n, z in enumerate(HEIGHTS)}
    assert reasons(read(pictures)) == {
        brain_name.format(0): None,
        bone_name.format(0): OTHER_WINDOW,
    }


def test_the_same_slices_in_two_formats_are_read_once(read) -> None:
    pictures = {f"{n}.{kind}": brain(z) for n, z in enumerate(HEIGHTS) for kind in ("jpg", "png")}
    assert sorted(map(str, reasons(read(pictures)).values())) == ["None", SAME_SLICES]


def test_two_studies_of_pictures_with_other_numbers_are_both_kept(read) -> None:
    pictures = {f"first/{n}.png": brain(z) for n, z in enumerate(HEIGHTS)}
    pictures |= {f"second/{n}.png": brain(z + 3) for n, z in enumerate(HEIGHTS) if n < 9}
    study = read(pictures)
    assert len(study.slices) == 15
    assert study.series[1].set_aside == "fewer slices"


def test_pictures_without_an_order_say_so(read) -> None:
    study = read({f"{name}.png": brain(10.0 * n) for n, name in enumerate(HASHES[:12])})
    assert not study.series[0].is_ordered
    assert "files do not tell the order" in study.cautions[0]


# TIFF pages and 16 bits.


def tiff(pages: list[tuple[np.ndarray, dict[int, int]]]) -> bytes:
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, True) as writer:
        for values, tags in pages:
            directory = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                directory[tag] = value
            Image.fromarray(values).save(writer, "TIFF", tiffinfo=directory)
            writer.newFrame()
    return buffer.getvalue()


@pytest.mark.parametrize("tags", [{254: 1}, {255: 2}, {254: 4}, {}], ids=str)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_preview_in_a_tiff_is_no_slice(limits, tags, first) -> None:
    size = slice(None, None, 1 if tags else 3)  # without a tag, its size tells it
    uploads = []
    for n, z in enumerate(HEIGHTS):
        pages = [(brain(z), {}), (brain(z)[size, size], tags)]
        uploads.append(UploadedFile(f"s/{n:02}.tif", tiff(pages[::-1] if first else pages)))
    study = read_study(uploads, limits)
    assert [s.source for s in study.slices] == [f"{n:02}.tif" for n in range(15)]
    assert len(study.series) == 1
    np.testing.assert_array_equal(study.slices[3].values, brain(HEIGHTS[3]))


def test_bright_pixels_do_not_make_raw_ct_numbers_grey(read) -> None:
    pictures = {}
    for n, z in enumerate(HEIGHTS):
        pictures[f"{n}.png"] = (slice_hu(z).clip(-1000, 2000) + 1024).astype(np.uint16)
        pictures[f"{n}.png"][0, :4] = 65535
    with pytest.raises(EmptyStudy, match="levels, as raw CT numbers do"):
        read(pictures)


def test_a_dim_slice_among_grey_ones_is_read_with_them(read) -> None:
    pictures = {f"{n}.png": brain(z).astype(np.uint16) * 257 for n, z in enumerate(HEIGHTS)}
    pictures["15.png"] = np.full((64, 64), 900, np.uint16)
    pictures["15.png"][30:34] = 1300
    study = read(pictures)
    assert len(study.slices) == 16
    assert study.slices[0].values.dtype == np.uint8
