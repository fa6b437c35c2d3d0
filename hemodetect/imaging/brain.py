"""Where in a CT series the brain lies, by its pixels: soft tissue inside a ring of bone.

A vertebra encloses 4 cm2, a shoulder or an open chest nothing; the lowest slices of the brain
enclose more than 30 cm2. Gaps in the skull up to 8 mm are closed. Slices with a wider one lie between
closed ones, and count with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hemodetect.imaging.sampling import evenly_spaced
from hemodetect.imaging.study import Slice

_STEP_MM = 2.0
_BONE_HU = 220
_BRAIN_HU = (0, 110)
_VESSEL_HU = (130, 500)
_LEAST_BRAIN_CM2 = 30.0
_MOST_LOOKED_AT = 64
"""Slices of one series that are looked at; thin ones are skipped in between."""


@dataclass(frozen=True)
class BrainRange:
    """The part of a series that shows brain.

    Attributes:
        first, last: indices of its lowest and highest slice in the order of the series.
        level_hu: median of the brain.
        vessel_cm2: median area of bright islands in its slices above the base: calcifications,
            and vessels where contrast was given.
    """

    first: int
    last: int
    level_hu: float
    vessel_cm2: float


def brain_range(slices: Sequence[Slice]) -> BrainRange | None:
    """The part of one series in HU that shows brain; None where no slice does.

    Args:
        slices: in order; without geometry, pixels of 0.5 mm are assumed.
    """
    looked_at = evenly_spaced(len(slices), _MOST_LOOKED_AT)
    measured = {int(index): _measured(slices[index]) for index in looked_at}
    with_brain = [index for index, (area, _, _) in measured.items() if area >= _LEAST_BRAIN_CM2]
    if not with_brain:
        return None
    above_base = with_brain[2 * len(with_brain) // 5 :]
    return BrainRange(
        with_brain[0],
        with_brain[-1],
        float(np.median([measured[index][1] for index in with_brain])),
        float(np.median([measured[index][2] for index in above_base])),
    )


def _measured(image: Slice) -> tuple[float, float, float]:
    """(cm2 of brain, its median HU, cm2 of vessels) of one slice."""
    geometry = image.geometry
    row_mm = geometry.row_spacing_mm if geometry else 0.5
    column_mm = geometry.column_spacing_mm if geometry else 0.5
    rows = int(np.clip(round(image.shape[0] * row_mm / _STEP_MM), 8, 512))
    columns = int(np.clip(round(image.shape[1] * column_mm / _STEP_MM), 8, 512))
    values = cv2.resize(
        np.clip(image.values, -1024, 3000).astype(np.float32),
        (columns, rows),
        interpolation=cv2.INTER_AREA,
    )
    bone = (values > _BONE_HU).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    bordered = cv2.copyMakeBorder(bone, 4, 4, 4, 4, cv2.BORDER_CONSTANT)
    ring = cv2.morphologyEx(bordered, cv2.MORPH_CLOSE, disc)
    outlines, _ = cv2.findContours(ring, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(ring)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    inside = ((filled > 0) & (ring == 0))[4:-4, 4:-4]
    brain = inside & (values > _BRAIN_HU[0]) & (values < _BRAIN_HU[1])
    cm2 = row_mm * column_mm * image.shape[0] * image.shape[1] / (rows * columns) / 100
    level = float(np.median(values[brain])) if brain.any() else 0.0
    return float(brain.sum()) * cm2, level, _bright_islands(values, filled[4:-4, 4:-4]) * cm2


def _bright_islands(values: np.ndarray, filled: np.ndarray) -> float:
    """Pixels inside the skull that are bright and do not touch it."""
    bright = ((values > _VESSEL_HU[0]) & (filled > 0)).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    if count < 2:
        return 0.0
    skull = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    islands = (labels > 0) & (labels != skull)
    return float((islands & (values < _VESSEL_HU[1])).sum())
