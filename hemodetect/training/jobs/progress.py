"""How far a job is, from the events and histories that its training writes into its folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from hemodetect.evaluation.metrics import Confusion
from hemodetect.models.recipes import DEPTHS
from hemodetect.registry.bundle import COUNTS, HISTORY
from hemodetect.training.crossfit import ON_ALL
from hemodetect.training.jobs.rows import Job
from hemodetect.training.progress_events import ProgressEvent, read_events

_TAIL_BYTES = 8192
_LEAST_SHARE = 0.02  # for an estimate of the time left


@dataclass(frozen=True, eq=False)
class Progress:
    """The progress of a job.

    Attributes:
        share: done, 0 to 1; a training that stops early finishes sooner.
        activity: what the job is doing now, for the page.
        seconds_left: estimate; None where there is none yet.
        history: an epoch a row, with a column fold (-1: the training on all patients); empty for
            families that are not trained in epochs.
    """

    share: float
    activity: str
    seconds_left: float | None
    history: pd.DataFrame


def progress(job: Job) -> Progress:
    """The progress of a job in any state."""
    history = _history(job)
    if job.state == "finished":
        return Progress(1.0, "Finished", 0.0, history)
    events = list(read_events(job.progress_file))
    latest = events[0] if events else ProgressEvent(job.created)
    for event in events[1:]:
        latest = latest.followed_by(event)
    share, activity = (
        _searching(job, latest) if job.plan.task == "search" else _training(job, latest)
    )
    seconds_left = None
    # A training that was resumed did part of the work in an earlier run: its pace is not known.
    resumed = bool(
        events and job.started and events[0].at < job.started and job.plan.task != "search"
    )
    if job.state == "running" and job.started and share > _LEAST_SHARE and not resumed:
        spent = (datetime.now(UTC) - job.started).total_seconds()
        seconds_left = spent / share * (1 - share)
    return Progress(share, activity, seconds_left, history)


def _training(job: Job, latest: ProgressEvent) -> tuple[float, str]:
    """Share of a training that is done, 0 to 1, and what it is doing."""
    folds = job.plan.folds if job.plan.split == "patient" else 1
    parts = folds + 1 if job.plan.split == "patient" else folds
    done, epochs = latest.fold or 0, ""
    share = done / parts
    if latest.epochs:
        epoch = latest.epoch or 0
        share += min(epoch / latest.epochs, 1) / parts
        epochs = f", {epoch} of at most {latest.epochs} epochs done"
    part = "the model for use" if done >= folds else f"fold {done + 1} of {folds}"
    return min(share, 1.0), f"Training {part}{epochs}"


def _searching(job: Job, latest: ProgressEvent) -> tuple[float, str]:
    """Share of a search that is done, 0 to 1, and what it is doing."""
    folds, done = job.plan.folds, latest.fold or 0
    if job.plan.family not in DEPTHS:
        return min(done / folds, 1.0), f"Searching, {done} of {folds} folds done"
    trial, trials = latest.trial or 0, latest.trials or job.plan.trials
    activity = f"Searching fold {done + 1} of {folds}, {trial} of {trials} trials done"
    return min((done + trial / trials) / folds, 1.0), activity


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
    complete = _read(job.bundle / HISTORY)
    if not complete.empty:
        return complete
    work, parts = job.folder / "bundle.work", []
    for file in sorted(work.glob(f"*/{HISTORY}"), key=_changed):
        name = file.parent.name
        fold = -1 if name == ON_ALL else int(name.removeprefix("fold-"))
        parts.append(_read(file).assign(fold=fold))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:  # the training has just ended and removed its work folder
        return 0


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file)
    except (OSError, pd.errors.EmptyDataError):
        return pd.DataFrame()
