"""A search as Markdown: a map a kernel, C down and gamma across, or the trials of a network."""

from __future__ import annotations

from hemodetect.evaluation.metrics import Metric
from hemodetect.training.search_results import GridSearch, KernelSetting, Tuning


def search_text(found: GridSearch) -> str:
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
            row = [_cell(cells.get(KernelSetting(kernel, penalty, g))) for g in gammas]
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


def tuning_text(found: Tuning) -> str:
    """The settings chosen by each fold, and what they are worth beside the published one."""
    lines = [
        "| fold | trials | given up early | learning rate | dropout | L2 | depth | worth |",
        "|---" * 8 + "|",
    ]
    for index in found.chosen:
        best = found.trials[index]
        own = [trial for trial in found.trials if trial.fold == best.fold]
        given_up = sum(trial.pruned for trial in own)
        lines.append(
            f"| {best.fold + 1} | {len(own)} | {given_up} | {best.learning_rate:.2g}"
            f" | {best.dropout:.2f} | {best.l2:.1g} | {best.depth}"
            f" | {_worth(best.auroc)} (published {_worth(own[0].auroc)}) |"
        )
    lines += [
        "",
        "Worth is the AUROC by slice of the training patients that a trial was watched by; it flatters"
        " the best of many. On the patients that chose nothing, by patient: tuned"
        f" {_cell(found.tuned_patient)}, published {_cell(found.published_patient)}; by slice: tuned"
        f" {_cell(found.tuned_slice)}, published {_cell(found.published_slice)}."
        f" {len(found.trials):,} trials of at most {found.epochs} epochs in {found.seconds:.0f} s.",
    ]
    return "\n".join(lines)


def _worth(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return ""
    if not metric.has_interval:
        return f"{metric.value:.2f}"
    return f"{metric.value:.2f} ({metric.low:.2f}-{metric.high:.2f})"
