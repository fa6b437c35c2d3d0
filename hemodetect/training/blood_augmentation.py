"""Random movement, contrast, blur, shading and noise of standard slices, for the blood network."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hemodetect.models.blood_network import MAP_SIDE
from hemodetect.preprocessing.standard_head import BACKGROUND_LEVEL, LEVELS_PER_UNIT
from hemodetect.training.painting import smooth_noise


def augmented_slice(
    grey: np.ndarray, level: float, lesion: np.ndarray | None, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A training slice moved, and in the contrast, blur, shading and noise of another scanner.

    Args:
        grey: (112, 112) uint8.
        level: grey level of its series' brain.
        lesion: (56, 56) uint8, part of each place that is blood; None for none.
        random: source of the draws.

    Returns:
        (112, 112) float32 normalised slice, and (28, 28) float32 map in [0, 1].
    """
    matrix, shift = _random_movement(random)
    moved = _transformed(grey, matrix, shift)
    blood = (
        np.zeros((56, 56), np.float32) if lesion is None else _transformed(lesion, matrix, shift)
    )
    if random.random() < 0.5:
        moved, blood = moved[:, ::-1], blood[:, ::-1]
    inside = moved > BACKGROUND_LEVEL
    image = (moved - np.float32(level)) / np.float32(LEVELS_PER_UNIT)
    if random.random() < 0.3:
        image = ndimage.gaussian_filter(image, random.uniform(0.3, 1.0))
    image = image * np.float32(random.uniform(0.75, 1.35)) + np.float32(random.uniform(-0.12, 0.12))
    if random.random() < 0.5:
        shading = smooth_noise(random, random.uniform(20, 56))
        image = image + np.float32(random.uniform(0, 0.15)) * shading
    if random.random() < 0.7:
        noise = random.standard_normal(image.shape, dtype=np.float32)
        image = image + noise * np.float32(random.uniform(0, 0.13))
    image[~inside] = -1.5
    coarse = blood.reshape(MAP_SIDE, 2, MAP_SIDE, 2).mean(axis=(1, 3))
    return np.clip(image, -1.5, 2.2).astype(np.float32), np.clip(coarse / 255 * 2, 0, 1)


def _random_movement(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) matrix from output to input about the centre, and a shift in parts of the side."""
    angle = np.deg2rad(random.uniform(-14, 14))
    shear = np.array([[1, np.tan(random.uniform(-0.08, 0.08))], [0, 1]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    zoom = np.diag(random.uniform(0.87, 1.15, 2))
    return rotation @ shear @ zoom, random.uniform(-0.045, 0.045, 2)


def _transformed(image: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - matrix @ (centre + shift * image.shape)
    return ndimage.affine_transform(image, matrix, offset, order=1, output=np.float32)
