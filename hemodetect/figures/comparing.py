"""Confusion matrices and differences: squares that open into their cases when clicked.

A Plotly heat map gives no selection in Streamlit (its issue 8760). So cells are drawn as shapes, which
follow the width of the page, and over each lies an invisible marker that takes the click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from hemodetect.evaluation import Confusion
from hemodetect.evaluation.differences import Agreement
from hemodetect.figures.theme import ACCENT, MUTED, SURFACE, TEXT, themed

_SHADES = [[0, SURFACE], [1, "#1f6f9f"]]
_CLICKABLE = 64
"""Pixels of a cell's marker; a narrow page's cells are hardly larger."""


@dataclass(frozen=True)
class _Cell:
    """One square: where it stands (column, row), what it shows and what a click on it gives."""

    x: int
    y: int
    text: str
    shade: float
    click: tuple[str, str]
    hover: str


CELLS = {
    "tn": ("none", "none", "right"),
    "fp": ("none", "hemorrhage", "false alarm"),
    "fn": ("hemorrhage", "none", "missed"),
    "tp": ("hemorrhage", "hemorrhage", "right"),
}
"""Cell -> label, call, and what that is."""
_SIDES = ("none", "hemorrhage")


def confusion_matrices(
    confusions: Mapping[str, Confusion],
    names: Mapping[str, str],
    selected: tuple[str, str] | None = None,
) -> go.Figure:
    """A matrix a model, labels down and calls across.

    Every cell's `customdata` is [key of the model, "tn" | "fp" | "fn" | "tp"].

    Args:
        confusions: key -> counts.
        names: key -> name for people.
        selected: the cell that is open below, outlined.
    """
    panels = [
        [_confusion_cell(key, names[key], cell, confusion) for cell in CELLS]
        for key, confusion in confusions.items()
    ]
    traces, shapes = _traces_and_shapes(panels, selected)
    layout = _confusion_layout(tuple(f"<b>{names[key]}</b>" for key in confusions))
    return go.Figure({"data": traces, "layout": layout | {"shapes": shapes}})


@lru_cache(maxsize=32)
def _confusion_layout(titles: tuple[str, ...]) -> dict[str, Any]:
    """All but the cells; Plotly takes four times as long over it as over them at every threshold."""
    figure = _panels(titles)
    figure.update_xaxes(ticktext=list(_SIDES), title="called")
    figure.update_yaxes(ticktext=[f"labelled<br>{side}" for side in _SIDES], col=1)
    themed(
        figure,
        height=270,
        clickmode="event+select",
        margin={"l": 80, "r": 4, "t": 30, "b": 50},
        showlegend=False,
    )
    return dict(figure.to_plotly_json()["layout"])


def difference_matrix(
    agreements: Mapping[tuple[str, str], Agreement],
    names: Mapping[str, str],
    selected: tuple[str, str] | None = None,
) -> go.Figure:
    """Model against model: in row A and column B, cases that A has right and B wrong.

    A cell's `customdata` is [key of A, key of B].

    Args:
        agreements: (A, B) -> counts, for every ordered pair of models.
        names: key -> name for people, in order.
        selected: the cell that is open below, outlined.
    """
    keys = list(names)
    largest_count = max((counts.only_a for counts in agreements.values()), default=0) or 1
    cells = [
        _Cell(
            x=keys.index(b),
            y=keys.index(a),
            text=f"<b>{counts.only_a:,}</b>",
            shade=counts.only_a / largest_count,
            click=(a, b),
            hover=f"{names[a]} right, {names[b]} wrong: {counts.only_a:,}",
        )
        for (a, b), counts in agreements.items()
    ]
    figure = _panels([""])
    traces, shapes = _traces_and_shapes([cells], selected)
    figure.add_traces(traces)
    figure.update_layout(shapes=shapes)
    ticks = {"tickvals": list(range(len(keys))), "ticktext": [names[key] for key in keys]}
    edge = [-0.5, len(keys) - 0.5]
    figure.update_xaxes(**ticks, title="wrong", range=edge, side="top")
    figure.update_yaxes(**ticks, title="right", range=edge[::-1])
    return themed(
        figure,
        height=90 + 62 * len(keys),
        clickmode="event+select",
        margin={"l": 150, "r": 4, "t": 60, "b": 10},
        showlegend=False,
    )


def _confusion_cell(key: str, name: str, cell: str, confusion: Confusion) -> _Cell:
    label, call, meaning = CELLS[cell]
    n = getattr(confusion, cell)
    of_row = sum(getattr(confusion, other) for other, (row, *_) in CELLS.items() if row == label)
    share = n / of_row if of_row else 0.0
    return _Cell(
        x=_SIDES.index(call),
        y=_SIDES.index(label),
        text=f"<b>{n:,}</b><br>{100 * share:.0f} %<br>{meaning}",
        shade=share,
        click=(key, cell),
        hover=f"{name}: {n:,} labelled {label}, called {call}",
    )


def _panels(titles: Sequence[str]) -> go.Figure:
    figure = make_subplots(
        rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=0.015
    )
    figure.update_xaxes(tickvals=[0, 1], range=[-0.5, 1.5], showgrid=False, fixedrange=True)
    figure.update_yaxes(
        tickvals=[0, 1], range=[1.5, -0.5], showgrid=False, fixedrange=True, ticktext=["", ""]
    )
    figure.update_annotations(font={"size": 14, "color": TEXT})
    return figure


def _traces_and_shapes(
    panels: Sequence[Sequence[_Cell]], selected: tuple[str, str] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The markers of every panel, and the shapes under them."""
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for panel, cells in enumerate(panels, start=1):
        axis = "" if panel == 1 else str(panel)
        for cell in cells:
            chosen = cell.click == selected
            shapes.append(
                {
                    "type": "rect",
                    "xref": f"x{axis}",
                    "yref": f"y{axis}",
                    "x0": cell.x - 0.47,
                    "x1": cell.x + 0.47,
                    "y0": cell.y - 0.47,
                    "y1": cell.y + 0.47,
                    "fillcolor": sample_colorscale(_SHADES, [min(cell.shade, 1.0)])[0],
                    "line": {"color": ACCENT if chosen else MUTED, "width": 3 if chosen else 1},
                    "layer": "below",
                }
            )
        traces.append(
            {
                "type": "scatter",
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "x": [cell.x for cell in cells],
                "y": [cell.y for cell in cells],
                "text": [cell.text for cell in cells],
                "customdata": [list(cell.click) for cell in cells],
                "hovertext": [cell.hover + "<br>click to see them" for cell in cells],
                "hoverinfo": "text",
                "mode": "markers+text",
                "textfont": {"color": "#ffffff", "size": 13},
                "marker": {"symbol": "square", "size": _CLICKABLE, "color": "rgba(0,0,0,0.01)"},
                "selected": {"marker": {"opacity": 1}},
                "unselected": {"marker": {"opacity": 1}, "textfont": {"color": "#ffffff"}},
            }
        )
    return traces, shapes
