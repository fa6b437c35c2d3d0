"""How models of a recipe are fitted to some rows of a data set, and asked about others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.peer_maps import peer_maps
from hemodetect.dataset.splits import Split
from hemodetect.errors import HemodetectError
from hemodetect.models.interface import FittedModel, predicted_slices
from hemodetect.models.recipes import (
    BloodRecipe,
    KernelRecipe,
    NetworkRecipe,
    Recipe,
    StudyRecipe,
)
from hemodetect.training.fitting import Fit, Report, Run, TrainingSet


@dataclass(frozen=True, eq=False)
class BundleExtras:
    """What a trainer adds to its bundle.

    Attributes:
        tables: predictions by file name.
        splits: by file name.
        card: fields of the card that get another value.
        remarks: sentences that are added to the card's.
    """

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


class Trainer(Protocol):
    """Fits models of one recipe to one data set."""

    @property
    def identity(self) -> str | None:
        """Names what the models rest on besides data set, split and recipe; None for nothing."""
        ...

    def fit(self, rows: np.ndarray, run: Run) -> Fit:
        """Trains on the slices of `rows`, (n,) bool; goes on where the same `run` was cut off."""
        ...

    def predict(self, model: FittedModel, rows: np.ndarray) -> pd.DataFrame:
        """Columns probability and patient_probability of the slices of `rows`, (n,) bool."""
        ...

    def extras(self, out_of_fold: pd.DataFrame, report: Report) -> BundleExtras:
        """What the bundle gets besides; takes the out-of-fold predictions of the data set."""
        ...


@dataclass(frozen=True)
class SliceTrainer:
    """Fits models to slices of one data set.

    Attributes:
        dataset, split: what is trained on.
        recipe: of any kind that needs no backbone.
        peer_maps: folder with soft maps of blood for the set (see `dataset.peer_maps`), or None.
    """

    dataset: Dataset
    split: Split
    recipe: Recipe
    peer_maps: Path | None = None
    identity = None

    def fit(self, rows: np.ndarray, run: Run) -> Fit:
        """Trains on the slices of `rows`; the libraries of a family come when it is fitted."""
        training = training_set(self.dataset, self.split, self.recipe, rows, self._peer())
        if self.split.name == "paper" and isinstance(self.recipe, NetworkRecipe):
            rest = training_set(self.dataset, self.split, self.recipe, ~rows)
            training = replace(training, watched=rest)
        return fit_slices(training, self.recipe, run)

    def predict(self, model: FittedModel, rows: np.ndarray) -> pd.DataFrame:
        """What `model` answers, series by series."""
        grey = self.dataset.grey(self.recipe.size)[rows]
        return predicted_slices(model, grey, self.dataset.slices[rows])

    def _peer(self) -> dict[int, np.ndarray]:
        return {} if self.peer_maps is None else peer_maps(self.peer_maps, self.dataset)

    def extras(self, out_of_fold: pd.DataFrame, report: Report) -> BundleExtras:
        """Nothing."""
        return BundleExtras()


def trainer_of(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    *,
    backbone: Path | None = None,
    backbone_data: Dataset | None = None,
    maps: Path | None = None,
    seed: int = 0,
    report: Report = print,
) -> Trainer:
    """The trainer of a recipe.

    Args:
        dataset: what the models are for.
        split: made for `dataset`.
        recipe: of any kind.
        backbone: bundle of the recipe ``blood`` (recipes that need one).
        backbone_data: the set that the backbone was trained on.
        maps: folder of a second teacher's maps (recipe ``blood``).
        seed: of everything that a recipe with a backbone draws.
        report: takes a line of progress.

    Raises:
        HemodetectError: the recipe needs a backbone and got none.
        BundleError: the backbone cannot be used for `dataset`.
    """
    if not isinstance(recipe, StudyRecipe):
        return SliceTrainer(dataset, split, recipe, maps)
    if backbone is None or backbone_data is None:
        raise HemodetectError(
            f"Recipe {recipe.name} needs a CNN of the recipe blood; give it with --backbone, and the"
            " data it was trained on with --backbone-data."
        )
    from hemodetect.training.study_training import StudyTrainer

    return StudyTrainer(dataset, split, recipe, backbone, backbone_data, seed, report)


def training_set(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    rows: np.ndarray,
    peer: Mapping[int, np.ndarray] | None = None,
) -> TrainingSet:
    """The slices of `rows` (n,) bool, in memory, with the soft maps of `peer` by row of the set."""
    place = {int(row): number for number, row in enumerate(np.flatnonzero(rows))}
    return TrainingSet(
        grey=np.ascontiguousarray(dataset.grey(recipe.size)[rows]),
        slices=dataset.slices[rows].reset_index(drop=True),
        groups=split.groups if split.name == "patient" else None,
        peer={place[row]: soft for row, soft in (peer or {}).items() if row in place},
    )


def fit_slices(training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
    """Trains a recipe that needs no backbone.

    Each family brings its own library when it is fitted: Keras takes 3 s to come, and an SVM on pixels
    does without.
    """
    match recipe:
        case BloodRecipe():
            from hemodetect.training.blood_training import fit_blood

            return fit_blood(training, recipe, run)
        case NetworkRecipe():
            from hemodetect.training.network_training import fit_network_recipe

            return fit_network_recipe(training, recipe, run)
        case KernelRecipe(family="svm"):
            from hemodetect.training.svm_training import fit_svm

            return fit_svm(training, recipe, run)
        case KernelRecipe():
            from hemodetect.training.logistic_training import fit_logistic

            return fit_logistic(training, recipe, run)
    raise HemodetectError(f"Recipe {recipe.name} is not trained on slices alone.")
