"""NIfTI volumes to axial slices: any order of axes, compressed or not, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hemodetect.errors import EmptyStudy
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Study
from hemodetect.phantom.head import Bleed, Phantom, head_phantom
from hemodetect.settings import Settings, settings
from hemodetect.viewer.display import display_of

STEP, PIXEL = 5.0, 1.8


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """24 slices of 128 x 128 with a bleed on the patient's left."""
    return head_phantom(
        [Bleed("intraparenchymal", 30)], slices=24, size=128, pixel_spacing_mm=PIXEL
    )


NOISE = np.random.default_rng(0).integers(-1000, 1000, (16, 16, 8), np.int16)


def volume(phantom: Phantom) -> np.ndarray:
    """(right to left, front to back, feet to head) int16 HU, in DICOM's directions."""
    return np.rint(phantom.hu).astype(np.int16).transpose(2, 1, 0)


AFFINE = np.array([[-PIXEL, 0, 0, 100], [0, -PIXEL, 0, 110], [0, 0, STEP, -20], [0, 0, 0, 1.0]])
"""Affine of `volume`, in NIfTI's directions."""


def packed(
    array: np.ndarray, affine: np.ndarray | None = AFFINE, kind=nibabel.Nifti1Image
) -> bytes:
    return kind(array, affine).to_bytes()


def read(*files: tuple[str, bytes], limits: Settings | None = None) -> Study:
    return read_study([UploadedFile(name, data) for name, data in files], limits)


def test_a_volume_gives_the_slices_of_the_dicom_files(phantom: Phantom) -> None:
    study = read(("head.nii", packed(volume(phantom))))
    assert study.units == "HU"
    assert len(study.slices) == 24
    for image, hu in zip(study.slices, phantom.hu, strict=True):
        assert np.array_equal(image.values, np.rint(hu).astype(np.int16))
    display = display_of(study.slices)
    assert display.letters == ("R", "L", "A", "P")
    assert display.turn.is_none
    assert display.spacing_mm == pytest.approx((PIXEL, PIXEL))
    assert display.step_mm == pytest.approx(STEP)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("flipped", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_any_order_and_direction_of_axes_gives_the_same_slices_and_places(
    phantom: Phantom, order: tuple[int, int, int], flipped: tuple[int, ...]
) -> None:
    image = nibabel.Nifti1Image(volume(phantom), AFFINE)
    codes = nibabel.orientations.axcodes2ornt(nibabel.orientations.aff2axcodes(AFFINE))
    target = codes[list(order)].copy()
    for axis in flipped:
        target[axis, 1] *= -1
    change = nibabel.orientations.ornt_transform(codes, target)
    study = read(("head.nii.gz", gzip.compress(image.as_reoriented(change).to_bytes())))
    display = display_of(study.slices)
    assert display.letters == ("R", "L", "A", "P")
    assert display.turn.is_none
    expected = [np.rint(hu).astype(np.int16) for hu in phantom.hu]
    assert np.array_equal(np.stack([one.values for one in study.slices]), np.stack(expected))
    geometry = study.slices[3].geometry
    assert geometry is not None
    assert geometry.corner_mm == pytest.approx((-100, -110, 3 * STEP - 20), abs=1e-3)


def test_scaled_values_and_the_second_version_are_read(phantom: Phantom) -> None:
    image = nibabel.Nifti2Image(volume(phantom).astype(np.float32) + 1024, AFFINE)
    image.header.set_slope_inter(1.0, -1024.0)
    raw = bytearray(image.to_bytes())
    study = read(("head.nii", bytes(raw)))
    assert len(study.slices) == 24
    expected = np.rint(phantom.hu[12]).astype(np.int16)
    assert np.array_equal(study.slices[12].values, expected)


def test_grey_volumes_are_pictures_and_masks_are_set_aside(phantom: Phantom) -> None:
    head = ("head.nii", packed(volume(phantom)))
    mask = ("mask.nii", packed((volume(phantom) > 60).astype(np.uint8)))
    study = read(mask, head)
    assert study.units == "HU"
    assert [series.set_aside for series in study.series] == [None, "a mask, not an image"]
    grey = np.clip(volume(phantom) * 2, 0, 255).astype(np.uint8)
    assert read(("grey.nii", packed(grey))).units == "grey"


def test_a_volume_without_a_matrix_has_an_order_and_no_letters(phantom: Phantom) -> None:
    image = nibabel.Nifti1Image(volume(phantom), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    study = read(("head.nii", image.to_bytes()))
    assert len(study.slices) == 24
    assert study.slices[0].geometry is None
    assert study.series[0].is_ordered
    assert display_of(study.slices).letters is None


def test_names_in_the_header_are_not_read(phantom: Phantom) -> None:
    image = nibabel.Nifti1Image(volume(phantom), AFFINE)
    image.header["descrip"] = b"DOE^JANE 1950-01-01"
    image.header["db_name"] = b"DOE^JANE"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"DOE^JANE"))
    study = read(("head.nii", image.to_bytes()))
    assert "DOE" not in repr(study.series[0].description) + study.id + study.slices[0].source


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed(np.zeros((8, 8, 4, 2), np.int16)), "one volume a file"),
        (packed(np.zeros((8, 8), np.int16)), "one volume a file"),
        (packed(np.zeros((8, 8, 4), np.complex64)), "colours or complex"),
        (packed(np.zeros((8, 8, 4), np.int16))[:600], "damaged"),
        (gzip.compress(packed(NOISE))[:-300], "damaged"),
        (packed(np.full((8, 8, 4), np.nan, np.float32)), "not numbers"),
        (packed(np.zeros((5000, 5000, 1), np.int8)), "a slice may have"),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(EmptyStudy, match=reason):
        read(("head.nii.gz" if data.startswith(b"\x1f") else "head.nii", data))


