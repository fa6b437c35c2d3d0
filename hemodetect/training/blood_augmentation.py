"""Random movement, contrast, blur, shading and noise of standard slices, for the blood network."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from hemodetect.models.blood_network import MAP_SIDE
from hemodetect.preprocessing.standard_head import LEVELS_PER_UNIT, without_bone
from hemodetect.training.painting import smooth_noise


def augmented_slice(
    grey: np.ndarray, level: float, hint: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A training slice moved, and in the contrast, blur, shading and noise of another scanner.

    Args:
        grey: (192, 192) uint8.
        level: grey level of its series' brain.
        hint: (3, 48, 48) uint8, see `lesion_hints`.
        random: source of the draws.

    Returns:
        (192, 192) float32 normalised slice, and (3, 24, 24) float32 hint in [0, 1].
    """
    matrix, shift = _random_movement(random)
    moved = _transformed(grey, matrix, shift)
    places = np.stack([_transformed(layer, matrix, shift) for layer in hint])
    if random.random() < 0.5:
        moved, places = moved[:, ::-1], places[:, :, ::-1]
    image = (moved - np.float32(level)) / np.float32(LEVELS_PER_UNIT)
    if random.random() < 0.3:
        image = ndimage.gaussian_filter(image, random.uniform(0.5, 1.6))
    image = image * np.float32(random.uniform(0.6, 1.5)) + np.float32(random.uniform(-0.2, 0.2))
    if random.random() < 0.5:
        shading = smooth_noise(random, random.uniform(2, 5.5), len(image))
        image = image + np.float32(random.uniform(0, 0.15)) * shading
    if random.random() < 0.7:
        noise = random.standard_normal(image.shape, dtype=np.float32)
        image = image + noise * np.float32(random.uniform(0, 0.13))
    coarse = places.reshape(3, MAP_SIDE, 2, MAP_SIDE, 2).mean(axis=(2, 4)) / 255
    coarse[0] = np.clip(2 * coarse[0], 0, 1)  # a place half full of blood counts as blood
    return without_bone(image, moved), coarse.astype(np.float32)


def _random_movement(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) matrix from output to input about the centre, and a shift in parts of the side."""
    angle = np.deg2rad(random.uniform(-16, 16))
    shear = np.array([[1, np.tan(random.uniform(-0.08, 0.08))], [0, 1]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    zoom = np.diag(random.uniform(0.87, 1.15, 2)) * random.uniform(0.9, 1.15)
    return rotation @ shear @ zoom, random.uniform(-0.045, 0.045, 2)


def _transformed(image: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The image moved; `matrix` and `shift` act on (row, column)."""
    half = len(image) / 2
    (rr, rc), (cr, cc) = matrix
    row = half - rr * half * (1 + 2 * shift[0]) - rc * half * (1 + 2 * shift[1])
    column = half - cr * half * (1 + 2 * shift[0]) - cc * half * (1 + 2 * shift[1])
    picture = Image.fromarray(image.astype(np.float32))
    return np.array(
        picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            (cc, cr, column, rc, rr, row),
            Image.Resampling.BILINEAR,
        )
    )
