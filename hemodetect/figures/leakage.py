"""The leakage gap as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from hemodetect.evaluation import PUBLISHED, LeakageGap
from hemodetect.evaluation.table import percent
from hemodetect.figures.curves import error_lengths
from hemodetect.figures.theme import MUTED, TEXT, themed
from hemodetect.models.families import FAMILY_NAMES


def leakage_figure(gaps: Sequence[LeakageGap]) -> go.Figure:
    """For every family: the paper split, unseen patients, the study's number, and the baseline."""
    names = [FAMILY_NAMES[gap.family] for gap in gaps]
    figure = go.Figure()
    for name, gap in zip(names, gaps, strict=True):
        figure.add_trace(
            go.Scatter(
                x=[100 * gap.patient_accuracy.value, 100 * gap.paper_accuracy.value],
                y=[name, name],
                mode="lines",
                line={"color": MUTED, "width": 2},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    columns = (
        ("patients never seen", "circle", "#56b4e9", [gap.patient_accuracy for gap in gaps]),
        ("same patients in training (leaks)", "x", "#e69f00", [gap.paper_accuracy for gap in gaps]),
    )
    for name, symbol, colour, metrics in columns:
        values = np.array([metric.value for metric in metrics])
        figure.add_trace(
            go.Scatter(
                x=100 * values,
                y=names,
                name=name,
                mode="markers",
                marker={"symbol": symbol, "size": 12, "color": colour},
                error_x={
                    "type": "data",
                    "array": error_lengths(100 * (np.array([m.high for m in metrics]) - values)),
                    "arrayminus": error_lengths(
                        100 * (values - np.array([m.low for m in metrics]))
                    ),
                    "thickness": 1,
                },
                customdata=[percent(metric) for metric in metrics],
                hovertemplate=f"%{{y}}, {name}: %{{customdata}}<extra></extra>",
            )
        )
    published = [(gap, PUBLISHED.get((gap.family, gap.recipe))) for gap in gaps]
    figure.add_trace(
        go.Scatter(
            x=[100 * study.accuracy for _, study in published if study],
            y=[FAMILY_NAMES[gap.family] for gap, study in published if study],
            name="as published",
            mode="markers",
            marker={"symbol": "diamond-open", "size": 12, "color": TEXT, "line": {"width": 2}},
            hovertemplate="%{y}, as published: %{x:.1f} %<extra></extra>",
        )
    )
    if gaps:
        figure.add_vline(
            x=100 * gaps[0].majority_baseline, line={"color": TEXT, "width": 1, "dash": "dot"}
        )
        figure.add_annotation(
            x=100 * gaps[0].majority_baseline, y=1, yref="paper", yanchor="bottom",
            showarrow=False, text="majority-class baseline", font={"color": MUTED, "size": 11},
        )  # fmt: skip
    figure.update_xaxes(title="Slices called right, %", range=[0, 102])
    figure.update_yaxes(autorange="reversed")
    return themed(
        figure, height=120 + 48 * len(gaps),
        legend={"orientation": "h", "x": 0, "y": 1.12, "yanchor": "bottom"},
        margin={"l": 150, "r": 20, "t": 80, "b": 50},
    )  # fmt: skip
