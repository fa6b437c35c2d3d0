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
from hemodetect.evaluation.levels import LEVELS
from hemodetect.evaluation.metrics import level_scores
from hemodetect.models.interface import FittedModel
from hemodetect.models.recipes import Recipe, StudyRecipe, recipe_named
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.registry.bundle import HISTORY, PREDICTIONS, SPLIT, Card, write_bundle
from hemodetect.registry.known_slices import HASH_COLUMN
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.crossfit import FOLD_MODEL, ON_ALL, CrossFit, cross_fit, fit_on_all
from hemodetect.training.fitting import Report, Run
from hemodetect.training.trainers import trainer_of
from hemodetect.training.versions import installed

LIBRARIES = ("keras", "tensorflow-cpu", "scikit-learn", "numpy", "scipy", "pillow")


def work_folder(out: Path) -> Path:
    """Where the training of the bundle `out` keeps its state."""
    return out.with_name(out.name + ".work")


def train_bundle(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    out: Path,
    *,
    backbone: Path | None = None,
    backbone_data: Dataset | None = None,
    maps: Path | None = None,
    epochs: int | None = None,
    seed: int = 0,
    parallel: bool = False,
    report: Report = print,
) -> Card:
    """Trains a recipe over a split and writes the bundle, resuming what was cut off.

    Under the patient split the bundle holds the model trained on all patients, and its figures are
    those of the out-of-fold predictions. Under the paper split it holds the model that was trained on
    the split's training slices: the study's own, whose figures leak, and which cannot be a release.

    Args:
        dataset: what to train on.
        split: made for `dataset`.
        recipe: of any family.
        out: the bundle's folder; must not exist. State is kept beside it (`work_folder`).
        backbone: bundle of a CNN of the recipe ``blood`` with its folds' networks (recipes that need
            one).
        backbone_data: the set that the backbone was trained on.
        maps: folder of a second teacher's maps (recipe ``blood``).
        epochs: most epochs, where fewer than the recipe's are wanted (networks only).
        seed: of everything drawn at random.
        parallel: on all GPUs at once (networks only).
        report: takes a line of progress.

    Raises:
        BundleError: `out` exists, its work folder holds another training, or the backbone cannot be
            used for `dataset`.
    """
    if out.exists():
        raise BundleError(f"{out}: exists already; choose another folder or remove it.")
    trainer = trainer_of(
        dataset, split, recipe, backbone=backbone, backbone_data=backbone_data, maps=maps,
        seed=seed, report=report,
    )  # fmt: skip
    run = Run(work_folder(out), report, epochs, seed, parallel)
    claim(run, dataset, split, recipe, trainer.identity)
    published = split.name == "paper"
    folds = cross_fit(
        dataset, split, trainer, run, keep_models=recipe.keeps_fold_models or published
    )
    model: FittedModel | None = None
    if not published:
        model, history, seconds = fit_on_all(dataset, split, trainer, run)
        folds = replace(
            folds,
            history=pd.concat([folds.history, history], ignore_index=True),
            seconds={**folds.seconds, ON_ALL: seconds},
        )
    extras = trainer.extras(folds.predictions, report)

    def fill(folder: Path) -> None:
        if model is not None:
            model.save(folder)
        for number in range(len(split.folds)):
            for file in (run.work / f"fold-{number}" / FOLD_MODEL).glob("*"):
                name = file.name if published else f"fold-{number}-{file.name}"
                shutil.copyfile(file, folder / name)
        for name, of_split in {SPLIT: split, **extras.splits}.items():
            of_split.write(folder / name)
        for name, table in {PREDICTIONS: folds.predictions, **extras.tables}.items():
            source = dataset if name == PREDICTIONS else backbone_data
            hashed = table if source is None else with_hashes(table, source)
            hashed.to_parquet(folder / name, index=False, compression="zstd")
        if not folds.history.empty:
            folds.history.to_csv(folder / HISTORY, index=False, float_format="%.6g")

    def card(files: dict[str, str]) -> Card:
        plain = bundle_card(dataset, split, recipe, folds, epochs, seed, files)
        return replace(plain, remarks=(*plain.remarks, *extras.remarks), **extras.card)

    written = write_bundle(out, fill, card)
    shutil.rmtree(run.work)
    report(f"{out}: written")
    return written


def with_hashes(table: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """A table of predictions with what each slice shows as a hash.

    Args:
        table: with patient and slice, of slices of the set.
        dataset: the set.
    """
    keys = dataset.slices[["patient", "slice"]]
    hashes = keys.assign(**{HASH_COLUMN: slice_hashes(dataset.grey(HASH_SIDE))})
    return table.merge(hashes, on=["patient", "slice"], how="left", validate="many_to_one")


def claim(
    run: Run, dataset: Dataset, split: Split, recipe: Recipe, backbone: str | None = None
) -> None:
    """Makes the work folder this training's, or finds that it is already.

    Args:
        run: its work folder.
        dataset, split, recipe: what is trained.
        backbone: version of the backbone, None where there is none.

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
        "backbone": backbone,
    }
    # Through JSON, so that both plans have the same types.
    plan, plan_file = json.loads(json.dumps(plan)), run.work / "plan.json"
    if not plan_file.is_file() and not any(run.work.glob("*/")):
        run.work.mkdir(parents=True, exist_ok=True)
        with whole_file(plan_file) as partial:
            partial.write_text(json.dumps(plan))
        return
    try:
        stored = json.loads(plan_file.read_text())
    except (OSError, ValueError):
        stored = {}
    different = ", ".join(name for name in plan if plan[name] != stored.get(name))
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
    slice_threshold = recipe.slice_threshold if isinstance(recipe, StudyRecipe) else None
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
        epochs=_epochs(recipe, epochs),
        threshold=recipe.threshold,
        threshold_reason="as published: the class with the higher probability",
        metrics={
            level: asdict(
                level_scores(
                    folds.predictions,
                    level,
                    threshold=recipe.threshold,
                    slice_threshold=slice_threshold,
                    groups=split.groups,
                )
            )
            for level in LEVELS
        },
        seconds={name: round(seconds, 1) for name, seconds in folds.seconds.items()},
        versions={"python": platform.python_version()} | installed(LIBRARIES),
        commit=_commit(),
        created=datetime.now(UTC).date().isoformat(),
        remarks=tuple(_remarks(split, recipe, epochs)),
        files=files,
        changed=_changed(recipe),
        slice_threshold=slice_threshold,
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
            "The figures leak: slices of one patient were on both sides of the split. The model was"
            " trained on the split's training slices and cannot be put into use."
        )
    published = _epochs(recipe, None)
    if recipe.name == "paper" and published and epochs and epochs < published:
        remarks.append(f"Trained for {epochs} epochs; the study trained for {published}.")
    return remarks


def _epochs(recipe: Recipe, epochs: int | None) -> int | None:
    """Epochs of a training; None where it has none that can be chosen."""
    return (epochs or recipe.epochs) if "epochs" in recipe.adjustable else None


def _changed(recipe: Recipe) -> dict[str, float | str]:
    """Settings that differ from those of the recipe of this name."""
    named = recipe_named(recipe.family, recipe.name)
    return {name: value for name, value in vars(recipe).items() if value != vars(named)[name]}


def _commit() -> str:
    """Commit of the code, or "unknown" outside a checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
