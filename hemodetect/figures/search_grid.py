"""A grid search as one table per kernel, for the figure and for the report."""

from __future__ import annotations

from dataclasses import dataclass

from hemodetect.evaluation.metrics import Metric
from hemodetect.training.search_results import GridSearch, KernelSetting


@dataclass(frozen=True)
class KernelGrid:
    """The settings of one kernel.

    Attributes:
        kernel: name.
        penalties: rising values of C, one per row.
        gammas: rising values of gamma, one per column, as factors of scikit-learn's scale.
        auroc: (rows, columns) AUROC by patient; None where a setting was not tried.
    """

    kernel: str
    penalties: tuple[float, ...]
    gammas: tuple[float, ...]
    auroc: tuple[tuple[Metric | None, ...], ...]


def kernel_grids(search: GridSearch) -> list[KernelGrid]:
    """One grid per kernel, in the order of the search; all have the rows of all values of C."""
    auroc = {score.setting: score.auroc_patient for score in search.grid}
    penalties = tuple(sorted({setting.penalty for setting in auroc}))
    grids = []
    for kernel in dict.fromkeys(setting.kernel for setting in auroc):
        gammas = tuple(sorted({setting.gamma for setting in auroc if setting.kernel == kernel}))
        rows = tuple(
            tuple(auroc.get(KernelSetting(kernel, c, g)) for g in gammas) for c in penalties
        )
        grids.append(KernelGrid(kernel, penalties, gammas, rows))
    return grids


def area_text(metric: Metric | None, separator: str = " ", brackets: bool = True) -> str:
    """E.g. ``0.62 (0.51-0.72)``, ``0.62`` without an interval, empty for None."""
    if metric is None:
        return ""
    if not metric.has_interval:
        return f"{metric.value:.2f}"
    interval = f"{metric.low:.2f}-{metric.high:.2f}"
    return f"{metric.value:.2f}{separator}{f'({interval})' if brackets else interval}"
