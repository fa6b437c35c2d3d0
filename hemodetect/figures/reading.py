"""The chart of a study: every slice's probability, a line a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from hemodetect.evaluation.levels import called
from hemodetect.figures.theme import FAMILY_STYLE, MUTED, TEXT, percent, themed
from hemodetect.models.families import FAMILY_NAMES

MARKERS_SHOWN = 40
"""Most symbols drawn along a line; beyond, they hide it. Every slice can still be clicked."""


def slice_probabilities(
    probabilities: Mapping[str, np.ndarray], thresholds: Mapping[str, float], current: int
) -> go.Figure:
    """Every slice's probability of hemorrhage, a line a family.

    Every point carries the index of its slice as `customdata`, so that a selection event gives it.

    Args:
        probabilities: family -> (n,) in [0, 1].
        thresholds: family -> operating point.
        current: index of the slice in view, marked by a vertical line.
    """
    figure = go.Figure()
    families = [family for family in FAMILY_NAMES if family in probabilities]
    one_threshold = len({thresholds[family] for family in families}) == 1
    for family in families:
        figure.add_trace(
            _probability_line(family, probabilities[family], thresholds[family], one_threshold)
        )
        if not one_threshold:
            _add_threshold(figure, thresholds[family], FAMILY_STYLE[family].colour)
    if one_threshold:
        _add_threshold(figure, thresholds[families[0]], TEXT)
        figure.add_annotation(
            x=1, xref="paper", y=100 * thresholds[families[0]], xanchor="left", showarrow=False,
            xshift=4, align="left", text=f"threshold<br>{percent(thresholds[families[0]])}",
            font={"color": MUTED, "size": 11},
        )  # fmt: skip
    n = max(len(probabilities[family]) for family in families)
    figure.add_vline(x=current + 1, line={"color": TEXT, "width": 2}, layer="below")
    figure.add_annotation(
        x=current + 1, y=1, yref="paper", yanchor="bottom", showarrow=False,
        text=f"slice {current + 1}", font={"color": TEXT},
    )  # fmt: skip
    figure.update_xaxes(
        title="Slice", range=[0.5, n + 0.5], tickformat="d", dtick=1 if n <= 20 else None,
        unifiedhovertitle={"text": "Slice %{x}"},
        spikethickness=1, spikecolor=MUTED, spikedash="dot",
    )  # fmt: skip
    figure.update_yaxes(
        title="Probability of hemorrhage", range=[-3, 103], tickvals=[0, 25, 50, 75, 100],
        ticktext=["0 %", "25 %", "50 %", "75 %", "100 %"],
    )  # fmt: skip
    # A hover distance of -1 takes the nearest slice: a click anywhere in the chart opens one.
    return themed(
        figure, height=340, hovermode="x unified", hoverdistance=-1, clickmode="event+select",
        uirevision="slices", legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0},
        margin={"l": 70, "r": 70, "t": 70, "b": 50},
    )  # fmt: skip


def slice_weights(weights: np.ndarray, current: int) -> go.Figure:
    """How much the attention RNN's answer for the study rests on each slice.

    Args:
        weights: (n,) summing to 1.
        current: index of the slice in view.
    """
    n = len(weights)
    shares = np.asarray(weights, dtype=float) * n
    colours = [
        TEXT if index == current else FAMILY_STYLE["attention_rnn"].colour for index in range(n)
    ]
    figure = go.Figure(
        go.Bar(
            x=np.arange(n) + 1,
            y=shares,
            marker={"color": colours, "line": {"width": 0}},
            hovertemplate="Slice %{x}: %{y:.1f} times an even share<extra></extra>",
        )
    )
    figure.update_xaxes(range=[0.5, n + 0.5], visible=False)
    top = max(float(shares.max()), 3.0)
    figure.update_yaxes(range=[0, top], tickvals=[0, top], ticktext=["0", f"{top:.0f} x"])
    return themed(
        figure, height=90, bargap=0.1, showlegend=False, margin={"l": 70, "r": 70, "t": 4, "b": 4}
    )  # fmt: skip


def _probability_line(
    family: str, probability: np.ndarray, threshold: float, one_threshold: bool
) -> go.Scatter:
    style = FAMILY_STYLE[family]
    name = FAMILY_NAMES[family]
    index = np.arange(len(probability))
    suspicious = called(np.asarray(probability), threshold)
    return go.Scatter(
        x=index + 1,
        y=100 * np.asarray(probability, dtype=float),
        name=name if one_threshold else f"{name} (threshold {percent(threshold)})",
        mode="lines+markers",
        line={"color": style.colour, "dash": style.dash, "width": 1.8},
        marker={"symbol": style.symbol, "size": 8, "maxdisplayed": MARKERS_SHOWN, "opacity": 1},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=index,
        text=np.where(suspicious, "suspicious", "not suspicious"),
        hovertemplate=f"{name}: %{{y:.0f}} %, %{{text}}<extra></extra>",
    )


def _add_threshold(figure: go.Figure, threshold: float, colour: str) -> None:
    figure.add_hline(
        y=100 * threshold, line={"color": colour, "width": 1, "dash": "dot"}, opacity=0.6,
        layer="below",
    )  # fmt: skip
