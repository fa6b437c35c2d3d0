"""Position of the head in a slice, and the slice turned, scaled and cut to the head.

Poses and masks come from the cached 128 x 128 pictures. There a picture that was not square (a
hand-cropped one) is squeezed; `Head.cut` restores its aspect ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from hemodetect.dataset.cache import Dataset
from hemodetect.preprocessing.head import MASK_SIDE, head_mask, head_pose, series_turn


@dataclass(frozen=True, eq=False)
class Head:
    """One slice with its head.

    Attributes:
        row: row in the data set's table.
        grey: (128, 128) uint8.
        mask: (128, 128) bool, the head without holes.
        centre: (row, column) of the mask, in pixels of equal height and width.
        radius: square root of the mask's area.
        turn: rotation of the head from upright in radians, one value a patient.
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
            turn: additional rotation in radians.
            scale: factor on the width of the cut.
            margin: width of the cut at scale 1, in radii.
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
    of_patients = slices.groupby("patient").indices
    for patient in slices["patient"].unique():
        of_patient = np.asarray(of_patients[patient])
        places = np.linspace(0, len(of_patient) - 1, min(per_patient, len(of_patient)))
        rows[str(patient)] = of_patient[places.round().astype(int)]
    return rows


def patient_heads(dataset: Dataset, per_patient: int) -> dict[str, list[Head]]:
    """Heads in evenly spread slices of every patient; slices without one are left out."""
    grey = dataset.grey(MASK_SIDE)
    aspects = (dataset.slices["rows"] / dataset.slices["columns"]).to_numpy()
    return {
        patient: _posed([(row, np.asarray(grey[row]), float(aspects[row])) for row in rows])
        for patient, rows in spread_rows(dataset.slices, per_patient).items()
    }


def _posed(pictures: list[tuple[int, np.ndarray, float]]) -> list[Head]:
    masks = [head_mask(grey) for _, grey, _ in pictures]
    poses = [
        None if mask is None else head_pose(mask, aspect)
        for mask, (_, _, aspect) in zip(masks, pictures, strict=True)
    ]
    turn = series_turn(pose for pose in poses if pose is not None)
    return [
        Head(row, grey, mask, pose.centre, pose.radius, turn, aspect)
        for (row, grey, aspect), mask, pose in zip(pictures, masks, poses, strict=True)
        if mask is not None and pose is not None
    ]
