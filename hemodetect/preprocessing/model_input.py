"""From slices to the grey squares that models take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from hemodetect.imaging.orientation import turn_of
from hemodetect.imaging.study import Slice
from hemodetect.imaging.windows import brain_grey


def resized(grey: np.ndarray, size: int) -> np.ndarray:
    """(size, size) uint8 of a (rows, columns) uint8 image.

    Bilinear with the filter widened when shrinking (Pillow's antialiased BILINEAR), the aspect
    ratio not kept, as the study's loader did.
    """
    image = Image.fromarray(np.ascontiguousarray(grey))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def model_input(series: Sequence[Slice], size: int) -> np.ndarray:
    """(n, size, size) uint8 of a series, in the brain window where HU are known.

    Slices are turned as a CT is shown (`imaging.orientation`): models know heads with the front at the
    top.
    """
    turn = turn_of(series)
    return np.stack([resized(turn.shown(brain_grey(image)), size) for image in series])
