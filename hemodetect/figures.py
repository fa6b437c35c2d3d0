"""Figures for the pages: arrays and dataclasses in, Plotly figures out.

Text and lines are light, for the dark theme of a reading room. Draw with
``st.plotly_chart(figure, theme=None, config=CHART_CONFIG)``: Streamlit's own theme would replace
the colours, and Plotly's own settings offer to send the chart to its cloud. No colour carries a
meaning alone: families differ by dash and symbol too, and shades stand beside the number they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hemodetect.evaluation import Confusion
from hemodetect.families import FAMILY_NAMES

BACKGROUND = "#101418"
"""The page that the colours were chosen for (`.streamlit/config.toml`)."""
TEXT, MUTED, FAINT = "#dfe5ea", "#98a3af", "#2c353d"
SURFACE = "#1a2026"
ACCENT, VALIDATION = "#56b4e9", "#e69f00"


@dataclass(frozen=True)
class FamilyStyle:
    """How a family looks in every figure: line colour, Plotly dash, Plotly marker symbol."""

    colour: str
    dash: str
    symbol: str


FAMILY_STYLE = {
    "svm": FamilyStyle("#e69f00", "dash", "square"),
    "logistic": FamilyStyle("#f0e442", "dashdot", "triangle-up"),
    "cnn": FamilyStyle("#56b4e9", "solid", "circle"),
    "rnn": FamilyStyle("#00b389", "longdash", "diamond"),
    "attention_rnn": FamilyStyle("#e08bb9", "longdashdot", "x"),
}
"""Colours after M. Okabe and K. Ito (2008), green and purple lightened for the dark page.
Dotted lines are left to operating points."""

CHART_CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}
"""Plotly 4 shows a button "Share chart..." that uploads the figure; a patient's never leaves."""

UNWANTED_BUTTONS = [
    "sendChartToCloud", "toImage", "lasso2d", "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d",
]  # fmt: skip

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
            xshift=4, align="left", text=f"calls from<br>{_percent(thresholds[families[0]])}",
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
    return _themed(
        figure, height=340, hovermode="x unified", hoverdistance=-1, clickmode="event+select",
        uirevision="slices", legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0},
        margin={"l": 70, "r": 70, "t": 70, "b": 50},
    )  # fmt: skip


def confusion_figure(confusion: Confusion) -> go.Figure:
    """Labels against calls: a square a cell with its count and its share of the row.

    Squares are markers, so that a click selects a cell, whose `customdata` is its key: "tn", "fp",
    "fn" or "tp".
    """
    cells = [
        ("tn", "no hemorrhage", "no hemorrhage", "true negative"),
        ("fp", "no hemorrhage", "hemorrhage", "false alarm"),
        ("fn", "hemorrhage", "no hemorrhage", "missed"),
        ("tp", "hemorrhage", "hemorrhage", "true positive"),
    ]
    of_row = {
        "no hemorrhage": confusion.tn + confusion.fp,
        "hemorrhage": confusion.fn + confusion.tp,
    }
    counts = [getattr(confusion, key) for key, *_ in cells]
    shares = [
        n / of_row[label] if of_row[label] else 0.0
        for n, (_, label, *_) in zip(counts, cells, strict=True)
    ]
    texts = [
        f"<b>{n:,}</b><br>{_percent(share)} of row<br>{meaning}"
        for n, share, (*_, meaning) in zip(counts, shares, cells, strict=True)
    ]
    figure = go.Figure(
        go.Scatter(
            x=[call for _, _, call, _ in cells],
            y=[label for _, label, *_ in cells],
            customdata=[key for key, *_ in cells],
            text=texts,
            mode="markers+text",
            textfont={"color": "#ffffff", "size": 14},
            marker={
                "symbol": "square",
                "size": 116,
                "opacity": 1,
                "color": shares,
                "cmin": 0,
                "cmax": 1,
                "colorscale": [[0, SURFACE], [1, "#1f6f9f"]],
                "line": {"width": 1, "color": MUTED},
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}, "textfont": {"color": "#ffffff"}},
            hovertemplate="labelled %{y},<br>called %{x}<extra></extra>",
        )
    )
    figure.update_xaxes(
        title="Called", range=[-0.55, 1.55], showgrid=False, side="top", fixedrange=True
    )
    figure.update_yaxes(title="Labelled", range=[1.55, -0.55], showgrid=False, fixedrange=True)
    return _themed(
        figure, width=400, height=340, clickmode="event+select",
        margin={"l": 130, "r": 20, "t": 70, "b": 20},
    )  # fmt: skip


