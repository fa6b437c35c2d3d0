"""How a series is shown: turned into the standard position, with letters, and in which planes.

Radiologists see axial slices from below: the patient's right is on the left of the image, the front
at the top. Whatever the rows and columns of the files, slices are turned so; where no header tells
the directions, they are shown as they are, without letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hemodetect.imaging.orientation import AXIAL, Turn, turn_of
from hemodetect.imaging.study import Slice, SliceGeometry

_AXES = (("R", "L"), ("A", "P"), ("F", "H"))
"""Letters against and along x, y and z of the patient coordinate system."""
_EVEN = 0.1  # largest difference of a gap from the middle one, as a part of it
_TILT = 0.02  # largest shift along the slice, as a part of the step between slices: 1 degree
_FEWEST_SLICES = 3


@dataclass(frozen=True)
class Display:
    """How a series is shown.

    Attributes:
        turn: of its slices.
        letters: at the left, right, upper and lower edge; None where the directions are not known.
        spacing_mm: between displayed rows and columns; None where that is not known.
        step_mm: between slices where coronal and sagittal planes can be made, else None.
        no_planes: why they cannot; "" where they can.
        upwards: the slices go from the feet to the head.
        positions_mm: of the slices along their normal, growing towards the head; empty where not known.
    """

    turn: Turn
    letters: tuple[str, str, str, str] | None
    spacing_mm: tuple[float, float] | None
    step_mm: float | None
    no_planes: str
    upwards: bool
    positions_mm: tuple[float, ...]

    @property
    def turned_sentence(self) -> str:
        """What was done to the slices; "" where nothing was."""
        if self.turn.is_none:
            return ""
        return (
            "The slices are turned for display: the files hold another direction."
            " The patient's right is on the left."
        )


def display_of(slices: Sequence[Slice]) -> Display:
    """How the slices of one series, in order, are shown."""
    known = [image.geometry for image in slices if image.geometry is not None]
    if not known or len(known) < len(slices):
        reason = "Other planes need the position of every slice; these files do not tell it."
        return Display(Turn(), None, None, None, reason, True, ())
    first = known[0]
    turn = turn_of(slices)
    spacing = (first.row_spacing_mm, first.column_spacing_mm)
    step, reason = _step(known, slices)
    # Of axial slices towards the head, whichever way the normal of mirrored rows points.
    sign = -1 if first.normal[2] < 0 else 1
    positions = tuple(sign * geometry.position_mm for geometry in known)
    return Display(
        turn,
        _letters(first, turn),
        spacing[::-1] if turn.transposed else spacing,
        step,
        reason,
        positions[0] <= positions[-1],
        positions,
    )


def _letters(geometry: SliceGeometry, turn: Turn) -> tuple[str, str, str, str] | None:
    """At the left, right, upper and lower edge of a slice as shown."""
    if geometry.row_direction is None or geometry.column_direction is None:
        return None
    right, down = np.array(geometry.row_direction), np.array(geometry.column_direction)
    if turn.transposed:
        right, down = down, right
    right = -right if turn.columns_flipped else right
    down = -down if turn.rows_flipped else down
    return _letter(-right), _letter(right), _letter(-down), _letter(down)


def _letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return _AXES[axis][int(direction[axis] > 0)]


def _step(known: list[SliceGeometry], slices: Sequence[Slice]) -> tuple[float | None, str]:
    """Distance between slices, or None and why other planes are not offered."""
    if len(known) < _FEWEST_SLICES:
        return None, "Other planes need three slices or more."
    if abs(known[0].normal[2]) < AXIAL or known[0].row_direction is None:
        return None, "Other planes are offered for axial slices of known direction only."
    if len({image.shape for image in slices}) > 1:
        return None, "Other planes are not offered: the slices differ in size."
    gaps = np.diff([geometry.position_mm for geometry in known])
    step = float(np.median(gaps))
    if step == 0 or np.abs(gaps / step - 1).max() > _EVEN:
        return None, "Other planes are not offered: the slices are not evenly spaced."
    corners = [geometry.corner_mm for geometry in known]
    if None in corners:
        return None, "Other planes need the position of every slice; this study was saved without."
    moved = np.diff(np.array(corners, dtype=float), axis=0)
    along = moved @ np.array(known[0].normal)
    sideways = moved - along[:, None] * np.array(known[0].normal)
    if np.linalg.norm(sideways, axis=1).max() > _TILT * abs(step):
        return None, "Other planes are not offered: the gantry was tilted, they would be skewed."
    return abs(step), ""
