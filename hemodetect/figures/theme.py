"""Colours, lines and buttons that all figures share."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

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
    "sendChartToCloud", "lasso2d", "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d",
]  # fmt: skip


def percent(share: float) -> str:
    """E.g. ``50 %``, ``37.5 %``."""
    return f"{100 * share:.3g} %"


def themed(figure: go.Figure, **layout: object) -> go.Figure:
    """The figure in the app's theme, changed in place; `layout` adds to its layout."""
    axis = {
        "gridcolor": FAINT,
        "linecolor": FAINT,
        "zeroline": False,
        "automargin": True,
        "title": {"font": {"size": 13, "color": MUTED}, "standoff": 6},
    }
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure.update_layout(
        paper_bgcolor=BACKGROUND,  # so that a saved picture is readable on white paper
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