def test_half_of_a_pair_has_a_reason() -> None:
    pair = bytearray(packed(np.zeros((8, 8, 4), np.int16)))
    pair[344:348] = b"ni1\0"
    with pytest.raises(EmptyStudy, match="one half of a NIfTI pair"):
        read(("head.img", bytes(pair)))


def test_a_packed_bomb_is_refused_before_it_is_unpacked() -> None:
    """The header states 40 GB; its zeros compress a thousandfold."""
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), AFFINE)
    image.header.set_data_shape((4000, 4000, 1200))
    header = image.header.binaryblock + b"\0" * 4
    data = gzip.compress(header + b"\0" * 20_000_000)
    assert len(data) < 50_000
    with pytest.raises(EmptyStudy, match="larger than a study"):
        read(("bomb.nii.gz", data))


def test_values_that_begin_gigabytes_after_the_header_are_refused_unread() -> None:
    header = nibabel.Nifti1Image(np.zeros((8, 8, 4), np.int16), AFFINE).header
    header["vox_offset"] = 3e9
    data = gzip.compress(header.binaryblock + b"\0" * 20_000_000)
    with pytest.raises(EmptyStudy, match="damaged"):
        read(("bomb.nii.gz", data))


def test_more_slices_than_the_limit_are_left_out_whole(
    phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMODETECT_MAX_SLICES", "20")
    settings.cache_clear()
    try:
        with pytest.raises(EmptyStudy, match="24 slices was left out whole"):
            read(("head.nii", packed(volume(phantom))))
    finally:
        settings.cache_clear()


@pytest.mark.parametrize("seed", range(60))
def test_damaged_bytes_give_slices_or_a_sentence(phantom: Phantom, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(packed(volume(phantom)[:16, :16, :4]))
    for place in random.integers(0, 400, 6):
        data[place] = random.integers(0, 256)
    with contextlib.suppress(EmptyStudy):
        assert read(("head.nii", bytes(data))).slices


def test_a_folder_with_a_volume_is_read(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "049.nii.gz").write_bytes(gzip.compress(packed(volume(phantom))))
    (tmp_path / "notes.txt").write_text("49")
    assert len(read_study(tmp_path).slices) == 24
