"""Which series is read unless the reader chooses another, and why the others are not.

Among axial CT series in HU that are not set aside: those that cover at least 80 % of the length
of the longest; of these, those with a soft kernel; of these, the one with the most slices. The
kernel is judged by the image itself: noise of soft tissue between neighbouring pixels, scaled to
1 mm slices, more than twice the least of all is a sharp (bone) kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hemodetect.imaging.series import Stack
from hemodetect.imaging.study import Series
from hemodetect.settings import Settings

_SOFT_TISSUE_HU = (-100, 180)  # 0 to 80, and the noise of a sharp kernel
_LEAST_TISSUE_PIXELS = 200
_COVERED = 0.8
_SHARP = 2.0


def proposed_first(stacks: Sequence[Stack], limits: Settings) -> tuple[Stack, list[Series]]:
    """The proposed stack, and all as series: it first, then the readable, then those set aside."""
    reasons = {id(stack): _reason_alone(stack, stacks) for stack in stacks}
    readable = [s for s in stacks if reasons[id(s)] is None] or list(stacks)
    best = _best(readable)
    for stack in stacks:
        reasons[id(stack)] = reasons[id(stack)] or _other_patient_or_study(stack, best)
    ordered = sorted(
        stacks, key=lambda s: (s is not best, reasons[id(s)] is not None, -len(s.members))
    )
    return best, [stack.series(reasons[id(stack)], limits) for stack in ordered]


def _reason_alone(stack: Stack, stacks: Sequence[Stack]) -> str | None:
    first = stack.members[0]
    if first.set_aside:
        return first.set_aside
    if stack.plane not in (None, "axial"):
        return f"{stack.plane} slices"
    has_hu = any(s.members[0].slice.units == "HU" and not s.members[0].set_aside for s in stacks)
    if has_hu and first.slice.units == "grey":
        return "picture beside CT slices" if stack.is_picture else "without Hounsfield units"
    return None


def _other_patient_or_study(stack: Stack, best: Stack) -> str | None:
    first, proposed = stack.members[0], best.members[0]
    if first.patient and proposed.patient and first.patient != proposed.patient:
        return "of another patient"
    if first.study and proposed.study and first.study != proposed.study:
        return "of another examination"
    return None


def _best(stacks: Sequence[Stack]) -> Stack:
    longest = max(_length_mm(s) for s in stacks)
    covering = [s for s in stacks if _length_mm(s) >= _COVERED * longest]
    noise = {id(s): _noise(s) for s in covering} if len(covering) > 1 else {}
    least = min(noise.values(), default=math.inf)
    soft = [s for s in covering if noise.get(id(s), 0) <= _SHARP * least or least == math.inf]
    return max(soft or covering, key=lambda s: len(s.members))


def _length_mm(stack: Stack) -> float:
    positions = stack.positions_mm
    return max(positions) - min(positions) if positions else 0.0


def _noise(stack: Stack) -> float:
    """Median difference of neighbouring soft-tissue pixels in the middle slice, in HU at 1 mm.

    Noise falls with the square root of the slice thickness; inf where there is too little tissue.
    """
    middle = stack.members[len(stack.members) // 2].slice
    if middle.units != "HU" or min(middle.shape) < 2:
        return math.inf
    values = middle.values.astype(np.float32)
    low, high = _SOFT_TISSUE_HU
    left, right = values[:, :-1], values[:, 1:]
    tissue = (left > low) & (left < high) & (right > low) & (right < high)
    if tissue.sum() < _LEAST_TISSUE_PIXELS:
        return math.inf
    thickness = middle.geometry.thickness_mm if middle.geometry else None
    difference = float(np.median(np.abs(left - right)[tissue]))
    return max(difference, 0.5) * math.sqrt(thickness or 1.0)
