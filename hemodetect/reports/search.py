"""A search as Markdown tables: a map a kernel, C down and gamma across."""

from __future__ import annotations

from hemodetect.evaluation.metrics import Metric
from hemodetect.training.search import Search, Setting


def search_text(found: Search) -> str:
    """AUROC by patient of every setting, and what the chosen ones are worth."""
    cells = {s.setting: s.auroc_patient for s in found.grid}
    lines = []
    for kernel in dict.fromkeys(s.setting.kernel for s in found.grid):
        own = [s.setting for s in found.grid if s.setting.kernel == kernel]
        gammas = sorted({s.gamma for s in own})
        heads = [f"gamma {g:g}" for g in gammas] if len(gammas) > 1 else ["AUROC by patient"]
        lines += [
            f"| {kernel}, C | {' | '.join(heads)} |",
            "|---" * (1 + len(gammas)) + "|",
        ]
        for penalty in sorted({s.penalty for s in own}):
            row = [_cell(cells.get(Setting(kernel, penalty, g))) for g in gammas]
            lines.append(f"| {penalty:g} | {' | '.join(row)} |")
        lines.append("")
    chosen = ", ".join(
        f"{s.kernel} C {s.penalty:g}" + (f" gamma {s.gamma:g}" if s.kernel != "linear" else "")
        for s in found.chosen
    )
    lines.append(
        f"Chosen by each fold's own training patients: {chosen}. AUROC of these on the patients that"
        f" did not choose: {_cell(found.auroc_patient)} by patient, {_cell(found.auroc_slice)} by"
        f" slice. {found.fits:,} fits in {found.seconds:.0f} s."
    )
    return "\n".join(lines)


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return ""
    if not metric.has_interval:
        return f"{metric.value:.2f}"
    return f"{metric.value:.2f} ({metric.low:.2f}-{metric.high:.2f})"
