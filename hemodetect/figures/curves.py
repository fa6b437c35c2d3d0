"""ROC, precision-recall, reliability and score histograms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb
from plotly.subplots import make_subplots

from hemodetect.evaluation.calibration import Reliability, ScoreHistogram
from hemodetect.evaluation.curves import PrecisionRecallCurve, RocCurve
from hemodetect.evaluation.table import area, percent
from hemodetect.figures.theme import FAMILY_STYLE, MUTED, TEXT, FamilyStyle, themed

_POINTS = 200
"""Most points of a curve that take clicks; more would slow the page and lie under each other."""


def roc_figure(
    curves: Mapping[str, RocCurve],
    names: Mapping[str, str],
    families: Mapping[str, str],
    points: Mapping[str, tuple[float, float]],
    banded: str,
) -> go.Figure:
    """A ROC curve a model; a point's `customdata` is [key, threshold], so that a click sets it.

    Args:
        curves: key -> curve.
        names, families: of each key.
        points: key -> (false positive rate, sensitivity) at the threshold in force, marked.
        banded: the model whose interval is drawn.
    """
    figure = go.Figure()
    if banded in curves:
        curve = curves[banded]
        figure.add_traces(_band(curve.grid, curve.low, curve.high, _style(families[banded])))
    for key, curve in curves.items():
        indices = _thinned(len(curve.threshold))
        # The first threshold is infinite: nothing is called. A slider ends at 1.
        limits = np.clip(curve.threshold[indices], 0, 1)
        figure.add_trace(
            _line(
                100 * curve.false_positive_rate[indices],
                100 * curve.sensitivity[indices],
                f"{names[key]}: {area(curve.auroc)}",
                _style(families[key]),
            ).update(
                customdata=[[key, float(limit)] for limit in limits],
                hovertemplate=f"{names[key]}: sensitivity %{{y:.0f}} %, false alarms %{{x:.0f}} %"
                "<br>threshold %{customdata[1]:.1%}, click to take it<extra></extra>",
            )
        )
        if key in points:
            figure.add_trace(_operating_point(*points[key], names[key], _style(families[key])))
    figure.add_trace(_reference([0, 100], [0, 100], "guessing"))
    return _square(
        figure, "False alarms (1 - specificity), %", "Sensitivity, %", "AUROC, 95 % interval"
    )


def precision_recall_figure(
    curves: Mapping[str, PrecisionRecallCurve],
    names: Mapping[str, str],
    families: Mapping[str, str],
    banded: str,
) -> go.Figure:
    """A precision-recall curve a model, and the share of hemorrhages that guessing would have."""
    figure = go.Figure()
    if banded in curves:
        curve = curves[banded]
        figure.add_traces(_band(curve.grid, curve.low, curve.high, _style(families[banded])))
    for key, curve in curves.items():
        indices = _thinned(len(curve.recall))
        figure.add_trace(
            _line(
                100 * curve.recall[indices],
                100 * curve.precision[indices],
                f"{names[key]}: {area(curve.average_precision)}",
                _style(families[key]),
            ).update(
                hovertemplate=f"{names[key]}: of calls, %{{y:.0f}} % right at a sensitivity of"
                " %{x:.0f} %<extra></extra>"
            )
        )
    share = 100 * next(iter(curves.values())).positive_share
    figure.add_trace(_reference([0, 100], [share, share], "guessing"))
    return _square(
        figure, "Sensitivity (recall), %", "Calls that are right (precision), %",
        "Average precision, 95 % interval",
    )  # fmt: skip


def reliability_figure(
    curves: Mapping[str, Reliability],
    names: Mapping[str, str],
    families: Mapping[str, str],
    banded: str,
) -> go.Figure:
    """Predicted against observed shares of hemorrhage; the diagonal is perfect.

    Intervals are drawn for the model `banded`; those of all would hide the points.
    """
    figure = go.Figure()
    for key, curve in curves.items():
        style = _style(families[key])
        figure.add_trace(
            _line(
                100 * curve.predicted,
                100 * curve.observed,
                f"{names[key]}: {area(curve.brier)}, {percent(curve.expected_calibration_error)}",
                style,
            ).update(
                marker={"symbol": style.symbol, "size": 8, "opacity": 1},
                customdata=curve.n,
                error_y={
                    "type": "data",
                    "visible": key == banded,
                    "array": error_lengths(100 * (curve.high - curve.observed)),
                    "arrayminus": error_lengths(100 * (curve.observed - curve.low)),
                    "thickness": 1,
                    "width": 2,
                },
                hovertemplate=f"{names[key]}: predicted %{{x:.0f}} %, observed %{{y:.0f}} %"
                " of %{customdata:,}<extra></extra>",
            )
        )
    figure.add_trace(_reference([0, 100], [0, 100], "perfect"))
    return _square(
        figure, "Probability the model gave, %", "Share with hemorrhage, %",
        "Brier score, calibration error",
    )  # fmt: skip


def histogram_figure(
    histograms: Mapping[str, ScoreHistogram], names: Mapping[str, str]
) -> go.Figure:
    """How either class's probabilities spread; a panel a model, shares of each class."""
    figure = make_subplots(
        rows=1,
        cols=len(histograms),
        subplot_titles=[names[key] for key in histograms],
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    classes = (("no hemorrhage", "negative", MUTED, ""), ("hemorrhage", "positive", "#d55e00", "/"))
    for panel, histogram in enumerate(histograms.values(), start=1):
        middles = 50 * (histogram.edges[1:] + histogram.edges[:-1])
        for label, column, colour, pattern in classes:
            counts = getattr(histogram, column)
            figure.add_trace(
                go.Bar(
                    x=middles,
                    y=100 * counts / max(counts.sum(), 1),
                    name=f"labelled {label}",
                    legendgroup=label,
                    showlegend=panel == 1,
                    marker={"color": colour, "pattern": {"shape": pattern}, "line": {"width": 0}},
                    opacity=0.75,
                    customdata=counts,
                    hovertemplate=f"{label}: %{{customdata:,}} (%{{y:.0f}} %)<extra></extra>",
                ),
                row=1,
                col=panel,
            )
    figure.update_xaxes(title="Probability, %", range=[0, 100], tickvals=[0, 50, 100])
    figure.update_yaxes(title="Share of the class, %", col=1)
    figure.update_annotations(font={"size": 13, "color": TEXT})
    return themed(
        figure, height=280, barmode="overlay", bargap=0.05,
        legend={"orientation": "h", "x": 0, "y": 1.2, "yanchor": "bottom"},
        margin={"l": 60, "r": 10, "t": 80, "b": 50},
    )  # fmt: skip


def _style(family: str) -> FamilyStyle:
    return FAMILY_STYLE[family]


def _line(x: np.ndarray, y: np.ndarray, name: str, style: FamilyStyle) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": style.colour, "dash": style.dash, "width": 1.8},
        marker={"symbol": "circle", "size": 9, "opacity": 0.01},
        selected={"marker": {"opacity": 0.01}},
        unselected={"marker": {"opacity": 0.01}},
    )


