"""How the phantom lies in the scanner, and what the scanner adds: blur, noise, the head-rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hemodetect.phantom.plane import Array, share

FINEST_STEP_MM = 0.75
"""Smallest spacing at which a head is drawn."""
COARSEST_STEP_MM = 1.5
"""Largest spacing at which a head is drawn."""
BOX_MM = (-102.0, 102.0, -124.0, 118.0)
"""Area in which a head is drawn: left, right, front, back."""
AIR_HU = -1000.0
"""HU of air."""
SHELL_HU = 180.0
"""HU of the head-rest."""
STREAK_NODES = 7
"""Independent values of streak noise along a row."""


@dataclass(frozen=True)
class Scanner:
    """The pixels of a slice, and how the head lies before them.

    Attributes:
        size: rows and columns.
        pixel_mm: their spacing.
        tilt: of the gantry, in radians.
        turn: of the face to the patient's left, in radians.
        offset_mm: of the head to the patient's left and to the back.
        scale: size of the head over the average.
    """

    size: int
    pixel_mm: float
    tilt: float
    turn: float
    offset_mm: tuple[float, float]
    scale: float

    @property
    def drawn_step_mm(self) -> float:
        """Spacing at which the head is drawn before it is turned, in mm of an average head."""
        return min(max(self.pixel_mm, FINEST_STEP_MM), COARSEST_STEP_MM)

    def drawn_axes(self) -> tuple[Array, Array]:
        """(1, columns) and (rows, 1) float32: where the head is drawn, in its own axes, mm."""
        first, last, front, back = BOX_MM
        left = np.arange(first, last, self.drawn_step_mm, dtype=np.float32)
        down = np.arange(front, back, self.drawn_step_mm, dtype=np.float32)
        return left[None], down[:, None]


def posed(image: Array, scanner: Scanner, outside: float) -> Array:
    """(size, size) float32 of a drawn image, turned and moved; `outside` fills the rest."""
    cos, sin = math.cos(scanner.turn), math.sin(scanner.turn)
    turn = np.array([[cos, -sin], [sin, cos]]) / (scanner.scale * scanner.drawn_step_mm)
    middle = (scanner.size - 1) / 2 * scanner.pixel_mm
    left, back = scanner.offset_mm
    corner = np.array([-middle - back, -middle - left])
    start = turn @ corner - np.array([BOX_MM[2], BOX_MM[0]]) / scanner.drawn_step_mm
    shape = (scanner.size, scanner.size)
    step = turn * scanner.pixel_mm
    return ndimage.affine_transform(image, step, start, shape, np.float32, 1, cval=outside)


def softened(image: Array, scanner: Scanner) -> Array:
    """A drawn image without detail that the pixels are too large for."""
    ratio = scanner.pixel_mm / scanner.drawn_step_mm
    return ndimage.gaussian_filter(image, 0.35 * ratio) if ratio > 1.2 else image


def noise(values: Array, noise_hu: float, random: np.random.Generator) -> Array:
    """Grain of two pixels, as a soft-tissue kernel leaves it.

    Rows that cross much bone have more of it, and streaks.
    """
    rows, columns = values.shape
    white = random.standard_normal((rows + 2, columns + 2), dtype=np.float32)
    soft = 0.6 * (white[:-2] + white[2:]) + white[1:-1]
    soft = 0.6 * (soft[:, :-2] + soft[:, 2:]) + soft[:, 1:-1]
    soft *= noise_hu / 1.72
    bone = (values > 300).mean(1, keepdims=True, dtype=np.float32)
    loss = np.clip(ndimage.gaussian_filter1d(bone, 4, axis=0) - 0.1, 0, 0.5)
    nodes = random.standard_normal((rows, STREAK_NODES), dtype=np.float32) * loss * noise_hu
    place = np.linspace(0, STREAK_NODES - 1, columns, dtype=np.float32)
    tents = np.maximum(1 - np.abs(place - np.arange(STREAK_NODES)[:, None]), 0)
    streaks = ndimage.gaussian_filter1d(nodes, 1, axis=0) @ tents.astype(np.float32)
    return soft * (1 + 1.2 * loss) + 3 * streaks


def head_rest(scanner: Scanner) -> Array:
    """(size, size) float32 HU of the head-rest: a thin shell below and beside the head."""
    line = (np.arange(scanner.size, dtype=np.float32) - (scanner.size - 1) / 2) * scanner.pixel_mm
    x, y = line[None], line[:, None]
    form = (np.abs(x) / 106) ** 3 + (np.maximum(y - 10, 0) / 98) ** 3
    distance = (np.cbrt(form) - 1) * 100
    shell = share(1.3 - np.abs(distance), max(1.0, scanner.pixel_mm)) * (y > 12)
    return np.where(shell > 0, AIR_HU + shell * (SHELL_HU - AIR_HU), -2000).astype(np.float32)
