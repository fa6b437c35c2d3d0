"""Confusion matrices and ROC curves as vector drawings that can be read in black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from reportlab.graphics.shapes import (
    Circle,
    Drawing,
    Group,
    Line,
    Polygon,
    PolyLine,
    Rect,
    Shape,
    String,
)
from reportlab.lib.colors import Color, HexColor, linearlyInterpolatedColor, white

from hemodetect.evaluation import Confusion, Scores
from hemodetect.evaluation.comparison import ComparedModel
from hemodetect.evaluation.curves import RocCurve
from hemodetect.evaluation.table import area
from hemodetect.figures.comparing import CELLS
from hemodetect.figures.theme import FAMILY_STYLE
from hemodetect.reports.pdf import BOLD, FONT, GREY, INK, RULE, WIDTH, fitted, printable

PER_ROW = 5
"""Confusion matrices side by side."""
MOST_CURVES = 8
"""ROC curves in one chart; more could not be distinguished."""

_LABELS, _CELL, _GAP = 50.0, 42.0, 8.0
_RIGHT, _WRONG = HexColor("#8fbbdc"), HexColor("#f0b27a")
_SIDE, _LEFT, _BELOW = 248.0, 40.0, 34.0
_DASHES = {
    "solid": None,
    "dash": (5, 3),
    "dashdot": (5, 2, 1, 2),
    "longdash": (10, 3),
    "longdashdot": (10, 2.5, 1.5, 2.5),
}
"""Plotly's names -> points on and off."""


def confusion_drawing(panels: Sequence[tuple[str, str, Confusion]]) -> Drawing:
    """A row of at most `PER_ROW` matrices, with counts, percentages of the row and cell names.

    Args:
        panels: title, second line and counts of each matrix.
    """
    height = 2 * _CELL + 48
    drawing = Drawing(WIDTH, height)
    bottom = 22.0
    for row, side in enumerate(("none", "hemorrhage")):
        middle = bottom + (1.5 - row) * _CELL
        drawing.add(_text(_LABELS - 4, middle + 1, "labelled", 6.5, anchor="end", colour=GREY))
        drawing.add(_text(_LABELS - 4, middle - 7, side, 6.5, anchor="end", colour=GREY))
    for panel, (title, below, confusion) in enumerate(panels):
        left = _LABELS + panel * (2 * _CELL + _GAP)
        for shape in _matrix(left, bottom, confusion):
            drawing.add(shape)
        head = bottom + 2 * _CELL
        drawing.add(_text(left, head + 14, printable(title, 60), 8, bold=True, room=2 * _CELL))
        drawing.add(_text(left, head + 4, printable(below, 30), 6.5, colour=GREY, room=2 * _CELL))
    return drawing


def roc_drawing(
    models: Sequence[ComparedModel], roc: Mapping[str, RocCurve], scores: Mapping[str, Scores]
) -> Drawing:
    """ROC curves of at most `MOST_CURVES` models, lettered, with their operating points."""
    drawing = Drawing(WIDTH, _SIDE + _BELOW + 6)
    for shape in _axes():
        drawing.add(shape)
    lines = {model.key: _points(roc[model.key]) for model in models}
    for model in models:
        dash = _DASHES[FAMILY_STYLE[model.family].dash]
        drawing.add(
            PolyLine(
                lines[model.key].ravel().tolist(), strokeColor=_colour(model.family),
                strokeWidth=1.3, strokeDashArray=dash, strokeLineJoin=1,
            )
        )  # fmt: skip
    for model, (x, y) in zip(models, _label_places(list(lines.values())), strict=True):
        drawing.add(_lettered(x, y, model, _letter(models, model)))
    for number, model in enumerate(models):
        model_scores = scores[model.key]
        rates = np.array([1 - model_scores.specificity.value, model_scores.sensitivity.value])
        x, y = _on_paper(rates).tolist()
        drawing.add(_symbol(x, y, model.family))
        top = _BELOW + _SIDE - 10 - 33 * number
        for shape in _legend_entry(
            top, model, _letter(models, model), roc[model.key], model_scores
        ):
            drawing.add(shape)
    return drawing


