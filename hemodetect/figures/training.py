"""The curves of a training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hemodetect.evaluation import Published
from hemodetect.figures.theme import ACCENT, MUTED, TEXT, VALIDATION, themed


def learning_curve(history: pd.DataFrame, published: Published | None = None) -> go.Figure:
    """Loss and accuracy by epoch, training and validation; a line a fold where there are several.

    A star marks the epoch that training keeps, the one with the lowest validation loss.

    Args:
        history: epoch (from 0), loss, accuracy, val_loss, val_accuracy, perhaps fold. Empty for
            families that are not trained in epochs.
        published: the study's figures of this recipe; where its curves end is drawn as dotted lines.
    """
    if history.empty:
        figure = go.Figure()
        figure.add_annotation(
            text="This model is not trained in epochs.", showarrow=False, x=0.5, y=0.5,
            xref="paper", yref="paper", font={"color": MUTED, "size": 14},
        )  # fmt: skip
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
        return themed(figure, height=120)
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
    if published is not None:
        _study_lines(figure, published)
    last = int(history["epoch"].max()) + 1
    figure.update_xaxes(
        title="Epoch", tickformat="d", dtick=1 if last <= 10 else None, range=[0, last + 1]
    )
    figure.update_yaxes(rangemode="tozero", col=1)
    figure.update_yaxes(ticksuffix=" %", range=[0, 102], col=2)
    return themed(
        figure, height=320, hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.15, "yanchor": "bottom"},
        margin={"l": 60, "r": 20, "t": 80, "b": 50},
    )  # fmt: skip


def _study_lines(figure: go.Figure, published: Published) -> None:
    ends = [
        (100 * published.accuracy, "study, validation", VALIDATION, 2),
        (published.training_accuracy and 100 * published.training_accuracy, "study", ACCENT, 2),
        (published.loss, "study", MUTED, 1),
    ]
    for value, name, colour, column in ends:
        if value is not None:
            figure.add_hline(
                value, line={"color": colour, "dash": "dot", "width": 1}, row=1, col=column,
                annotation={"text": name, "font": {"color": colour, "size": 11}},
                annotation_position="bottom right",
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
