"""Readers over the models' ROC curves."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from hemodetect.figures.curves import roc_figure
from hemodetect.figures.theme import TEXT
from hemodetect.reviews.results import Rated, Results

_SYMBOLS = {"blind": "circle-open", "shown": "circle"}


def readers_roc(results: Results) -> go.Figure | None:
    """The models' curves with their operating points; a reader's point without and with the models.

    A ring is a reader without the models, a full dot with them, a line joins the two. Letters are the
    readers' in their order. None where no curve can be drawn: the truth is of one class, or not known.
    """
    models = [
        rated for rated in results.rated if rated.rater.stage is None and rated.roc and rated.scores
    ]
    readers = [
        rated
        for rated in results.rated
        if rated.rater.place is not None and rated.scores is not None
    ]
    if not models and not readers:
        return None
    figure = roc_figure(
        {rated.rater.key: rated.roc for rated in models if rated.roc},
        {rated.rater.key: rated.rater.name for rated in models},
        {rated.rater.key: str(rated.rater.family) for rated in models},
        {rated.rater.key: _operating_point(rated) for rated in models},
        "",
    )
    for place in sorted({rated.rater.place or 0 for rated in readers}):
        of_reader = [rated for rated in readers if rated.rater.place == place]
        figure.add_trace(_reader(of_reader, chr(ord("A") + place % 26)))
    return figure.update_layout(clickmode="none", legend_title_text="AUROC, 95 % interval; readers")


def _reader(of_reader: list[Rated], letter: str) -> go.Scatter:
    places = [_operating_point(rated) for rated in of_reader]
    name = escape(of_reader[0].rater.who)  # Plotly reads tags
    return go.Scatter(
        x=[100 * rate for rate, _ in places],
        y=[100 * sensitivity for _, sensitivity in places],
        mode="lines+markers+text",
        text=[letter] * len(of_reader),
        textposition="bottom right",
        textfont={"color": TEXT, "size": 13},
        line={"color": TEXT, "width": 1},
        marker={
            "symbol": [_SYMBOLS[rated.rater.stage or "shown"] for rated in of_reader],
            "size": 11,
            "color": TEXT,
        },
        name=f"{letter}: {name}",
        hovertemplate=[
            f"{escape(rated.rater.name)}: sensitivity %{{y:.0f}} %, false alarms %{{x:.0f}} %"
            "<extra></extra>"
            for rated in of_reader
        ],
    )


def _operating_point(rated: Rated) -> tuple[float, float]:
    """(False positive rate, sensitivity) of the calls."""
    assert rated.scores is not None
    return 1 - rated.scores.specificity.value, rated.scores.sensitivity.value