def learning_curve(history: pd.DataFrame) -> go.Figure:
    """Loss and accuracy by epoch, training and validation; a line a fold where there are several.

    A star marks the epoch that training keeps, the one with the lowest validation loss.

    Args:
        history: epoch (from 0), loss, accuracy, val_loss, val_accuracy, perhaps fold. Empty for
            families that are not trained in epochs.
    """
    if history.empty:
        figure = go.Figure()
        figure.add_annotation(
            text="This model is not trained in epochs.", showarrow=False, x=0.5, y=0.5,
            xref="paper", yref="paper", font={"color": MUTED, "size": 14},
        )  # fmt: skip
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
        return _themed(figure, height=120)
    figure = make_subplots(rows=1, cols=2, subplot_titles=("Loss", "Accuracy"))
    percent = history.assign(
        accuracy=100 * history["accuracy"], val_accuracy=100 * history["val_accuracy"]
    )
    folds = history["fold"] if "fold" in history else pd.Series(0, index=history.index)
    for number, (_, epochs) in enumerate(percent.groupby(folds)):
        lines = [_epoch_line(epochs, "", "loss"), _epoch_line(epochs, "val_", "loss")]
        lines += _kept_epoch(epochs)
        figure.add_traces([line.update(showlegend=number == 0) for line in lines], rows=1, cols=1)
        for prefix in ("", "val_"):
            line = _epoch_line(epochs, prefix, "accuracy").update(showlegend=False)
            figure.add_trace(line, row=1, col=2)
    last = int(history["epoch"].max()) + 1
    figure.update_xaxes(
        title="Epoch", tickformat="d", dtick=1 if last <= 10 else None, range=[0, last + 1]
    )
    figure.update_yaxes(rangemode="tozero", col=1)
    figure.update_yaxes(ticksuffix=" %", range=[0, 102], col=2)
    return _themed(
        figure, height=320, hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.15, "yanchor": "bottom"},
        margin={"l": 60, "r": 20, "t": 80, "b": 50},
    )  # fmt: skip


def _probability_line(
    family: str, probability: np.ndarray, threshold: float, one_threshold: bool
) -> go.Scatter:
    style = FAMILY_STYLE[family]
    name = FAMILY_NAMES[family]
    index = np.arange(len(probability))
    suspicious = np.asarray(probability) >= np.float32(threshold)
    return go.Scatter(
        x=index + 1,
        y=100 * np.asarray(probability, dtype=float),
        name=name if one_threshold else f"{name} (calls from {_percent(threshold)})",
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


def _epoch_line(epochs: pd.DataFrame, prefix: str, measure: str) -> go.Scatter:
    validation = bool(prefix)
    name = "Validation" if validation else "Training"
    colour = VALIDATION if validation else ACCENT
    return go.Scatter(
        x=epochs["epoch"] + 1,
        y=epochs[prefix + measure],
        name=name,
        legendgroup=name,
        mode="lines+markers",
        line={"color": colour, "dash": "dash" if validation else "solid", "width": 1.6},
        marker={"symbol": "diamond" if validation else "circle", "size": 6, "maxdisplayed": 10},
        hovertemplate=f"{name}, epoch %{{x}}: {measure} %{{y:.3g}}<extra></extra>",
    )


def _kept_epoch(epochs: pd.DataFrame) -> list[go.Scatter]:
    finite = epochs[np.isfinite(epochs["val_loss"])]
    if finite.empty:
        return []
    best = finite.loc[[finite["val_loss"].idxmin()]]
    return [
        go.Scatter(
            x=best["epoch"] + 1,
            y=best["val_loss"],
            name="Epoch kept",
            legendgroup="Epoch kept",
            mode="markers",
            marker={"symbol": "star", "size": 13, "color": TEXT},
            hovertemplate="Epoch kept: %{x}, validation loss %{y:.3g}<extra></extra>",
        )
    ]


def _percent(share: float) -> str:
    """E.g. ``50 %``, ``37.5 %``."""
    return f"{100 * share:.3g} %"


def _themed(figure: go.Figure, **layout: object) -> go.Figure:
    axis = {"gridcolor": FAINT, "linecolor": FAINT, "zeroline": False, "automargin": True}
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor=BACKGROUND,  # the spike of a unified hover is edged with it
        font={"color": TEXT, "size": 13},
        hoverlabel={"bgcolor": SURFACE, "bordercolor": FAINT, "font": {"color": TEXT}},
        dragmode=False,
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": MUTED,
            "activecolor": TEXT,
            "remove": UNWANTED_BUTTONS,
        },
        **layout,
    )
