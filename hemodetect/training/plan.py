"""What to train, and on what; checked before anything is started."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import DEPTHS, Recipe, recipe_named

RANGES: dict[str, tuple[float, float]] = {
    "folds": (2, 10),
    "epochs": (1, 200),
    "batch": (1, 256),
    "learning_rate": (1e-6, 0.1),
    "dropout": (0, 0.9),
    "l2": (0, 1),
    "depth": (1, 5),
    "stop_patience": (0, 200),
    "trials": (2, 500),
    "seed": (0, 2**31 - 1),
}
"""Smallest and largest value of every number in a plan."""
PRECISIONS = ("float32", "bfloat16")
TUNED = ("learning_rate", "dropout", "l2", "depth")
"""Settings of a network that a search chooses."""


class PlanError(HemodetectError):
    """A plan has a value that cannot be trained with."""


@dataclass(frozen=True)
class TrainingPlan:
    """One training, or one search.

    Attributes:
        data: folder of a labelled set.
        family, recipe: their keys.
        split: "patient", "paper", or the file of a saved split.
        folds: of the patient split.
        epochs, batch, learning_rate, dropout, l2, depth: replace the recipe's (networks trained
            on slices only).
        precision: "float32" or "bfloat16" (networks trained on slices only).
        stop_patience: 0 trains every epoch and keeps the last one (networks trained on slices only).
        trials: settings that a search tries in each fold (networks only).
        seed: of everything drawn at random.
        device: "cpu", "gpu" (the first), "gpu:<number>", or "gpus" (all of the machine at once, a
            part of each batch on each).
        backbone, backbone_data: bundle of the recipe ``blood`` and the set it was trained on (recipe
            ``study`` only).
        task: "train", or "search" over the folds: every C, gamma and kernel of the SVM, every C of
            the logistic regression (these ignore recipe and device), or learning rate, dropout, L2
            and depth of a network.
    """

    data: str
    family: str
    recipe: str = "paper"
    split: str = "patient"
    folds: int = 5
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    l2: float | None = None
    depth: int | None = None
    stop_patience: int | None = None
    precision: str | None = None
    trials: int = 20
    seed: int = 0
    device: str = "cpu"
    backbone: str | None = None
    backbone_data: str | None = None
    task: Literal["train", "search"] = "train"

    def checked_recipe(self) -> Recipe:
        """The recipe with the plan's changes.

        Raises:
            PlanError: a value is out of its range, or the recipe has no such setting.
            UnknownRecipe: the family has no such recipe.
        """
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise PlanError(f"{_subject(name)} is {value}; expected {low:g} to {high:g}.")
        if not re.fullmatch(r"cpu|gpus?|gpu:\d{1,3}", self.device):
            raise PlanError(
                f"The device is {self.device!r}; expected cpu, gpu, gpu:<number> or gpus."
            )
        if self.precision not in (None, *PRECISIONS):
            raise PlanError(
                f"The precision is {self.precision!r}; expected {' or '.join(PRECISIONS)}."
            )
        recipe = recipe_named(self.family, self.recipe)
        if self.task == "search" and (self.recipe != "paper" or self.split == "paper"):
            raise PlanError("A search takes the recipe paper, and a split by patient.")
        if recipe.needs_backbone and not (self.backbone and self.backbone_data):
            raise PlanError(
                "Recipe study needs a backbone and the set it was trained on"
                " (--backbone and --backbone-data)."
            )
        changed = {
            name: getattr(self, name)
            for name in ("batch", "stop_patience", "precision", *TUNED)
            if getattr(self, name) is not None
        }
        if not changed:
            return recipe
        fixed = [name for name in changed if name not in recipe.adjustable]
        if fixed:
            raise PlanError(
                f"{_subject(fixed[0])} cannot be chosen for {self.family}, recipe"
                f" {self.recipe}; only networks trained on slices have one."
            )
        if self.task == "search" and set(changed) & set(TUNED):
            raise PlanError("A search chooses learning rate, dropout, L2 and depth itself.")
        low, high = DEPTHS[self.family]
        if self.depth is not None and not low <= self.depth <= high:
            raise PlanError(
                f"The depth is {self.depth}; {FAMILY_NAMES[self.family]} takes {low} to {high}."
            )
        adjusted: dict[str, Any] = changed
        return replace(recipe, **adjusted)

    def arguments(self, out: Path) -> list[str]:
        """Arguments of `hemodetect` that carry the plan out and write the bundle or file `out`."""
        options: dict[str, object] = {
            "--data": self.data,
            "--model": self.family,
            "--recipe": self.recipe,
            "--split": self.split,
            "--folds": self.folds,
            "--epochs": self.epochs,
            "--batch": self.batch,
            "--learning-rate": self.learning_rate,
            "--dropout": self.dropout,
            "--l2": self.l2,
            "--depth": self.depth,
            "--stop-patience": self.stop_patience,
            "--precision": self.precision,
            "--seed": self.seed,
            "--device": self.device,
            "--backbone": self.backbone,
            "--backbone-data": self.backbone_data,
            "--out": out,
        }
        if self.task == "search":
            names = ["--data", "--model", "--split", "--folds", "--seed", "--out"]
            if self.family in DEPTHS:
                names += ["--epochs", "--batch", "--device", "--trials"]
                options["--trials"] = self.trials
            options = {name: options[name] for name in names}
        # With "=", so that no value is ever taken for an option.
        return [self.task, *(f"{name}={v}" for name, v in options.items() if v is not None)]


def _subject(name: str) -> str:
    if name in ("folds", "epochs", "trials"):
        return f"The number of {name}"
    return "The " + {"batch": "batch size", "l2": "L2"}.get(name, name.replace("_", " "))
