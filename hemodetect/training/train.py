"""From a data set to a bundle: folds, then the training on all patients, then the card."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.evaluation import scores
from hemodetect.models.interface import FittedModel, Report, Run
from hemodetect.models.recipes import KernelRecipe, NetworkRecipe, Recipe, recipe_named
from hemodetect.registry.bundle import HISTORY, PREDICTIONS, SPLIT, Card, write_bundle
from hemodetect.training.crossfit import KEPT, ON_ALL, CrossFit, cross_fit, fit_on_all
from hemodetect.training.families import family_of
from hemodetect.training.versions import installed

LIBRARIES = ("keras", "tensorflow-cpu", "scikit-learn", "numpy", "scipy", "pillow")


def work_folder(out: Path) -> Path:
    """Where a training that shall become the bundle `out` keeps its state."""
    return out.with_name(out.name + ".work")


def train_bundle(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    out: Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    parallel: bool = False,
    report: Report = print,
) -> Card:
    """Trains a recipe over a split and writes the bundle, resuming what was cut off.

    Under the patient split the bundle holds the model trained on all patients, and the out-of-fold
    predictions speak for it. Under the paper split it holds figures only: what a model scores there
    is leakage, and no model shall be used on the strength of it.

    Args:
        dataset: what to train on.
        split: made for `dataset`.
        recipe: of any family.
        out: the bundle's folder; must not exist. State is kept beside it (`work_folder`).
        epochs: most epochs, where fewer than the recipe's are wanted (networks only).
        seed: of everything drawn at random.
        parallel: on all cards at once (networks only).
        report: takes a line of progress.

    Raises:
        BundleError: `out` exists, or its work folder holds another training.
    """
    if out.exists():
        raise BundleError(f"{out}: exists already; choose another folder or remove it.")
    family, run = family_of(recipe), Run(work_folder(out), report, epochs, seed, parallel)
    claim(run, dataset, split, recipe)
    folds = cross_fit(dataset, split, family, recipe, run)
    model: FittedModel | None = None
    if split.name == "patient":
        model, history, seconds = fit_on_all(dataset, split, family, recipe, run)
        folds = replace(
            folds,
            history=pd.concat([folds.history, history], ignore_index=True),
            seconds={**folds.seconds, ON_ALL: seconds},
        )

    def fill(folder: Path) -> None:
        if model is not None:
            model.save(folder)
        for number in range(len(split.folds)):
            for file in (run.work / f"fold-{number}" / KEPT).glob("*"):
                shutil.copyfile(file, folder / f"fold-{number}-{file.name}")
        split.write(folder / SPLIT)
        folds.predictions.to_parquet(folder / PREDICTIONS, index=False, compression="zstd")
        folds.history.to_csv(folder / HISTORY, index=False, float_format="%.6g")

    def card(files: dict[str, str]) -> Card:
        return bundle_card(dataset, split, recipe, folds, epochs, seed, files)

    made = write_bundle(out, fill, card)
    shutil.rmtree(run.work)
    report(f"{out}: written")
    return made


def claim(run: Run, dataset: Dataset, split: Split, recipe: Recipe) -> None:
    """Makes the work folder this training's, or finds that it is already.

    Raises:
        BundleError: it holds the state of another training. Going on from that could test a model on
            patients it was trained on.
    """
    plan = {
        "data": dataset.fingerprint,
        "split": asdict(split),
        "recipe": asdict(recipe),
        "epochs": run.epochs,
        "seed": run.seed,
    }
    # Through JSON, so that what was kept and what is wanted have the same types.
    wanted, kept = json.loads(json.dumps(plan)), run.work / "plan.json"
    if not kept.is_file() and not any(run.work.glob("*/")):
        run.work.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_text(json.dumps(wanted))
        partial.replace(kept)
        return
    try:
        found = json.loads(kept.read_text())
    except (OSError, ValueError):
        found = {}
    different = ", ".join(name for name in wanted if wanted[name] != found.get(name))
    if different:
        raise BundleError(
            f"{run.work}: holds an unfinished training with another {different}; remove it, or"
            " choose another place for the result."
        )


def bundle_card(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    folds: CrossFit,
    epochs: int | None,
    seed: int,
    files: dict[str, str],
) -> Card:
    """The card of a bundle with these figures."""
    patients = dataset.slices["patient"].nunique()
    return Card(
        family=recipe.family,
        recipe=recipe.name,
        split=split.name,
        fingerprint=dataset.fingerprint,
        counts={
            "slices": len(dataset.slices),
            "patients": int(patients),
            "patient_groups": len(set(split.groups.values())),
        },
        seed=seed,
        epochs=None if isinstance(recipe, KernelRecipe) else epochs or recipe.epochs,
        threshold=recipe.threshold,
        threshold_reason="as published: the class with the higher probability",
        metrics={
            level: asdict(
                scores(
                    folds.predictions, level=level, threshold=recipe.threshold, groups=split.groups
                )
            )
            for level in ("slice", "patient")
        },
        seconds={name: round(seconds, 1) for name, seconds in folds.seconds.items()},
        versions={"python": platform.python_version()} | installed(LIBRARIES),
        commit=_commit(),
        created=datetime.now(UTC).date().isoformat(),
        remarks=tuple(_remarks(split, recipe, epochs)),
        files=files,
        changed=_changed(recipe),
    )


def _remarks(split: Split, recipe: Recipe, epochs: int | None) -> list[str]:
    remarks = []
    if split.name == "patient":
        remarks.append(
            "The model was trained on all patients; its figures are those of the out-of-fold"
            " predictions, made by models that never saw the patient."
        )
    else:
        remarks.append(
            "The figures leak: slices of one patient were on both sides of the split. The bundle"
            " holds no model."
        )
    if isinstance(recipe, NetworkRecipe) and epochs and epochs < recipe.epochs:
        remarks.append(f"Trained for {epochs} epochs; the study trained for {recipe.epochs}.")
    return remarks


def _changed(recipe: Recipe) -> dict[str, float]:
    """Settings that differ from those of the recipe of this name."""
    named = recipe_named(recipe.family, recipe.name)
    return {name: value for name, value in vars(recipe).items() if value != vars(named)[name]}


def _commit() -> str:
    """Commit of the code, or "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
