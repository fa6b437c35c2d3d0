"""How far a job is, from what its training leaves in its folder as it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from hemodetect.evaluation.metrics import Confusion
from hemodetect.models.recipes import DEPTHS, NetworkRecipe, recipe_named
from hemodetect.registry.bundle import COUNTS, HISTORY
from hemodetect.training.crossfit import ON_ALL
from hemodetect.training.jobs.rows import RUN_BEGINS, Job

_TAIL_BYTES = 8192
_TRIALS = re.compile(r"fold (\d+) of \d+: (\d+) of (\d+) trials searched")


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a training is.

    Attributes:
        share: done, 0 to 1; a training that stops early is done sooner than this says.
        doing: what it is at, for people.
        seconds_left: about, None where nothing can be said yet.
        history: an epoch a row, with a column fold (-1: the training on all patients); empty for
            families that are not trained in epochs.
    """

    share: float
    doing: str
    seconds_left: float | None
    history: pd.DataFrame


def progress(job: Job) -> Progress:
    """Of a job in any state."""
    history = _history(job)
    if job.state == "finished":
        return Progress(1.0, "Finished", 0.0, history)
    if job.plan.task == "search":
        return _so_far(job, *_searched(job), history)
    folds = job.plan.folds if job.plan.split == "patient" else 1
    parts = [f"fold-{number}" for number in range(folds)]
    if job.plan.split == "patient":
        parts.append(ON_ALL)
    work = job.folder / "bundle.work"
    done = sum((work / part / "done.json").is_file() for part in parts)
    recipe = recipe_named(job.plan.family, job.plan.recipe)
    within, epoch = 0.0, ""
    if isinstance(recipe, NetworkRecipe) and done < len(parts):
        most = job.plan.epochs or recipe.epochs
        epochs = len(_read(work / parts[done] / HISTORY))
        within, epoch = min(epochs / most, 1.0), f", {epochs} of at most {most} epochs done"
    share = min((done + within) / len(parts), 1.0)
    where = "the model for use" if done >= folds else f"fold {done + 1} of {folds}"
    return _so_far(job, share, f"Training {where}{epoch}", history)


def _searched(job: Job) -> tuple[float, str]:
    """Share of a search that is done, and what it is at, from its log."""
    folds, trials = 0, (1, 0, job.plan.trials)
    for line in log_tail(job, 200):
        # A grid search that is resumed begins anew; a tuning counts on.
        folds = 0 if line.startswith(RUN_BEGINS) else folds + line.endswith("searched")
        if told := _TRIALS.search(line):
            trials = (int(told[1]), int(told[2]), int(told[3]))
    if job.plan.family not in DEPTHS:
        return folds / job.plan.folds, f"Searching, {folds} of {job.plan.folds} folds done"
    fold, done, most = trials
    doing = f"Searching fold {fold} of {job.plan.folds}, {done} of {most} trials done"
    return (fold - 1 + done / most) / job.plan.folds, doing


def _so_far(job: Job, share: float, doing: str, history: pd.DataFrame) -> Progress:
    left = None
    if job.state == "running" and job.started and share > 0.02 and not _resumed(job):
        spent = (datetime.now(UTC) - job.started).total_seconds()
        left = spent / share * (1 - share)
    return Progress(min(share, 1.0), doing, left, history)


def _resumed(job: Job) -> bool:
    """Whether an earlier run did some of what is done: then the pace of this one is not known."""
    begun = job.folder / "bundle.work" / "plan.json"
    if job.started is None or job.plan.task == "search" or not begun.exists():
        return False
    return begun.stat().st_mtime < job.started.timestamp()


def confusion_of_last_epoch(history: pd.DataFrame) -> Confusion | None:
    """Calls on the validation patients after the latest epoch; None where they were not counted."""
    columns = [f"val_{name}" for name in COUNTS]
    if history.empty or not set(columns) <= set(history):
        return None
    last = history.iloc[-1][columns]
    return None if last.isna().any() else Confusion(*(int(value) for value in last))


def log_tail(job: Job, lines: int = 15) -> list[str]:
    """The last lines of a job's log."""
    try:
        with job.log.open("rb") as file:
            file.seek(max(0, job.log.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _history(job: Job) -> pd.DataFrame:
    whole = _read(job.bundle / HISTORY)
    if not whole.empty:
        return whole
    work, parts = job.folder / "bundle.work", []
    for file in sorted(work.glob(f"*/{HISTORY}"), key=_changed):
        name = file.parent.name
        fold = -1 if name == ON_ALL else int(name.removeprefix("fold-"))
        parts.append(_read(file).assign(fold=fold))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:  # the training has just ended and put its work away
        return 0


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file)
    except (OSError, pd.errors.EmptyDataError):
        return pd.DataFrame()
