"""A search as Markdown: a grid search with one table per kernel, or the trials of a network."""

from __future__ import annotations

from hemodetect.figures.search_grid import area_text, kernel_grids
from hemodetect.training.search_results import GridSearch, Tuning


def search_text(search: GridSearch) -> str:
    """AUROC by patient of every setting, and of the chosen settings on the test patients."""
    lines = []
    for grid in kernel_grids(search):
        gammas = grid.gammas
        headings = [f"gamma {g:g}" for g in gammas] if len(gammas) > 1 else ["AUROC by patient"]
        lines += [
            f"| {grid.kernel}, C | {' | '.join(headings)} |",
            "|---" * (1 + len(gammas)) + "|",
        ]
        for penalty, row in zip(grid.penalties, grid.auroc, strict=True):
            if any(row):
                lines.append(f"| {penalty:g} | {' | '.join(map(area_text, row))} |")
        lines.append("")
    chosen = ", ".join(
        f"{s.kernel} C {s.penalty:g}" + (f" gamma {s.gamma:g}" if s.kernel != "linear" else "")
        for s in search.chosen
    )
    lines.append(
        f"Chosen on the training patients of each fold: {chosen}. AUROC of these on the test"
        f" patients: {area_text(search.auroc_patient)} by patient, {area_text(search.auroc_slice)} by"
        f" slice. {search.fits:,} fits in {search.seconds:.0f} s."
    )
    return "\n".join(lines)


def tuning_text(tuning: Tuning) -> str:
    """The setting chosen in each fold, and its AUROC next to that of the published setting."""
    lines = [
        "| fold | trials | stopped early | learning rate | dropout | L2 | depth | AUROC |",
        "|---" * 8 + "|",
    ]
    for index in tuning.chosen:
        best = tuning.trials[index]
        of_fold = [trial for trial in tuning.trials if trial.fold == best.fold]
        stopped = sum(trial.pruned for trial in of_fold)
        lines.append(
            f"| {best.fold + 1} | {len(of_fold)} | {stopped} | {best.learning_rate:.2g}"
            f" | {best.dropout:.2f} | {best.l2:.1g} | {best.depth}"
            f" | {_value(best.auroc)} (published {_value(of_fold[0].auroc)}) |"
        )
    lines += [
        "",
        "AUROC: by slice, of the training patients that each trial was validated on; it is optimistic"
        " for the best of many trials. On the test patients, by patient: tuned"
        f" {area_text(tuning.tuned_patient)}, published {area_text(tuning.published_patient)};"
        " by slice: tuned"
        f" {area_text(tuning.tuned_slice)}, published {area_text(tuning.published_slice)}."
        f" {len(tuning.trials):,} trials of at most {tuning.epochs} epochs in {tuning.seconds:.0f} s.",
    ]
    return "\n".join(lines)


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
