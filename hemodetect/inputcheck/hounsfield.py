"""Whether values in HU are those of a head: air near -1000, brain between 10 and 60, inside bone.

Two faults are repaired where the outcome proves the repair: values stored modulo 4096 (12 bits without
a sign, so that air is 3096), and a missing intercept of -1024 (air is 0 or 24).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from hemodetect.imaging.brain import brain_range
from hemodetect.imaging.sampling import evenly_spaced
from hemodetect.imaging.study import Slice

_AIR_HU = (-1100, -850)
_BRAIN_HU = (10, 60)
_WRAPPED_FROM = 2900  # above the densest bone of most heads, below air that wrapped around
_WRAP = 4096
_MISSING_INTERCEPT = 1024
_LUNG_HU = (-950, -500)
_BODY_HU = -400
_MOST_LUNG = 0.08  # of the body; sinuses and mastoids of a head stay below 0.05
_LARGEST_HEAD_CM2 = 380.0
_ENOUGH_MM = 60.0
_LOOKED_AT = 24

OTHER_PART = (
    "The slices show another part of the body, not a head. The models know head CT only; open the"
    " series of the head."
)
NO_BRAIN = (
    "No brain inside a skull was found in these slices. The models know head CT only; check that the"
    " series shows the head, in Hounsfield units."
)


@dataclass(frozen=True, eq=False)
class HounsfieldFindings:
    """Why the models may not run, or None; the slices as repaired, and what was repaired, or ""."""

    stop: str | None
    slices: tuple[Slice, ...]
    repair: str = ""


def hounsfield_findings(slices: tuple[Slice, ...]) -> HounsfieldFindings:
    """Looks at the values of one series in HU.

    Args:
        slices: in order.
    """
    fault = _fault(slices)
    if fault is None:
        return HounsfieldFindings(None, slices)
    for repaired, sentence in ((_unwrapped(slices), _UNWRAPPED), (_shifted(slices), _SHIFTED)):
        if repaired is not None and _fault(repaired) is None and _has_brain(repaired):
            return HounsfieldFindings(None, repaired, sentence)
    return HounsfieldFindings(fault, slices)


_UNWRAPPED = (
    "The values were stored modulo 4096, as 12 bits without a sign; they were turned back into"
    " Hounsfield units (air is near -1000 and brain near 30 after it)."
)
_SHIFTED = (
    "The header lacks the intercept of -1024; it was taken off, after which air is near -1000 and"
    " brain near 30."
)


def _looked_at(slices: Sequence[Slice]) -> list[Slice]:
    return [slices[index] for index in evenly_spaced(len(slices), _LOOKED_AT)]


def _fault(slices: Sequence[Slice]) -> str | None:
    """What is wrong with the values, as a sentence that says what to do."""
    air = _air_hu(slices)
    if air is not None and not _AIR_HU[0] <= air <= _AIR_HU[1]:
        return (
            f"Air around the head has {air:.0f} Hounsfield units, where -1000 is expected, so the"
            " values are not those of a CT. Export the series again from the scanner or the PACS."
        )
    brain = brain_range(slices)
    if brain is None:
        if _is_other_part(slices):
            return OTHER_PART
        return NO_BRAIN if _covered_mm(slices) >= _ENOUGH_MM else None
    if not _BRAIN_HU[0] <= brain.level_hu <= _BRAIN_HU[1]:
        return (
            f"The brain has {brain.level_hu:.0f} Hounsfield units, where 20 to 45 are expected, so"
            " this is not a plain CT of the head. Open the original series."
        )
    return None


def _has_brain(slices: Sequence[Slice]) -> bool:
    return brain_range(slices) is not None


def _air_hu(slices: Sequence[Slice]) -> float | None:
    """Median of the darkest side of each slice; None where tissue reaches all borders."""
    borders = []
    for image in _looked_at(slices):
        values = image.values
        sides = (values[0], values[-1], values[:, 0], values[:, -1])
        borders.append(min(float(np.median(side)) for side in sides))
    level = float(np.median(borders))
    darkest = min(float(np.percentile(image.values, 1)) for image in _looked_at(slices))
    if level > _AIR_HU[1] and darkest < _AIR_HU[1]:
        return None  # a cut-out: tissue reaches the border, and air is elsewhere
    return max(level, _AIR_HU[0])  # padding outside the circle of reconstruction is lower


def _unwrapped(slices: tuple[Slice, ...]) -> tuple[Slice, ...] | None:
    if min(float(image.values.min()) for image in slices) < 0:
        return None
    return tuple(
        _with_values(
            image, np.where(image.values >= _WRAPPED_FROM, image.values - _WRAP, image.values)
        )
        for image in slices
    )


def _shifted(slices: tuple[Slice, ...]) -> tuple[Slice, ...] | None:
    if min(float(image.values.min()) for image in slices) < -_MISSING_INTERCEPT:
        return None
    return tuple(_with_values(image, image.values - _MISSING_INTERCEPT) for image in slices)


def _with_values(image: Slice, values: np.ndarray) -> Slice:
    values = values.astype(image.values.dtype)
    values.flags.writeable = False
    return replace(image, values=values)


def _covered_mm(slices: Sequence[Slice]) -> float:
    places = [image.geometry.position_mm for image in slices if image.geometry]
    return max(places) - min(places) if len(places) == len(slices) > 1 else 0.0


def _is_other_part(slices: Sequence[Slice]) -> bool:
    """Lungs, or a body larger than any head, in half of the slices."""
    seen = [_lung_or_trunk(image) for image in _looked_at(slices)]
    return float(np.mean(seen)) >= 0.5


def _lung_or_trunk(image: Slice) -> bool:
    tissue = (image.values > _BODY_HU).astype(np.uint8)
    outlines, _ = cv2.findContours(tissue, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return False
    body = np.zeros_like(tissue)
    largest = max(outlines, key=cv2.contourArea)
    cv2.drawContours(body, [largest], -1, 1, cv2.FILLED)
    inside = body > 0
    lung = inside & (image.values > _LUNG_HU[0]) & (image.values < _LUNG_HU[1])
    if float(lung.sum()) > _MOST_LUNG * float(inside.sum()):
        return True
    geometry = image.geometry
    if geometry is None:
        return False
    pixel_cm2 = geometry.row_spacing_mm * geometry.column_spacing_mm / 100
    return float(inside.sum()) * pixel_cm2 > _LARGEST_HEAD_CM2
