"""Small pictures of slices."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def png_bytes(grey: np.ndarray, side: int) -> bytes:
    """A thumbnail of (rows, columns) uint8, its longer side `side` pixels."""
    image = Image.fromarray(np.ascontiguousarray(grey))
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()
