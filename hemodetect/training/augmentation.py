"""Random shifts, rotations, zoom, shear and flips of slices, on the CPU ahead of the network."""

from __future__ import annotations

import cv2
import numpy as np

from hemodetect.models.recipes import Augmentation


def augmented(images: np.ndarray, how: Augmentation, random: np.random.Generator) -> np.ndarray:
    """A changed copy of every image.

    Args:
        images: (n, rows, columns) uint8.
        how: ranges to draw from.
        random: source of the draws.

    Returns:
        (n, rows, columns) uint8; what comes in from outside repeats the edge.
    """
    return np.stack([_augmented(image, how, random) for image in images])


def _augmented(image: np.ndarray, how: Augmentation, random: np.random.Generator) -> np.ndarray:
    matrix = affine_matrix(how, random)
    centre = (np.array(image.shape) - 1) / 2
    shift = random.uniform(-how.shift, how.shift, 2) * image.shape
    offset = centre - matrix @ (centre + shift)
    # OpenCV counts (x, y), which is (column, row).
    moved = cv2.warpAffine(
        image,
        np.column_stack([matrix[::-1, ::-1], offset[::-1]]),
        image.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved[:, ::-1] if how.horizontal_flip and random.random() < 0.5 else moved


def affine_matrix(how: Augmentation, random: np.random.Generator) -> np.ndarray:
    """(2, 2) matrix that takes output (row, column) to input, about the centre."""
    angle = np.deg2rad(random.uniform(-how.rotation_degrees, how.rotation_degrees))
    shear = random.uniform(-how.shear, how.shear)
    zoom = random.uniform(1 - how.zoom, 1 + how.zoom, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]]) @ np.diag(zoom)
