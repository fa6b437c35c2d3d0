"""Random changes of training slices."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.models.recipes import Augmentation
from hemodetect.training.augmentation import affine_matrix, augmented

STILL = Augmentation(shift=0, rotation_degrees=0, zoom=0, shear=0, horizontal_flip=False)
FLIPS = Augmentation(shift=0, rotation_degrees=0, zoom=0, shear=0, horizontal_flip=True)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (20, 24, 32)).astype(np.uint8)


def test_shape_and_type_are_kept_and_the_originals_too(images: np.ndarray) -> None:
    before = images.copy()
    changed = augmented(images, Augmentation(), np.random.default_rng(0))
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(images, before)


def test_the_seed_alone_decides(images: np.ndarray) -> None:
    first, again, other = (
        augmented(images, Augmentation(), np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ranges_of_zero_change_nothing(images: np.ndarray) -> None:
    np.testing.assert_array_equal(augmented(images, STILL, np.random.default_rng(0)), images)


def test_some_slices_are_mirrored_and_some_are_not(images: np.ndarray) -> None:
    changed = augmented(images, FLIPS, np.random.default_rng(0))
    mirrored = [np.array_equal(f, i[:, ::-1]) for f, i in zip(changed, images, strict=True)]
    same = [np.array_equal(f, i) for f, i in zip(changed, images, strict=True)]
    assert any(mirrored)
    assert any(same)
    assert all(m != s for m, s in zip(mirrored, same, strict=True))


def test_each_slice_gets_a_draw_of_its_own(images: np.ndarray) -> None:
    changed = augmented(np.stack([images[0]] * 2), Augmentation(), np.random.default_rng(0))
    assert not np.array_equal(changed[0], changed[1])


def test_the_edge_is_repeated_so_an_even_slice_stays_even() -> None:
    even = np.full((5, 24, 24), 90, np.uint8)
    changed = augmented(even, Augmentation(shift=0.5, zoom=0.5), np.random.default_rng(0))
    assert np.abs(changed.astype(int) - 90).max() <= 1


def test_zoom_stays_in_its_range_and_rotation_keeps_areas() -> None:
    random = np.random.default_rng(0)
    turn = Augmentation(zoom=0, shear=0, rotation_degrees=30)
    zoom = Augmentation(zoom=0.2, shear=0, rotation_degrees=0)
    for _ in range(50):
        assert np.linalg.det(affine_matrix(turn, random)) == pytest.approx(1)
        scales = np.diag(affine_matrix(zoom, random))
        assert 0.8 <= scales.min() <= scales.max() <= 1.2
