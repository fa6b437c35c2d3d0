"""The head-CT phantom: tissue, bleeds, pose, and what is read from its files."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.phantom.files import (
    dicom_files,
    picture_files,
    write_dicom_series,
    write_pictures,
)
from hemodetect.phantom.head import Bleed, BleedType, Phantom, head_phantom

pytestmark = pytest.mark.slow  # a head takes one to three seconds

COARSE = {"slices": 24, "slice_spacing_mm": 6.5, "size": 160, "pixel_spacing_mm": 1.45}
SMALL = {"slices": 5, "size": 64, "pixel_spacing_mm": 3.6, "slice_spacing_mm": 8.0}


@cache
def coarse(*bleeds: Bleed, seed: int = 0) -> Phantom:
    """A whole head at a third of the resolution."""
    return head_phantom(bleeds, seed=seed, **COARSE)


@cache
def quiet(seed: int) -> Phantom:
    """The same head as `coarse`, without noise."""
    return head_phantom(noise_hu=0, seed=seed, **COARSE)


@cache
def vault(*bleeds: Bleed, seed: int = 0) -> Phantom:
    """The head from the sella upwards, where bleeds lie; the base would take most of the time."""
    return head_phantom(bleeds, seed=seed, **COARSE | {"slices": 15})


@cache
def small(*bleeds: Bleed, seed: int = 0, tilt_degrees: float = 0.0) -> Phantom:
    """Five slices around the ventricles."""
    return head_phantom(bleeds, seed=seed, tilt_degrees=tilt_degrees, **SMALL)


def cranial_cavity(hu: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: what bone encloses in a slice of the vault."""
    bone = ndimage.binary_closing(hu > 300, iterations=2)
    return ndimage.binary_fill_holes(bone) & ~bone


def test_tissues_lie_in_their_hu_ranges() -> None:
    phantom = quiet(seed=5)
    middle = phantom.hu[13]
    inside = ndimage.binary_erosion(cranial_cavity(middle), iterations=5)
    brain = middle[inside]
    assert 28 < np.median(brain) < 39
    assert np.percentile(brain, 0.5) < 14  # ventricles
    assert (brain < -20).sum() == 0
    assert middle.max() > 900
    assert middle[2, 2] == -1000
    tissue = (phantom.hu > -200) & (phantom.hu < 150)
    assert (phantom.hu[tissue] < -60).mean() > 0.05  # fat
    base = phantom.hu[7]
    air_within = ndimage.binary_fill_holes(base > -300) & (base < -700)
    assert air_within.sum() > 50  # sinuses


def test_white_matter_is_darker_than_deep_grey_matter() -> None:
    def around(index: int, left_mm: float, back_mm: float) -> float:
        row, column = (round(79.5 + mm / 1.45) for mm in (back_mm, left_mm))
        return float(np.median(phantom.hu[index, row - 1 : row + 2, column - 1 : column + 2]))

    phantom = quiet(seed=5)
    for side in (1, -1):
        assert 26 <= around(16, side * 24, 0) <= 32  # centrum semiovale
        assert 34 <= around(11, side * 11, 8) <= 41  # thalamus


def test_noise_has_the_asked_spread() -> None:
    quiet = head_phantom(noise_hu=0, seed=2, **SMALL).hu.astype(float)
    loud = head_phantom(noise_hu=8, seed=2, **SMALL).hu.astype(float)
    brain = (quiet > 0) & (quiet < 60)
    assert (loud - quiet)[brain].std() == pytest.approx(8, rel=0.2)


@pytest.mark.parametrize("kind", ["epidural", "subdural", "intraparenchymal"])
@pytest.mark.parametrize("volume_ml", [10, 30, 60])
def test_a_bleed_has_the_asked_volume(kind: BleedType, volume_ml: float) -> None:
    phantom = vault(Bleed(kind, volume_ml))
    assert phantom.bleed_volume_ml == pytest.approx(volume_ml, rel=0.15)