def _band(
    grid: np.ndarray, low: np.ndarray, high: np.ndarray, style: FamilyStyle
) -> list[go.Scatter]:
    if not np.isfinite(low).any():
        return []
    red, green, blue = hex_to_rgb(style.colour)
    return [
        go.Scatter(
            x=100 * np.concatenate([grid, grid[::-1]]),
            y=100 * np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},0.15)",
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
    ]


def _operating_point(
    false_positive_rate: float, sensitivity: float, name: str, style: FamilyStyle
) -> go.Scatter:
    return go.Scatter(
        x=[100 * false_positive_rate],
        y=[100 * sensitivity],
        mode="markers",
        marker={
            "symbol": style.symbol, "size": 13, "color": style.colour,
            "line": {"color": TEXT, "width": 2},
        },
        hovertemplate=f"{name} at its threshold<extra></extra>",
        showlegend=False,
    )  # fmt: skip


def _reference(x: list[float], y: list[float], name: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, name=name, mode="lines", hoverinfo="skip",
        line={"color": MUTED, "width": 1, "dash": "dot"},
    )  # fmt: skip


def _thinned(n: int) -> np.ndarray:
    """Indices of at most `_POINTS` of n points, first and last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))


def error_lengths(lengths: np.ndarray) -> np.ndarray:
    """Lengths of error bars; none where there is no interval."""
    return np.nan_to_num(np.maximum(lengths, 0), nan=0.0)


def _square(figure: go.Figure, x: str, y: str, legend: str) -> go.Figure:
    figure.update_xaxes(title=x, range=[-2, 102])
    figure.update_yaxes(title=y, range=[-2, 102])
    return themed(
        figure, height=470, clickmode="event+select", hovermode="closest",
        legend={"title": {"text": legend}, "x": 0, "y": -0.24, "yanchor": "top", "font": {"size": 12}},
        margin={"l": 60, "r": 10, "t": 20, "b": 60},
    )  # fmt: skip
