"""Whether pictures are slices of a head in the brain window: all that their grey levels can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hemodetect.imaging.sampling import evenly_spaced
from hemodetect.imaging.study import Slice
from hemodetect.preprocessing.head import MASK_SIDE, head_mask, largest_piece
from hemodetect.preprocessing.model_input import resized
from hemodetect.preprocessing.morphology import opened

_LOOKED_AT = 24
_MOST_PICTURES = 0.5  # of those looked at
_BRIGHT_BORDER, _DARK = 170, 60
_SHEET_PIECES = 4
_PIECE = 0.012  # of the picture
_FLAT_BRAIN = 10.0  # grey levels between the 25th and 75th percentile of the brain
_SOFT_BONE = 0.3  # of the skull's pixels that are white in a brain window at least

FILM_SHEET = (
    "A picture shows many slices side by side, as a sheet of film does. The models need one slice a"
    " picture; export the slices one by one."
)
NEGATIVE = (
    "The pictures are negatives: the air around the head is white. Invert them, or export them again"
    " with black for air."
)
OTHER_WINDOW = (
    "The pictures are not in the brain window: the brain shows no contrast and the skull is not white,"
    " as in a bone window. Export them in the brain window (width 80, level 40), or give the DICOM"
    " files."
)
COLOURED = (
    "The pictures are in colour, and their colour channels differ, so it cannot be known which of them"
    " shows the brain window. Export them as grey pictures in the brain window."
)


def picture_stop(slices: Sequence[Slice]) -> str | None:
    """Why these pictures may not be read, and what to do; None where they may.

    Args:
        slices: of one series, grey.
    """
    looked_at = [slices[index] for index in evenly_spaced(len(slices), _LOOKED_AT)]
    for sentence, is_so in (
        (COLOURED, _is_coloured),
        (NEGATIVE, _is_negative),
        (FILM_SHEET, _is_sheet),
    ):
        if float(np.mean([is_so(image) for image in looked_at])) >= _MOST_PICTURES:
            return sentence
    windows = [other for image in looked_at if (other := _is_other_window(image)) is not None]
    if windows and float(np.mean(windows)) >= _MOST_PICTURES:
        return OTHER_WINDOW
    return None


def _is_coloured(image: Slice) -> bool:
    return image.is_coloured


def _is_negative(image: Slice) -> bool:
    values = image.values
    sides = (values[0], values[-1], values[:, 0], values[:, -1])
    has_dark_bone = float(np.percentile(values, 3)) < _DARK
    return has_dark_bone and sum(float(np.median(s)) > _BRIGHT_BORDER for s in sides) >= 3


def _is_sheet(image: Slice) -> bool:
    """Several rounded pieces of like size that do not touch."""
    small = resized(image.values, 2 * MASK_SIDE)
    rest = opened(small > 40, 2)
    sizes: list[int] = []
    while len(sizes) < 2 * _SHEET_PIECES:
        piece = largest_piece(rest)
        if piece is None or piece.sum() < _PIECE * rest.size:
            break
        sizes.append(int(piece.sum()))
        rest = rest & ~piece
    return len(sizes) >= _SHEET_PIECES and sizes[_SHEET_PIECES - 1] > 0.4 * sizes[0]


def _is_other_window(image: Slice) -> bool | None:
    """None where the slice shows too little brain to tell."""
    small = resized(image.values, MASK_SIDE)
    mask = head_mask(small)
    if mask is None or mask.sum() < 3000:
        return None
    inner = _shrunk(mask, 0.62)
    rim = mask & ~_shrunk(mask, 0.8)
    brain = small[inner]
    spread = float(np.subtract(*np.percentile(brain, (75, 25))))
    bright = small[rim & (small > 150)]
    white = float((bright >= 245).mean()) if len(bright) > 60 else 0.0
    return spread < _FLAT_BRAIN and white < _SOFT_BONE


def _shrunk(mask: np.ndarray, scale: float) -> np.ndarray:
    """The mask made smaller about its middle."""
    rows, columns = np.nonzero(mask)
    middle = rows.mean(), columns.mean()
    grid = np.mgrid[: mask.shape[0], : mask.shape[1]]
    source = [(axis - centre) / scale + centre for axis, centre in zip(grid, middle, strict=True)]
    nearest = [
        np.clip(axis.round().astype(int), 0, side - 1)
        for axis, side in zip(source, mask.shape, strict=True)
    ]
    return mask[nearest[0], nearest[1]]