@pytest.mark.long
def test_volume_holds_under_tilt_and_at_full_resolution() -> None:
    phantom = head_phantom([Bleed("intraparenchymal", 30)], tilt_degrees=20, seed=4)
    assert phantom.hu.shape == (32, 512, 512)
    assert phantom.bleed_volume_ml == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "volume_ml"),
    [
        ("epidural", 30),
        ("subdural", 40),
        ("intraparenchymal", 30),
        ("subarachnoid", 12),
        ("intraventricular", 6),
    ],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_blood_is_bright_and_on_the_asked_side(
    kind: BleedType, volume_ml: float, side: str
) -> None:
    phantom = vault(Bleed(kind, volume_ml, side), seed=1)  # type: ignore[arg-type]
    assert 50 < np.median(phantom.hu[phantom.bleed_mask]) < 75
    assert phantom.bleed_volume_ml == pytest.approx(volume_ml, rel=0.25)
    columns = np.nonzero(phantom.bleed_mask)[2]
    on_left = (columns > phantom.hu.shape[2] / 2).mean()
    share = on_left if side == "left" else 1 - on_left
    strict = kind in ("epidural", "subdural", "intraparenchymal")
    assert share > (0.97 if strict else 0.55)


@pytest.mark.parametrize("kind", ["epidural", "subdural", "intraparenchymal"])
def test_blood_lies_inside_the_skull(kind: BleedType) -> None:
    phantom = coarse(Bleed(kind, 40))
    for index in range(14, 20):
        mask = phantom.bleed_mask[index]
        cavity = ndimage.binary_dilation(cranial_cavity(phantom.hu[index]), iterations=2)
        assert not (mask & ~cavity).any()


def test_an_epidural_bleed_touches_the_skull_and_a_deep_one_does_not() -> None:
    def touches(kind: BleedType) -> bool:
        phantom = vault(Bleed(kind, 30))
        index = int(phantom.bleed_mask.sum((1, 2)).argmax())
        near_bone = ndimage.binary_dilation(phantom.hu[index] > 300, iterations=2)
        return bool((near_bone & phantom.bleed_mask[index]).any())

    assert touches("epidural")
    assert not touches("intraparenchymal")


def test_ventricular_blood_settles_at_the_back() -> None:
    phantom = coarse(Bleed("intraventricular", 6), seed=1)
    healthy = coarse(seed=1)
    index = int(phantom.bleed_mask.sum((1, 2)).argmax())
    fluid = ndimage.binary_erosion(cranial_cavity(healthy.hu[index]), iterations=12)
    fluid &= ndimage.gaussian_filter(healthy.hu[index].astype(float), 1) < 18
    assert np.nonzero(phantom.bleed_mask[index])[0].mean() > np.nonzero(fluid)[0].mean()


def test_only_slices_with_blood_are_labelled() -> None:
    phantom = coarse(Bleed("epidural", 30))
    area = phantom.bleed_mask.sum((1, 2)) * 1.45**2
    assert phantom.slice_labels.dtype == bool
    assert (phantom.slice_labels == (area > 25)).all()
    assert 3 < phantom.slice_labels.sum() < 20
    assert not coarse().slice_labels.any()


def test_a_bleed_leaves_the_head_far_from_it_unchanged() -> None:
    with_blood, healthy = coarse(Bleed("intraparenchymal", 10)), coarse()
    apart = np.abs(with_blood.hu.astype(int) - healthy.hu).mean((1, 2))
    assert apart[:5].max() < 0.05
    assert apart.max() > 0.4


def test_several_bleeds_share_one_head() -> None:
    both = vault(Bleed("subdural", 40), Bleed("intraparenchymal", 20, "right"))
    assert both.bleed_volume_ml == pytest.approx(60, rel=0.15)


def test_the_same_arguments_give_the_same_head() -> None:
    one, two = (head_phantom([Bleed("subdural", 20)], seed=9, **SMALL) for _ in range(2))
    assert (one.hu == two.hu).all()
    assert (one.bleed_mask == two.bleed_mask).all()


def test_seeds_change_the_pose() -> None:
    outlines = {
        (head_phantom(seed=seed, noise_hu=0, **SMALL).hu[2] > -500).tobytes() for seed in range(4)
    }
    assert len(outlines) == 4


