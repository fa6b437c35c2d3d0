"""Training over the folds of a split, and on everything; resumable after a kill at any moment.

A work folder has one folder a fold. A fold that is done has a ``predictions.parquet``; it is not
trained again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.models.interface import Family, FittedModel, Run, TrainingSet, predicted
from hemodetect.models.recipes import BloodRecipe, Recipe
from hemodetect.training.progress_events import report_progress

ON_ALL = "all"
"""Name of the training on all patients, whose model is the one a bundle holds."""


KEPT = "kept"
"""Folder of a fold's own model, where it is kept."""


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
    dataset: Dataset,
    split: Split,
    family: Family,
    recipe: Recipe,
    run: Run,
) -> CrossFit:
    """Trains on each fold's training slices and predicts its test slices."""
    parts = []
    for number in range(len(split.folds)):
        folder = run.work / f"fold-{number}"
        report_progress(fold=number, folds=len(split.folds))
        if not (folder / "done.json").is_file():
            test = split.test_mask(dataset.slices, number)
            training = training_set(dataset, split, recipe, ~test)
            model = _trained(
                training, family, recipe, replace(run, work=folder, seed=run.seed + number)
            )
            tested = dataset.slices[test]
            answers = predicted(model, dataset.grey(recipe.size)[test], tested)
            table = pd.concat([tested[["patient", "slice", "label"]], answers], axis=1)
            table["fold"] = np.int16(number)
            table.to_parquet(folder / "predictions.parquet", index=False)
            if isinstance(recipe, BloodRecipe):
                kept = folder / KEPT
                kept.mkdir(exist_ok=True)
                model.save(kept)
            (folder / "training.json").rename(folder / "done.json")
        run.report(f"{folder.name} of {len(split.folds)} done")
        parts.append(folder)
    return _collected(parts)


def fit_on_all(
    dataset: Dataset,
    split: Split,
    family: Family,
    recipe: Recipe,
    run: Run,
) -> tuple[FittedModel, pd.DataFrame, float]:
    """The model trained on all patients, its history and seconds."""
    training = training_set(dataset, split, recipe, np.ones(len(dataset.slices), bool))
    folder = run.work / ON_ALL
    report_progress(fold=len(split.folds), folds=len(split.folds))
    model = _trained(training, family, recipe, replace(run, work=folder))
    return model, _history(folder, -1), _done(folder, "training.json")["seconds"]


def training_set(dataset: Dataset, split: Split, recipe: Recipe, rows: np.ndarray) -> TrainingSet:
    """The slices of `rows` (n,) bool, in memory."""
    return TrainingSet(
        grey=np.ascontiguousarray(dataset.grey(recipe.size)[rows]),
        slices=dataset.slices.loc[rows, ["slice", "patient", "series", "label"]].reset_index(
            drop=True
        ),
        groups=split.groups if split.name == "patient" else None,
    )


def _trained(training: TrainingSet, family: Family, recipe: Recipe, run: Run) -> FittedModel:
    folder = run.work
    folder.mkdir(parents=True, exist_ok=True)
    spent = folder / "seconds.txt"
    before = float(spent.read_text()) if spent.is_file() else 0.0
    start = time.monotonic()

    def told(line: str) -> None:
        # Kept as it grows, so that the time of a training that was cut off counts too.
        spent.write_text(f"{before + time.monotonic() - start:.1f}")
        run.report(f"{folder.name}: {line}")

    fit = family.fit(training, recipe, replace(run, report=told))
    told("trained")
    if not fit.history.empty:
        fit.history.to_csv(folder / "history.csv", index=False)
    kept = {"seconds": float(spent.read_text()), "notes": fit.notes}
    (folder / "training.json").write_text(json.dumps(kept))
    return fit.model


def _collected(folders: list[Path]) -> CrossFit:
    done = {folder.name: _done(folder, "done.json") for folder in folders}
    histories = [_history(folder, number) for number, folder in enumerate(folders)]
    return CrossFit(
        predictions=pd.concat(
            [pd.read_parquet(folder / "predictions.parquet") for folder in folders],
            ignore_index=True,
        ),
        history=pd.concat(histories, ignore_index=True),
        seconds={name: d["seconds"] for name, d in done.items()},
        notes={name: d["notes"] for name, d in done.items()},
    )


def _done(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def _history(folder: Path, fold: int) -> pd.DataFrame:
    path = folder / "history.csv"
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    return table.assign(fold=fold)
