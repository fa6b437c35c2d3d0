"""A grid search as a map, and the trials of a tuned network."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hemodetect.figures.search_grid import area_text, kernel_grids
from hemodetect.figures.theme import ACCENT, MUTED, VALIDATION, themed
from hemodetect.training.search_results import GridSearch, Trial, Tuning

_CHANCE, _BEST = 0.5, 1.0
_PANELS = {"learning_rate": "learning rate", "dropout": "dropout", "l2": "L2", "depth": "depth"}
_MARKS = {
    "trained to the end": ("circle", ACCENT, 8),
    "stopped early": ("circle-open", MUTED, 8),
    "as published": ("diamond", VALIDATION, 10),
    "chosen": ("star", ACCENT, 14),
}


def search_map(search: GridSearch) -> go.Figure:
    """AUROC by patient of every setting, one panel per kernel, C upwards and gamma to the right.

    Every square shows its figure and, below it, the 95 % interval.
    """
    grids = kernel_grids(search)
    figure = make_subplots(
        rows=1,
        cols=len(grids),
        subplot_titles=[grid.kernel for grid in grids],
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_widths=[max(len(grid.gammas), 1.3) for grid in grids],
    )
    for column, grid in enumerate(grids, start=1):
        has_gamma = len(grid.gammas) > 1
        across = [f"{gamma:g}" for gamma in grid.gammas] if has_gamma else ["no gamma"]
        figure.add_trace(
            go.Heatmap(
                x=across,
                y=[f"{penalty:g}" for penalty in grid.penalties],
                z=[[None if m is None else m.value for m in row] for row in grid.auroc],
                text=[[area_text(m, "<br>", brackets=False) for m in row] for row in grid.auroc],
                texttemplate="%{text}",
                textfont={"size": 11},
                zmin=_CHANCE,
                zmax=_BEST,
                colorscale="Cividis",
                showscale=column == len(grids),
                colorbar={"title": {"text": "AUROC by patient"}, "outlinewidth": 0},
                hovertemplate=f"{grid.kernel}, C %{{y}}, gamma %{{x}}: %{{z:.3f}}<extra></extra>",
                xgap=2,
                ygap=2,
            ),
            row=1,
            col=column,
        )
        title = "gamma (of scikit-learn's scale)" if has_gamma else None
        figure.update_xaxes(title=title, type="category", col=column)
    figure.update_yaxes(type="category")
    figure.update_yaxes(title="C", col=1)
    figure.update_annotations(font_color=MUTED)
    return themed(figure, height=420, margin={"l": 60, "r": 20, "t": 40, "b": 60})


def tuning_panels(tuning: Tuning) -> go.Figure:
    """Worth of every trial of a tuned network over each of its four settings.

    A full dot was trained to its end, a ring was stopped early, a diamond is the published setting,
    a star what a fold chose.
    """
    figure = make_subplots(rows=1, cols=len(_PANELS), shared_yaxes=True, horizontal_spacing=0.03)
    kinds: dict[str, list[Trial]] = {name: [] for name in _MARKS}
    for index, trial in enumerate(tuning.trials):
        first = index == 0 or trial.fold != tuning.trials[index - 1].fold
        if trial.auroc is None:
            continue
        if index in tuning.chosen:
            kinds["chosen"].append(trial)
        elif first:
            kinds["as published"].append(trial)
        else:
            kinds["stopped early" if trial.pruned else "trained to the end"].append(trial)
    for kind, (symbol, colour, size) in _MARKS.items():
        trials = kinds[kind]
        for column, (name, title) in enumerate(_PANELS.items(), start=1):
            figure.add_trace(
                go.Scatter(
                    # A logarithmic axis has no zero; a recipe without L2 stands at its left end.
                    x=[max(getattr(trial, name), 1e-7 if name == "l2" else 0) for trial in trials],
                    y=[trial.auroc for trial in trials],
                    mode="markers",
                    marker={"symbol": symbol, "color": colour, "size": size},
                    name=kind,
                    legendgroup=kind,
                    showlegend=column == 1,
                    customdata=[[trial.fold + 1, trial.epochs] for trial in trials],
                    hovertemplate=f"fold %{{customdata[0]}}, {title} %{{x:.2g}}: %{{y:.3f}} after"
                    " %{customdata[1]} epochs<extra></extra>",
                ),
                row=1,
                col=column,
            )
            axis: dict[str, object] = {"title": title}
            if name in ("learning_rate", "l2"):
                axis |= {"type": "log", "dtick": 1, "exponentformat": "power"}
            figure.update_xaxes(axis, col=column)
    figure.update_xaxes(dtick=1, col=len(_PANELS))
    figure.update_yaxes(title="AUROC by slice, validation patients", col=1)
    return themed(figure, height=380, margin={"l": 60, "r": 20, "t": 40, "b": 60})