def test_rotation_and_offset_move_the_head_as_documented() -> None:
    def bone(**pose: object) -> np.ndarray:
        fine = SMALL | {"size": 160, "pixel_spacing_mm": 1.45}
        return head_phantom(noise_hu=0, **fine, **pose).hu[2] > 300  # type: ignore[arg-type]

    still = ndimage.center_of_mass(bone())
    moved = ndimage.center_of_mass(bone(offset_mm=(10, -7)))
    assert (moved[1] - still[1]) * 1.45 == pytest.approx(10, abs=0.5)
    assert (moved[0] - still[0]) * 1.45 == pytest.approx(-7, abs=0.5)
    front = np.nonzero(bone(rotation_degrees=30)[:40])[1].mean()
    assert front > still[1] + 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slices": 0}, "slices is 0"),
        ({"size": 128}, "set pixel_spacing_mm to 1.8"),
        ({"pixel_spacing_mm": -1.0}, "must be above 0"),
        ({"slice_spacing_mm": 0.0}, "must be above 0"),
        ({"noise_hu": -1.0}, "noise_hu is -1"),
        ({"tilt_degrees": 45.0}, "tilt_degrees is 45"),
        ({"rotation_degrees": 90.0}, "rotation_degrees is 90"),
        ({"bleeds": [Bleed("epidural", 0)]}, "epidural bleed is 0"),
        ({"bleeds": [Bleed("subdural", 151)]}, "at most 150"),
        ({"bleeds": [Bleed("epidural", float("nan"))]}, "epidural bleed is nan"),
        ({"bleeds": [Bleed("intraventricular", 90)], **SMALL}, "has room for"),
    ],
)
def test_what_no_head_fits_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head_phantom(**arguments)


@pytest.mark.parametrize("tilt", [0.0, 18.5])
def test_a_dicom_series_read_back_has_the_hu_and_the_geometry(tmp_path: Path, tilt: float) -> None:
    phantom = small(tilt_degrees=tilt)
    paths = write_dicom_series(phantom, tmp_path / "series", seed=3)
    slices = [pydicom.dcmread(path) for path in paths]
    for data_set, values in zip(slices, phantom.hu, strict=True):
        hu = data_set.pixel_array * data_set.RescaleSlope + data_set.RescaleIntercept
        assert (hu == values).all()
    row, column = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    assert normal[2] == pytest.approx(np.cos(np.deg2rad(tilt)))
    positions = np.array([d.ImagePositionPatient for d in slices], dtype=float)
    assert np.diff(positions @ normal) == pytest.approx(8.0)
    assert np.diff(positions[:, :2], axis=0) == pytest.approx(0)  # only the table moves
    assert column[2] == pytest.approx(-np.sin(np.deg2rad(tilt)))
    assert float(slices[0].GantryDetectorTilt) == pytest.approx(tilt)
    assert str(slices[0].PatientName) == "PHANTOM^HEMODETECT"
    assert slices[0].file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert len({d.SOPInstanceUID for d in slices}) == 5
    assert len({d.SeriesInstanceUID for d in slices}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_neither_file_names_nor_instance_numbers_tell_the_order(seed: int) -> None:
    files = dicom_files(small(), seed)
    names = [name for name, _ in files]
    assert len(set(names)) == 5
    assert names != sorted(names)
    numbers = [pydicom.dcmread(io.BytesIO(data)).InstanceNumber for _, data in files]
    assert numbers == [5, 4, 3, 2, 1]


def test_pictures_are_the_brain_window(tmp_path: Path) -> None:
    phantom = small(Bleed("intraparenchymal", 20))
    expected = windowed(phantom.hu, BRAIN)
    png = write_pictures(phantom, tmp_path / "png", ".png")
    assert [path.name for path in png][:2] == ["phantom_0_1.png", "phantom_0_2.png"]
    assert (np.stack([np.asarray(Image.open(path)) for path in png]) == expected).all()
    jpeg = [np.asarray(Image.open(path)) for path in write_pictures(phantom, tmp_path / "jpg")]
    assert np.abs(np.stack(jpeg).astype(int) - expected).mean() < 3


def test_an_unknown_picture_format_is_refused() -> None:
    with pytest.raises(ValueError, match="suffix is"):
        picture_files(small(), ".gif")  # type: ignore[arg-type]
