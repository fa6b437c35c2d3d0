"""A search as Markdown: one table per kernel (C in rows, gamma in columns), or a network's trials."""

from __future__ import annotations

from hemodetect.evaluation.metrics import Metric
from hemodetect.training.search_results import GridSearch, KernelSetting, Tuning


def search_text(search: GridSearch) -> str:
    """The AUROC by patient of every setting, and of the chosen settings on unseen patients."""
    cells = {s.setting: s.auroc_patient for s in search.grid}
    lines = []
    for kernel in dict.fromkeys(s.setting.kernel for s in search.grid):
        kernel_settings = [s.setting for s in search.grid if s.setting.kernel == kernel]
        gammas = sorted({s.gamma for s in kernel_settings})
        heads = [f"gamma {g:g}" for g in gammas] if len(gammas) > 1 else ["AUROC by patient"]
        lines += [
            f"| {kernel}, C | {' | '.join(heads)} |",
            "|---" * (1 + len(gammas)) + "|",
        ]
        for penalty in sorted({s.penalty for s in kernel_settings}):
            row = [_cell(cells.get(KernelSetting(kernel, penalty, g))) for g in gammas]
            lines.append(f"| {penalty:g} | {' | '.join(row)} |")
        lines.append("")
    chosen = ", ".join(
        f"{s.kernel} C {s.penalty:g}" + (f" gamma {s.gamma:g}" if s.kernel != "linear" else "")
        for s in search.chosen
    )
    lines.append(
        f"Chosen by each fold's own training patients: {chosen}. AUROC of these on the patients that"
        f" did not choose: {_cell(search.auroc_patient)} by patient, {_cell(search.auroc_slice)} by"
        f" slice. {search.fits:,} fits in {search.seconds:.0f} s."
    )
    return "\n".join(lines)


def tuning_text(tuning: Tuning) -> str:
    """The settings chosen in each fold, compared with the published setting."""
    lines = [
        "| fold | trials | given up early | learning rate | dropout | L2 | depth | AUROC |",
        "|---" * 8 + "|",
    ]
    for index in tuning.chosen:
        best = tuning.trials[index]
        fold_trials = [trial for trial in tuning.trials if trial.fold == best.fold]
        n_pruned = sum(trial.pruned for trial in fold_trials)
        lines.append(
            f"| {best.fold + 1} | {len(fold_trials)} | {n_pruned} | {best.learning_rate:.2g}"
            f" | {best.dropout:.2f} | {best.l2:.1g} | {best.depth}"
            f" | {_value(best.auroc)} (published {_value(fold_trials[0].auroc)}) |"
        )
    lines += [
        "",
        "AUROC: by slice, on the training patients that the search held out; it is optimistic for the"
        " best of many trials. On the patients that did not choose the setting, by patient: tuned"
        f" {_cell(tuning.tuned_patient)}, published {_cell(tuning.published_patient)}; by slice: tuned"
        f" {_cell(tuning.tuned_slice)}, published {_cell(tuning.published_slice)}."
        f" {len(tuning.trials):,} trials of at most {tuning.epochs} epochs in {tuning.seconds:.0f} s.",
    ]
    return "\n".join(lines)


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return ""
    if not metric.has_interval:
        return f"{metric.value:.2f}"
    return f"{metric.value:.2f} ({metric.low:.2f}-{metric.high:.2f})"
