"""The slice in view, beside it where the CNN and the attention RNN looked, in register.

All panels share their axes: zooming into one zooms into all.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from hemodetect.explain.overlay import full_attention, heatmap_overlay, in_register, row_attention
from hemodetect.figures.theme import ACCENT, BACKGROUND, MUTED, TEXT, UNWANTED_BUTTONS

LARGEST_SIDE = 1024
"""Slices are shown no larger; heat maps are coarser than that by far."""
_STRIP_WIDTH = 0.16
"""Longest attention bar, as a part of the slice's width."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A CNN map ready to be shown.

    Attributes:
        values: (rows, columns) float32 in [0, 1], of any resolution.
        method: its name.
        scale: what 1 stands for, e.g. "strongest in this study".
    """

    values: np.ndarray
    method: str
    scale: str


def slice_view(
    grey: np.ndarray,
    *,
    heat: HeatMap | None,
    attention: np.ndarray | None,
    opacity: float,
    height: int = 520,
) -> go.Figure:
    """The panels.

    Args:
        grey: (rows, columns) uint8, the slice in its window.
        heat: the CNN's map, or None where there is no CNN.
        attention: (steps,) weights of the image rows summing to 1, or None.
        opacity: of the maps, 0 to 1.
        height: of the figure in pixels.
    """
    display_grey = _shrunk(grey)
    rows, columns = display_grey.shape
    panels: list[tuple[str, np.ndarray, str]] = [("Slice", display_grey, "png")]
    if heat is not None:
        values = np.clip(in_register(heat.values, display_grey.shape), 0, 1)
        overlay = heatmap_overlay(display_grey, values, opacity)
        panels.append((f"CNN: {heat.method}, evidence for hemorrhage", overlay, "jpeg"))
    if attention is not None:
        overlay = heatmap_overlay(
            display_grey, row_attention(attention, display_grey.shape), opacity * 0.6
        )
        panels.append(("Attention RNN: weight of the image rows", overlay, "jpeg"))
    figure = make_subplots(
        rows=1,
        cols=len(panels),
        subplot_titles=[title for title, *_ in panels] if len(panels) > 1 else None,
        horizontal_spacing=0.012,
        shared_xaxes="all",
        shared_yaxes="all",
    )
    for column, (title, image, kind) in enumerate(panels, start=1):
        picture = go.Image(source=_data_uri(image, kind), name=title, hoverinfo="skip")
        figure.add_trace(picture, row=1, col=column)
    if attention is not None:
        figure.add_trace(_strip(attention, rows, columns), row=1, col=len(panels))
        figure.add_trace(
            _scale(
                len(panels),
                len(panels),
                "attention of a row",
                ["none", f"{full_attention(attention) * len(attention):.0f} even shares"],
            )
        )
    if heat is not None:
        figure.add_trace(_scale(2, len(panels), "evidence for hemorrhage", ["none", heat.scale]))
    figure.update_xaxes(visible=False, range=[-0.5, columns - 0.5], constrain="domain")
    figure.update_yaxes(
        visible=False, range=[rows - 0.5, -0.5], scaleanchor="x", constrain="domain"
    )
    figure.update_annotations(font={"size": 14, "color": TEXT})
    figure.update_layout(
        height=height,
        # Titles above and colour bars below, where there is more than the slice.
        margin={"l": 0, "r": 0} | ({"t": 32, "b": 64} if len(panels) > 1 else {"t": 0, "b": 0}),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor=BACKGROUND,
        font={"color": MUTED, "size": 12},
        dragmode="pan",
        modebar={"remove": UNWANTED_BUTTONS},
        showlegend=False,
        uirevision=f"{rows}x{columns}",
        bargap=0,
    )
    return figure


def png_bytes(grey: np.ndarray, side: int) -> bytes:
    """A thumbnail of (rows, columns) uint8, its longer side `side` pixels."""
    image = Image.fromarray(np.ascontiguousarray(grey))
    image.thumbnail((side, side))
    return _encoded(image, "png")


def _shrunk(grey: np.ndarray) -> np.ndarray:
    largest = max(grey.shape)
    if largest <= LARGEST_SIDE:
        return grey
    image = Image.fromarray(np.ascontiguousarray(grey))
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _strip(attention: np.ndarray, rows: int, columns: int) -> go.Bar:
    """Bars at the right edge, one a step, longest where the attention is greatest."""
    steps = len(attention)
    per_step = rows / steps
    length = attention / full_attention(attention) * _STRIP_WIDTH * columns
    first = np.arange(steps) * per_step
    return go.Bar(
        orientation="h",
        x=-length,
        base=columns - 0.5,
        y=first + per_step / 2 - 0.5,
        width=per_step,
        marker={"color": ACCENT, "opacity": 0.75, "line": {"width": 0}},
        customdata=attention * steps,
        hovertemplate="row %{y:.0f}: %{customdata:.1f} times an even share<extra></extra>",
    )


def _scale(panel: int, panels: int, title: str, ends: list[str]) -> go.Scatter:
    """A colour bar below a panel, hung on a point that is not drawn."""
    return go.Scatter(
        x=[None],
        y=[None],
        hoverinfo="skip",
        marker={
            "color": [0],
            "cmin": 0,
            "cmax": 1,
            "colorscale": "Inferno",
            "showscale": True,
            "colorbar": {
                "orientation": "h",
                "x": (panel - 0.5) / panels,
                "y": -0.02,
                "yanchor": "top",
                "len": 0.8 / panels,
                "thickness": 8,
                "tickvals": [0.06, 0.85],
                "ticktext": ends,
                "title": {"text": title, "side": "top", "font": {"size": 12}},
                "outlinewidth": 0,
            },
        },
    )


def _data_uri(image: np.ndarray, kind: str) -> str:
    data = _encoded(Image.fromarray(np.ascontiguousarray(image)), kind)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    # The slice itself stays lossless; overlays are colour over anatomy, and three times smaller so.
    options = {"compress_level": 1} if kind == "png" else {"quality": 90}
    image.save(buffer, kind, **options)
    return buffer.getvalue()
