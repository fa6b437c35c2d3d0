"""Masks by OpenCV are those by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hemodetect.preprocessing.morphology import closed, filled, opened


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 0.95])
def test_masks_are_those_of_scipy_up_to_the_border(share: float) -> None:
    random = np.random.default_rng(1)
    for smooth in (0.0, 1.0, 3.0):
        noise = ndimage.gaussian_filter(random.random((60, 47)), smooth)
        mask = noise < np.quantile(noise, share)
        for steps in (1, 2, 5):
            np.testing.assert_array_equal(
                opened(mask, steps), ndimage.binary_opening(mask, iterations=steps)
            )
            np.testing.assert_array_equal(
                closed(mask, steps), ndimage.binary_closing(mask, iterations=steps)
            )
        np.testing.assert_array_equal(filled(mask), ndimage.binary_fill_holes(mask))


@pytest.mark.parametrize("value", [False, True])
def test_an_even_mask_stays_even(value: bool) -> None:
    mask = np.full((9, 12), value)
    for changed in (filled(mask), opened(mask, 1) if not value else filled(mask)):
        np.testing.assert_array_equal(changed, mask)