def _matrix(left: float, bottom: float, confusion: Confusion) -> list[Shape]:
    shapes: list[Shape] = []
    sides = ("none", "hemorrhage")
    for cell, (label, call, meaning) in CELLS.items():
        count = getattr(confusion, cell)
        of_row = sum(getattr(confusion, c) for c, (row, *_) in CELLS.items() if row == label)
        share = count / of_row if of_row else 0.0
        x = left + _CELL * sides.index(call)
        y = bottom + _CELL * (1 - sides.index(label))
        full = _RIGHT if meaning == "right" else _WRONG
        shapes.append(
            Rect(
                x, y, _CELL, _CELL, strokeColor=GREY, strokeWidth=0.6,
                fillColor=linearlyInterpolatedColor(white, full, 0, 1, share),
            )
        )  # fmt: skip
        middle, room = x + _CELL / 2, _CELL - 4
        for offset, text, size, bold in (
            (26, f"{count:,}", 9.5, True),
            (15.5, f"{100 * share:.0f} %", 7.5, False),
            (6, meaning, 6.5, False),
        ):
            shapes.append(_text(middle, y + offset, text, size, "middle", bold=bold, room=room))
    for column, side in enumerate(sides):
        middle = left + _CELL * (column + 0.5)
        shapes.append(_text(middle, bottom - 8, "called", 6.5, "middle", colour=GREY))
        shapes.append(_text(middle, bottom - 16, side, 6.5, "middle", colour=GREY))
    return shapes


def _axes() -> list[Shape]:
    shapes: list[Shape] = []
    for tick in range(0, 101, 20):
        along = _SIDE * tick / 100
        line = {"strokeColor": RULE, "strokeWidth": 0.4}
        shapes += [
            Line(_LEFT + along, _BELOW, _LEFT + along, _BELOW + _SIDE, **line),
            Line(_LEFT, _BELOW + along, _LEFT + _SIDE, _BELOW + along, **line),
            _text(_LEFT + along, _BELOW - 11, f"{tick}", 7, "middle"),
            _text(_LEFT - 5, _BELOW + along - 2.5, f"{tick}", 7, "end"),
        ]
    shapes.append(
        Line(
            _LEFT, _BELOW, _LEFT + _SIDE, _BELOW + _SIDE, strokeColor=GREY, strokeWidth=0.7,
            strokeDashArray=(1, 2),
        )
    )  # fmt: skip
    shapes.append(Rect(_LEFT, _BELOW, _SIDE, _SIDE, fillColor=None, strokeColor=GREY))
    middle = _LEFT + _SIDE / 2
    shapes.append(_text(middle, 8, "False alarms (1 − specificity), %", 7.5, "middle"))
    upright = Group(_text(0, 0, "Sensitivity, %", 7.5, "middle"))
    upright.transform = (0, 1, -1, 0, 10, _BELOW + _SIDE / 2)
    return [*shapes, upright]


def _legend_entry(
    top: float, model: ComparedModel, letter: str, curve: RocCurve, model_scores: Scores
) -> list[Shape]:
    left = _LEFT + _SIDE + 22
    text, room = left + 54, WIDTH - left - 54
    style = FAMILY_STYLE[model.family]
    errors = (
        f"sensitivity {100 * model_scores.sensitivity.value:.0f} %, "
        f"false alarms {100 * (1 - model_scores.specificity.value):.0f} %"
    )
    return [
        _lettered(left + 4, top - 4, model, letter),
        Line(
            left + 12, top - 4, left + 48, top - 4, strokeColor=_colour(model.family),
            strokeWidth=1.3, strokeDashArray=_DASHES[style.dash],
        ),
        _symbol(left + 30, top - 4, model.family),
        _text(text, top, printable(model.name), 8, bold=True, room=room),
        _text(text, top - 10, f"AUROC {area(curve.auroc)}", 7.2, room=room),
        _text(text, top - 19, errors, 7.2, colour=GREY, room=room),
    ]  # fmt: skip


