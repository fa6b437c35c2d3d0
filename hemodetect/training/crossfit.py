"""Training over the folds of a split, and on everything; resumable after a kill at any moment.

A work folder has one folder a fold. A fold that is done has a ``done.json``; it is not trained again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.models.interface import FittedModel
from hemodetect.training.fitting import Run
from hemodetect.training.progress_events import report_progress
from hemodetect.training.trainers import Trainer

ON_ALL = "all"
"""Name of the training on all patients, whose model is the one a bundle holds."""
FOLD_MODEL = "kept"
"""Folder of a fold's own model, where the recipe keeps it."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What the folds of a split gave.

    Attributes:
        predictions: a row a tested slice: patient, slice, label, probability, patient_probability,
            fold.
        history: an epoch a row, with a column fold (-1: the training on all patients).
        seconds: of training, by fold name.
        notes: figures a family kept, by fold name.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    seconds: dict[str, float]
    notes: dict[str, dict[str, float]]


def cross_fit(
    dataset: Dataset, split: Split, trainer: Trainer, run: Run, *, keep_models: bool = False
) -> CrossFit:
    """Trains on each fold's training slices and predicts its test slices.

    Args:
        dataset: what to train on.
        split: made for `dataset`.
        trainer: of the recipe.
        run: its work folder keeps the state.
        keep_models: each fold's model is kept in the folder `FOLD_MODEL` of its fold.
    """
    folders = []
    for number in range(len(split.folds)):
        folder = run.work / f"fold-{number}"
        report_progress(fold=number, folds=len(split.folds))
        if not (folder / "done.json").is_file():
            test = split.test_mask(dataset.slices, number)
            fold_run = replace(run, work=folder, seed=run.seed + number)
            model = _trained(trainer, ~test, fold_run)
            tested = dataset.slices.loc[test, ["patient", "slice", "label"]]
            table = pd.concat([tested, trainer.predict(model, test)], axis=1)
            table["fold"] = np.int16(number)
            table.to_parquet(folder / "predictions.parquet", index=False)
            if keep_models:
                (folder / FOLD_MODEL).mkdir(exist_ok=True)
                model.save(folder / FOLD_MODEL)
            (folder / "training.json").rename(folder / "done.json")
        run.report(f"{folder.name} of {len(split.folds)} done")
        folders.append(folder)
    return _collected(folders)


def fit_on_all(
    dataset: Dataset, split: Split, trainer: Trainer, run: Run
) -> tuple[FittedModel, pd.DataFrame, float]:
    """The model trained on all patients, its history and seconds."""
    folder = run.work / ON_ALL
    report_progress(fold=len(split.folds), folds=len(split.folds))
    model = _trained(trainer, np.ones(len(dataset.slices), bool), replace(run, work=folder))
    return model, _history(folder, -1), _json(folder / "training.json")["seconds"]


def _trained(trainer: Trainer, rows: np.ndarray, run: Run) -> FittedModel:
    folder = run.work
    folder.mkdir(parents=True, exist_ok=True)
    seconds_file = folder / "seconds.txt"
    before = float(seconds_file.read_text()) if seconds_file.is_file() else 0.0
    start = time.monotonic()

    def report(line: str) -> None:
        # Written at every line, so that the time of a training that was cut off counts too.
        seconds_file.write_text(f"{before + time.monotonic() - start:.1f}")
        run.report(f"{folder.name}: {line}")

    fit = trainer.fit(rows, replace(run, report=report))
    report("trained")
    if not fit.history.empty:
        fit.history.to_csv(folder / "history.csv", index=False)
    summary = {"seconds": float(seconds_file.read_text()), "notes": fit.notes}
    (folder / "training.json").write_text(json.dumps(summary))
    return fit.model


def _collected(folders: list[Path]) -> CrossFit:
    summaries = {folder.name: _json(folder / "done.json") for folder in folders}
    histories = [_history(folder, number) for number, folder in enumerate(folders)]
    return CrossFit(
        predictions=pd.concat(
            [pd.read_parquet(folder / "predictions.parquet") for folder in folders],
            ignore_index=True,
        ),
        history=pd.concat(histories, ignore_index=True),
        seconds={name: summary["seconds"] for name, summary in summaries.items()},
        notes={name: summary["notes"] for name, summary in summaries.items()},
    )


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def _history(folder: Path, fold: int) -> pd.DataFrame:
    path = folder / "history.csv"
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    return table.assign(fold=fold)
