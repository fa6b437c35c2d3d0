"""Pictures that lie beside a patient's slices and are not them: masks, and other windows.

Sets for segmentation keep a mask beside a slice (``14.png``, ``14_HGE_Seg.png``). Others keep the
bone window beside the brain window (``brain/14.png``, ``bone/14.png``). Their numbers are the slices'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hemodetect.imaging.sampling import evenly_spaced
from hemodetect.imaging.series import Stack

MASK = "masks beside the slices"
OTHER_WINDOW = "another window of the same slices"
SAME_SLICES = "the same slices once more"
_MASK_WORDS = re.compile(
    r"(?<![a-z])(seg|segs|segmented|segmentation|mask|masks|label|labels|labelled|roi|rois|gt|"
    r"annotation|annotations|annotated|contour|contours|overlay|overlays|groundtruth|truth)(?![a-z])"
)
_WINDOW_WORDS = re.compile(
    r"(?<![a-z])(bone|bones|subdural|stroke|lung|soft|wide|liver|abdomen|mediastinum)(?![a-z])"
)
_BRAIN_WORDS = re.compile(r"(?<![a-z])(brain|parenchyma|cerebral|cerebrum)(?![a-z])")
_LOOKED_AT = 9
_NEAR_LEVEL = 24  # what JPEG makes of one level at an edge
_TWO_LEVELS = 0.97  # of a mask's pixels
_JPEG_LEVELS = 6.0
_ALL_BUT_EMPTY = 0.9  # a slice of air has two levels too


def picture_reasons(stacks: Sequence[Stack]) -> dict[int, str]:
    """Why picture series are set aside, by `id` of the stack; the others are left out."""
    drawn = {id(stack): is_mask(stack) for stack in stacks}
    reasons = {
        id(stack): MASK
        for stack in stacks
        if drawn[id(stack)]
        and any(_has_slices_of(stack, other) for other in stacks if not drawn[id(other)])
    }
    slices = [stack for stack in stacks if id(stack) not in reasons]
    if not slices:
        return {}
    for stack in slices:
        peers = [other for other in slices if other is stack or _same_numbers(stack, other)]
        best = min(peers, key=_window_rank)
        if best is not stack:
            reasons[id(stack)] = SAME_SLICES if _are_alike(stack, best) else OTHER_WINDOW
    return reasons


def is_mask(stack: Stack) -> bool:
    """Whether the pictures are drawings on slices: called so, or of two levels only."""
    if _MASK_WORDS.search(stack.name):
        return True
    return float(np.mean([_two_levels(image) for image in _some(stack)])) > _ALL_BUT_EMPTY


def _some(stack: Stack) -> list[np.ndarray]:
    chosen = evenly_spaced(len(stack.members), _LOOKED_AT)
    return [stack.members[index].slice.values for index in chosen]


def _two_levels(image: np.ndarray) -> bool:
    """Whether nearly all pixels have one of two levels."""
    counts = np.bincount(image.ravel(), minlength=256).astype(float)
    low = int(np.argmax(counts))
    near = np.convolve(counts, np.ones(2 * _NEAR_LEVEL + 1), "same")
    away = near.copy()
    away[max(0, low - 2 * _NEAR_LEVEL) : low + 2 * _NEAR_LEVEL + 1] = 0
    return bool(near[low] + away.max() >= _TWO_LEVELS * image.size)


def _has_slices_of(mask: Stack, stack: Stack) -> bool:
    return bool(mask.numbers) and set(stack.numbers).issuperset(mask.numbers)


def _same_numbers(first: Stack, second: Stack) -> bool:
    return bool(first.numbers) and len(first.numbers) > 1 and first.numbers == second.numbers


def _are_alike(first: Stack, second: Stack) -> bool:
    """Whether two series show the same pixels, but for what JPEG changes."""
    pairs = list(zip(_some(first), _some(second), strict=True))
    return all(
        a.shape == b.shape and float(np.abs(a.astype(int) - b).mean()) < _JPEG_LEVELS
        for a, b in pairs
    )


def _window_rank(stack: Stack) -> tuple[int, int, int, str]:
    """Least for the brain window: by the words of its name, then by its pixels."""
    other = bool(_WINDOW_WORDS.search(stack.name)) or bool(_MASK_WORDS.search(stack.name))
    brain = bool(_BRAIN_WORDS.search(stack.name))
    return int(other) - int(brain), -round(10 * _white(stack)), len(stack.name), stack.name


def _white(stack: Stack) -> float:
    """Share of the head's brightest pixels that are white: all bone in the brain window."""
    shares = []
    for image in _some(stack):
        bright = image > 200
        if bright.sum() > 20:
            shares.append(float((image >= 250).sum() / bright.sum()))
    return float(np.median(shares)) if shares else 0.0