def _points(curve: RocCurve) -> np.ndarray:
    """(k, 2) points on paper, without those nearer than a third of a point to the one before."""
    points = _on_paper(np.stack([curve.false_positive_rate, curve.sensitivity], axis=1))
    steps = np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum()
    spaced = np.flatnonzero(np.diff(steps // 0.33, prepend=-1) > 0) + 1
    return points[np.unique([0, *spaced, len(points) - 1])]


def _label_places(lines: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """A label position on every line, far from the other lines and labels."""
    dense = [_resampled(line) for line in lines]
    places: list[tuple[float, float]] = []
    for number, line in enumerate(dense):
        other_lines = [other for n, other in enumerate(dense) if n != number]
        candidates = line[15:-15]
        distance = np.full(len(candidates), np.inf)
        # Labels already placed push away more than lines do.
        for others, weight in [(o, 1.0) for o in other_lines] + [
            (np.array([p]), 0.3) for p in places
        ]:
            nearest = np.linalg.norm(candidates[:, None] - others[None], axis=2).min(axis=1)
            distance = np.minimum(distance, weight * nearest)
        x, y = candidates[distance.argmax() if len(dense) > 1 else len(candidates) // 2]
        places.append((float(x), float(y)))
    return places


def _resampled(line: np.ndarray) -> np.ndarray:
    """(100, 2) points at even steps along a line (k, 2)."""
    along = np.concatenate([[0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    even = np.linspace(0, along[-1], 100)
    return np.stack([np.interp(even, along, line[:, axis]) for axis in (0, 1)], axis=1)


def _symbol(x: float, y: float, family: str) -> Shape:
    look = {"fillColor": _colour(family), "strokeColor": INK, "strokeWidth": 0.8}
    symbol = FAMILY_STYLE[family].symbol
    if symbol == "circle":
        return Circle(x, y, 3.6, **look)
    if symbol == "x":
        edges = [
            Line(x - 3.4, y - rise, x + 3.4, y + rise, strokeColor=colour, strokeWidth=width)
            for colour, width in ((INK, 2.6), (_colour(family), 1.2))
            for rise in (3.4, -3.4)
        ]
        return Group(*edges)
    corners = {
        "square": [(-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)],
        "diamond": [(0, -4.6), (4.6, 0), (0, 4.6), (-4.6, 0)],
        "triangle-up": [(-4.2, -3), (4.2, -3), (0, 4.6)],
    }[symbol]
    return Polygon([c for dx, dy in corners for c in (x + dx, y + dy)], **look)


def _lettered(x: float, y: float, model: ComparedModel, letter: str) -> Group:
    colour = _colour(model.family)
    return Group(
        Circle(x, y, 5.2, fillColor=white, strokeColor=colour, strokeWidth=0.9),
        _text(x, y - 2.6, letter, 7, "middle", bold=True),
    )


def _letter(models: Sequence[ComparedModel], model: ComparedModel) -> str:
    return "ABCDEFGH"[list(models).index(model)]


def _on_paper(rates: np.ndarray) -> np.ndarray:
    """(..., 2) points for false-positive rate and sensitivity, (..., 2) from 0 to 1."""
    return np.array([_LEFT, _BELOW]) + _SIDE * rates


def _colour(family: str) -> Color:
    """The family's colour, darkened for a contrast of 4.5 on white (WCAG 2.1)."""
    colour = HexColor(FAMILY_STYLE[family].colour)
    while _luminance(colour) > 1.05 / 4.5 - 0.05:
        colour = Color(0.95 * colour.red, 0.95 * colour.green, 0.95 * colour.blue)
    return colour


def _luminance(colour: Color) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.1), with a plain gamma of 2.2."""
    return 0.2126 * colour.red**2.2 + 0.7152 * colour.green**2.2 + 0.0722 * colour.blue**2.2


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    anchor: str = "start",
    *,
    bold: bool = False,
    colour: Color = INK,
    room: float | None = None,
) -> String:
    """Text on its base line, with a smaller font where it is wider than `room` points."""
    font = BOLD if bold else FONT
    return String(
        x, y, text, textAnchor=anchor, fontName=font, fillColor=colour,
        fontSize=size if room is None else fitted(text, room, size, font),
    )  # fmt: skip
