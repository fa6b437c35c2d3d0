"""From a slice's grey image to the square the models take."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resized(grey: np.ndarray, size: int) -> np.ndarray:
    """(size, size) uint8 of a (rows, columns) uint8 image.

    Bilinear with the filter widened when shrinking (Pillow's antialiased BILINEAR), the aspect
    ratio not kept, as the study's loader did.
    """
    image = Image.fromarray(np.ascontiguousarray(grey))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
