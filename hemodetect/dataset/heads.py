"""Where the head lies in a slice, and the slice turned, scaled and cut to it.

Poses and masks are found on the cached 128 x 128 pictures. A picture that was not square (a
hand-cropped one) lies there squeezed; its aspect ratio is undone when it is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from hemodetect.dataset.cache import Dataset

SIDE = 128
_TISSUE = 45  # grey level; air and most of a head-rest's padding lie below, skin above
_SMALLEST_HEAD = 800  # pixels of 128 x 128; below that a slice shows the top of the scalp
_LARGEST_HEAD = 0.85  # of the frame; a picture filled to its corners is no head
_ROUND = 1.1  # long over short axis; below that the long axis does not tell how a head is turned
_MOST_TURNED = 0.8  # radians; a long axis further off upright is the face's, not the skull's


@dataclass(frozen=True, eq=False)
class Head:
    """One slice with its head.

    Attributes:
        row: of the data set's table.
        grey: (128, 128) uint8.
        mask: (128, 128) bool, the head without holes.
        centre: (row, column) of the mask, in pixels of equal height and width.
        radius: square root of the mask's area.
        turn: of the head against upright in radians, one value a patient.
        aspect: the picture's rows over columns.
    """

    row: int
    grey: np.ndarray
    mask: np.ndarray
    centre: tuple[float, float]
    radius: float
    turn: float
    aspect: float

    def cut(self, side: int, turn: float, scale: float, margin: float) -> np.ndarray:
        """(side, side) float32: the head upright, centred, `margin` radii wide.

        Args:
            side: pixels.
            turn: radians to turn further.
            scale: factor on the width that is cut.
            margin: width that is cut at scale 1, in radii.
        """
        step = self.radius * margin * scale / side
        cos, sin = math.cos(self.turn + turn), math.sin(self.turn + turn)
        tall, wide = self.aspect**0.5, self.aspect**-0.5
        (row, column), half = self.centre, side / 2
        affine = (
            step * cos / wide,
            step * sin / wide,
            (column - step * half * (cos + sin)) / wide + 0.5,
            -step * sin / tall,
            step * cos / tall,
            (row - step * half * (cos - sin)) / tall + 0.5,
        )
        picture = Image.fromarray(self.grey.astype(np.float32))
        return np.asarray(
            picture.transform(
                (side, side), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
            )
        )


def spread_rows(slices: pd.DataFrame, per_patient: int) -> dict[str, np.ndarray]:
    """Rows of at most `per_patient` slices of every patient, evenly spread over the folder."""
    rows = {}
    for patient in slices["patient"].unique():
        of_patient = np.flatnonzero(slices["patient"] == patient)
        places = np.linspace(0, len(of_patient) - 1, min(per_patient, len(of_patient)))
        rows[str(patient)] = of_patient[places.round().astype(int)]
    return rows


def patient_heads(dataset: Dataset, per_patient: int) -> dict[str, list[Head]]:
    """Heads in evenly spread slices of every patient; slices without one are left out."""
    grey = dataset.grey(SIDE)
    aspects = (dataset.slices["rows"] / dataset.slices["columns"]).to_numpy()
    return {
        patient: _posed([(row, np.asarray(grey[row]), float(aspects[row])) for row in rows])
        for patient, rows in spread_rows(dataset.slices, per_patient).items()
    }


def head_mask(grey: np.ndarray) -> np.ndarray | None:
    """(128, 128) bool: the largest piece of tissue, filled; None where there is no head."""
    tissue = ndimage.binary_opening(grey > _TISSUE, iterations=2)
    largest = largest_piece(tissue)
    if largest is None:
        return None
    closed = ndimage.binary_closing(np.pad(largest, 6), iterations=5)
    mask = ndimage.binary_fill_holes(closed)[6:-6, 6:-6]
    return mask if _SMALLEST_HEAD <= mask.sum() <= _LARGEST_HEAD * mask.size else None


def largest_piece(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected piece of a mask; None where the mask is empty."""
    pieces, count = ndimage.label(mask)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _posed(pictures: list[tuple[int, np.ndarray, float]]) -> list[Head]:
    found, turns = [], []
    for row, grey, aspect in pictures:
        mask = head_mask(grey)
        if mask is None:
            continue
        y, x = np.nonzero(mask)
        y, x = y * aspect**0.5, x * aspect**-0.5
        small_axis, long_axis = np.linalg.eigh(np.cov(y, x))
        direction = long_axis[:, 1] * np.copysign(1.0, long_axis[0, 1])
        turn = float(np.arctan2(direction[1], direction[0]))
        if math.sqrt(small_axis[1] / small_axis[0]) > _ROUND and abs(turn) < _MOST_TURNED:
            turns.append(turn)
        found.append((row, grey, mask, (float(y.mean()), float(x.mean())), len(y) ** 0.5, aspect))
    # One slice's long axis is unsure where the skull is round or the face comes in.
    turn = float(np.median(turns)) if len(turns) > 3 else 0.0
    return [
        Head(row, grey, mask, centre, radius, turn, aspect)
        for row, grey, mask, centre, radius, aspect in found
    ]
