"""Windows: the range of HU (or of grey levels) displayed from black to white."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemodetect.imaging.study import Slice


@dataclass(frozen=True)
class Window:
    """Width and level (centre), in HU, or in grey levels for pictures without HU."""

    width: float
    level: float


WINDOWS_HU = {
    "brain": Window(80, 40),
    "subdural": Window(200, 80),
    "stroke": Window(40, 40),
    "bone": Window(2800, 600),
    "soft tissue": Window(350, 40),
}
"""Usual windows of a head CT, by name."""
BRAIN = WINDOWS_HU["brain"]
"""The window in which models take slices in HU."""
FULL_GREY = Window(255, 127.5)
"""All 256 levels of a grey picture, unchanged."""


def windowed(values: np.ndarray, window: Window) -> np.ndarray:
    """uint8 image of `values` (any shape): level - width/2 is black, level + width/2 is white."""
    low = window.level - window.width / 2
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / window.width)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def brain_grey(image: Slice) -> np.ndarray:
    """(rows, columns) uint8, the input of the models: brain window of HU, or grey unchanged."""
    return windowed(image.values, BRAIN) if image.units == "HU" else image.values
