"""Which series is read unless the reader chooses another, and why each of the others is not.

A plain axial head in HU comes first. Among the series that are not set aside:

1. those without contrast that were not computed from others, if one of them shows at least 60 % of
   the brain that the study shows anywhere;
2. of these, those that cover at least 80 % of the brain that the fullest covers (of the length,
   where no brain is found);
3. of these, those with a soft kernel: noise of soft tissue between neighbouring pixels, scaled to
   1 mm slices, at most twice the least of all;
4. of these, the one with the most slices.

A series that goes on far below the head is parted there, and the lower part set aside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hemodetect.imaging.brain import BrainRange, brain_range
from hemodetect.imaging.picture_kinds import picture_reasons
from hemodetect.imaging.series import Stack
from hemodetect.imaging.study import Series
from hemodetect.settings import Settings

_SOFT_TISSUE_HU = (-100, 180)  # 0 to 80, and the noise of a sharp kernel
_LEAST_TISSUE_PIXELS = 200
_COVERED = 0.8
_PLAIN_COVERED = 0.6
_SHARP = 2.0
_BRAIN_HU = (12, 60)
_CONTRAST_CM2 = 0.5
_BELOW_HEAD_MM = 60.0
_KEPT_BELOW_MM = 20.0
_SLAB_MM = 90.0
_REPEATED = 3
WITH_CONTRAST = "with contrast"
REST_OF_BODY = "below the head"


@dataclass(frozen=True, eq=False)
class Choice:
    """The proposed stack, and all as series: it first, the others with why they are not read."""

    stack: Stack
    series: tuple[Series, ...]


def proposed_first(stacks: Sequence[Stack], limits: Settings) -> Choice:
    """Chooses among at least one stack; first the readable series follow, then those set aside."""
    stacks = [*stacks]
    brains = {id(stack): _brain(stack) for stack in stacks} if _is_choice(stacks) else {}
    pictures = picture_reasons([stack for stack in stacks if stack.is_picture])
    reasons = {
        id(stack): _reason_alone(stack, stacks) or pictures.get(id(stack)) for stack in stacks
    }
    readable = [s for s in stacks if reasons[id(s)] is None] or list(stacks)
    best, second = _best(readable, brains)
    is_readable = {id(stack) for stack in readable}
    for stack in stacks:
        reasons[id(stack)] = (
            reasons[id(stack)] or _other_patient_or_study(stack, best) or second.get(id(stack))
        )
    parts = {id(s): _head_and_below(s, brains.get(id(s)) or _long_brain(s)) for s in stacks}
    for stack in list(stacks):
        if pair := parts[id(stack)]:
            head, below = pair
            reasons |= {id(head): reasons[id(stack)], id(below): REST_OF_BODY}
            if id(stack) in is_readable:
                is_readable.add(id(head))
            stacks[stacks.index(stack) : stacks.index(stack) + 1] = pair
            best = head if stack is best else best
    ordered = sorted(
        stacks,
        key=lambda s: (s is not best, id(s) not in is_readable, -len(s.members), _identity(s)),
    )
    series = tuple(
        replace(stack, cautions=(*stack.cautions, *_cautions(stack, stacks))).series(
            reasons[id(stack)], limits
        )
        for stack in ordered
    )
    return Choice(best, series)


def _is_choice(stacks: Sequence[Stack]) -> bool:
    readable = [s for s in stacks if not s.members[0].set_aside and not s.is_picture]
    return len(readable) > 1


def _brain(stack: Stack) -> BrainRange | None:
    first = stack.members[0]
    if first.slice.units != "HU" or first.set_aside or stack.plane not in (None, "axial"):
        return None
    return brain_range([item.slice for item in stack.members])


def _long_brain(stack: Stack) -> BrainRange | None:
    return _brain(stack) if stack.covered_mm > _SLAB_MM + _BELOW_HEAD_MM else None


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


def _best(
    stacks: Sequence[Stack], brains: Mapping[int, BrainRange | None]
) -> tuple[Stack, dict[int, str]]:
    """The best stack, and by `id` why each of the others is not."""
    covered = {id(s): _brain_mm(s, brains.get(id(s))) for s in stacks}
    if not any(covered.values()):
        covered = {id(s): _length_mm(s) for s in stacks}
    longest = max(covered.values())
    computed = {id(s): reason for s in stacks if (reason := _not_plain(s, stacks, brains))}
    plain = [s for s in stacks if id(s) not in computed]
    candidates = list(stacks)
    reasons: dict[int, str] = {}
    if any(covered[id(s)] >= _PLAIN_COVERED * longest for s in plain):
        candidates, reasons = plain, computed
        longest = max(covered[id(s)] for s in plain)
    covering = [s for s in candidates if covered[id(s)] >= _COVERED * longest]
    noise = {id(s): _noise(s) for s in covering} if len(covering) > 1 else {}
    least = min(noise.values(), default=math.inf)
    soft = [s for s in covering if noise.get(id(s), 0) <= _SHARP * least or least == math.inf]
    best = max(soft or covering, key=lambda s: (len(s.members), _identity(s)))
    for stack in candidates:
        if stack not in covering:
            reasons[id(stack)] = "covers less of the head"
        elif soft and stack not in soft:
            reasons[id(stack)] = "sharp kernel"
        elif stack is not best:
            fewer = len(stack.members) < len(best.members)
            reasons[id(stack)] = "fewer slices" if fewer else "as good as the one that is read"
    return best, reasons


def _identity(stack: Stack) -> str:
    """What decides between equals: not the order in which files came."""
    return min(item.content or item.instance or item.slice.source for item in stack.members)


def _not_plain(
    stack: Stack, stacks: Sequence[Stack], brains: Mapping[int, BrainRange | None]
) -> str | None:
    if any(item.contrast for item in stack.members):
        return WITH_CONTRAST
    if any(item.derived for item in stack.members):
        return "computed from other images"
    brain = brains.get(id(stack))
    if brain is None:
        return None
    low, high = _BRAIN_HU
    if not low <= brain.level_hu <= high:
        return "computed map"
    vessels = [other.vessel_cm2 for s in stacks if (other := brains.get(id(s)))]
    return WITH_CONTRAST if brain.vessel_cm2 >= min(vessels) + _CONTRAST_CM2 else None


def _brain_mm(stack: Stack, brain: BrainRange | None) -> float:
    positions = stack.positions_mm
    if brain is None or not positions:
        return 0.0
    return abs(positions[brain.last] - positions[brain.first])


def _length_mm(stack: Stack) -> float:
    positions = stack.positions_mm
    return max(positions) - min(positions) if positions else 0.0


def _head_and_below(stack: Stack, brain: BrainRange | None) -> list[Stack] | None:
    """The head of a series and what lies below it; None where it covers hardly more than a head."""
    positions = np.abs(np.array(stack.positions_mm) - (stack.positions_mm or [0.0])[0])
    if brain is None or not len(positions) or positions[brain.first] < _BELOW_HEAD_MM:
        return None
    start = int(np.searchsorted(positions, positions[brain.first] - _KEPT_BELOW_MM))
    covered, kept = f"{stack.covered_mm:.0f}", f"{stack.covered_mm - positions[start]:.0f}"
    said = (
        f"The series covers {covered} mm; its upper {kept} mm show the head and are read, slices"
        f" {start + 1} to {len(positions)} of {len(positions)}."
    )

    def part(first: int, last: int, cautions: tuple[str, ...]) -> Stack:
        members, numbers = stack.members[first:last], stack.numbers[first:last]
        return replace(
            stack, members=members, numbers=numbers, cautions=(*stack.cautions, *cautions)
        )

    return [part(start, len(positions), (said,)), part(0, start, ())]


def _cautions(stack: Stack, stacks: Sequence[Stack]) -> list[str]:
    sentences = []
    covered = stack.covered_mm
    if len(stack.members) > 1 and 0 < covered < _SLAB_MM:
        repeats = sum(_same_slab(stack, other) for other in stacks)
        times = f", {repeats} times" if repeats >= _REPEATED else ""
        sentences.append(
            f"The series covers {covered:.0f} mm{times}; a head takes about 150 mm. What lies"
            " outside was not seen by the models."
        )
    if len({item.patient for item in stack.members}) > 1:
        sentences.append(
            "The files of this series carry different patient numbers; check that they are one"
            " patient's."
        )
    if not stack.is_ordered:
        sentences.append(
            "The files do not tell the order of the slices, so they are in the order of their names."
            " Number the files to have them in order."
        )
    return sentences


def _same_slab(stack: Stack, other: Stack) -> bool:
    mine, theirs = stack.positions_mm, other.positions_mm
    if not theirs or stack.members[0].study != other.members[0].study:
        return False
    step = stack.covered_mm / len(mine)
    return abs(min(mine) - min(theirs)) < step and abs(max(mine) - max(theirs)) < step


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
