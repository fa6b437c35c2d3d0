"""Readers over the models' ROC curves."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from hemodetect.figures.curves import roc_figure
from hemodetect.figures.theme import TEXT
from hemodetect.reviews.results import Rated, Results

_SYMBOLS = {"blind": "circle-open", "shown": "circle"}


def readers_roc(found: Results) -> go.Figure | None:
    """The models' curves with their operating points; a reader's point without and with the models.

    A ring is a reader without the models, a full dot with them, a line joins the two. Letters are the
    readers' in their order. None where no curve can be drawn: the truth is of one class, or not known.
    """
    models = [one for one in found.rated if one.rater.stage is None and one.roc and one.scores]
    readers = [one for one in found.rated if one.rater.place is not None and one.scores is not None]
    if not models and not readers:
        return None
    figure = roc_figure(
        {one.rater.key: one.roc for one in models if one.roc},
        {one.rater.key: one.rater.name for one in models},
        {one.rater.key: str(one.rater.family) for one in models},
        {one.rater.key: _place(one) for one in models},
        "",
    )
    for place in sorted({one.rater.place or 0 for one in readers}):
        own = [one for one in readers if one.rater.place == place]
        figure.add_trace(_reader(own, chr(ord("A") + place % 26)))
    return figure.update_layout(clickmode="none", legend_title_text="AUROC, 95 % interval; readers")


def _reader(own: list[Rated], letter: str) -> go.Scatter:
    places = [_place(one) for one in own]
    name = escape(own[0].rater.who)  # Plotly reads tags
    return go.Scatter(
        x=[100 * rate for rate, _ in places],
        y=[100 * sensitivity for _, sensitivity in places],
        mode="lines+markers+text",
        text=[letter] * len(own),
        textposition="bottom right",
        textfont={"color": TEXT, "size": 13},
        line={"color": TEXT, "width": 1},
        marker={
            "symbol": [_SYMBOLS[one.rater.stage or "shown"] for one in own],
            "size": 11,
            "color": TEXT,
        },
        name=f"{letter}: {name}",
        hovertemplate=[
            f"{escape(one.rater.name)}: sensitivity %{{y:.0f}} %, false alarms %{{x:.0f}} %"
            "<extra></extra>"
            for one in own
        ],
    )


def _place(one: Rated) -> tuple[float, float]:
    """(False positive rate, sensitivity) of the calls."""
    assert one.scores is not None
    return 1 - one.scores.specificity.value, one.scores.sensitivity.value
