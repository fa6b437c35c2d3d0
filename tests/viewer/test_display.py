"""The standard position, the letters at the edges, and when other planes can be made."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.imaging.orientation import Turn
from hemodetect.imaging.study import Slice, SliceGeometry, Vector
from hemodetect.viewer.display import display_of

LEFT, BACK, HEAD = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def against(direction: Vector) -> Vector:
    x, y, z = direction
    return -x, -y, -z


def series(
    row: Vector = LEFT,
    column: Vector = BACK,
    *,
    corners: list[Vector] | None = None,
    spacing: tuple[float, float] = (0.4, 0.5),
) -> list[Slice]:
    """Slices of 2 x 3 pixels at these corners, by default four, 5 mm apart."""
    corners = corners or [(-100.0, -90.0, 5.0 * number) for number in range(4)]
    x, y, z = (float(v) for v in np.cross(row, column))
    return [
        Slice(
            np.arange(6, dtype=np.int16).reshape(2, 3),
            "HU",
            f"{number}",
            SliceGeometry(
                float(np.dot((x, y, z), corner)), (x, y, z), *spacing, 5.0, row, column, corner
            ),
        )
        for number, corner in enumerate(corners)
    ]


def test_the_usual_direction_is_shown_as_it_is() -> None:
    display = display_of(series())
    assert display.turn.is_none
    assert display.letters == ("R", "L", "A", "P")
    assert display.turned_sentence == ""
    assert display.spacing_mm == (0.4, 0.5)
    assert display.step_mm == 5.0


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (against(LEFT), BACK),
        (LEFT, against(BACK)),  # a patient lying on the belly, as some scanners write it
        (against(LEFT), against(BACK)),
        (BACK, LEFT),
        (against(BACK), LEFT),
        (BACK, against(LEFT)),
        (against(BACK), against(LEFT)),
    ],
)
def test_any_axial_direction_is_turned_with_the_patients_right_on_the_left(
    row: Vector, column: Vector
) -> None:
    display = display_of(series(row, column))
    assert display.letters == ("R", "L", "A", "P")
    assert "turned for display" in display.turned_sentence
    # The place of each pixel in the patient: x grows to the right of the picture, y downwards.
    rows, columns = np.mgrid[:2, :3]
    x = rows * column[0] + columns * row[0]
    y = rows * column[1] + columns * row[1]
    assert (np.diff(display.turn.shown(x), axis=1) > 0).all()
    assert (np.diff(display.turn.shown(y), axis=0) > 0).all()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows_flipped", [False, True])
@pytest.mark.parametrize("columns_flipped", [False, True])
def test_a_place_goes_to_the_screen_and_back(
    transposed: bool, rows_flipped: bool, columns_flipped: bool
) -> None:
    turn = Turn(transposed, rows_flipped, columns_flipped)
    values = np.arange(6).reshape(2, 3)
    shown = turn.shown(values)
    for row in range(2):
        for column in range(3):
            place = turn.shown_place(row, column, values.shape)
            assert shown[place] == values[row, column]
            assert turn.stored_place(*place, values.shape) == (row, column)


def test_spacing_follows_a_transposed_slice() -> None:
    assert display_of(series(BACK, LEFT)).spacing_mm == (0.5, 0.4)


def test_pictures_have_no_letters_no_millimetres_and_no_planes() -> None:
    display = display_of([Slice(np.zeros((2, 2), np.uint8), "grey", "a.png")] * 3)
    assert display.letters is None
    assert display.spacing_mm is None
    assert display.step_mm is None
    assert "do not tell" in display.no_planes


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ([(0, 0, 0), (0, 0, 5), (0, 0, 10), (0, 0, 25)], "not evenly spaced"),
        ([(0, 0, 0), (0, 1.5, 5), (0, 3, 10), (0, 4.5, 15)], "gantry was tilted"),
        ([(0, 0, 0), (0, 0, 5)], "three slices"),
    ],
)
def test_other_planes_are_refused_where_they_would_be_distorted(
    corners: list[Vector], reason: str
) -> None:
    display = display_of(series(corners=corners))
    assert display.step_mm is None
    assert reason in display.no_planes


def test_slices_tilted_along_their_own_normal_are_not_skewed() -> None:
    angle = np.radians(20)
    column = (0.0, float(np.cos(angle)), float(np.sin(angle)))
    normal = np.cross(LEFT, column)
    corners = [tuple(float(v) for v in 5 * n * normal) for n in range(4)]
    display = display_of(series(LEFT, column, corners=corners))
    assert display.step_mm == pytest.approx(5)
    assert display.letters == ("R", "L", "A", "P")


def test_a_sagittal_series_is_not_turned_and_has_its_own_letters() -> None:
    display = display_of(series(BACK, against(HEAD)))
    assert display.turn.is_none
    assert display.letters == ("A", "P", "H", "F")
    assert "axial slices" in display.no_planes


@pytest.mark.parametrize("row", [LEFT, against(LEFT)])
@pytest.mark.parametrize("downwards", [False, True])
def test_the_direction_to_the_head_comes_from_the_patient_not_from_the_normal(
    row: Vector, downwards: bool
) -> None:
    """Mirrored rows turn the normal round: its positions then fall from the feet to the head."""
    heights = [0.0, 5.0, 10.0, 15.0]
    corners: list[Vector] = [(0.0, 0.0, z) for z in (heights[::-1] if downwards else heights)]
    assert display_of(series(row, BACK, corners=corners)).upwards is not downwards
