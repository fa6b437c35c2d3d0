"""What every family offers, so that nobody has to ask which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from hemodetect.models.recipes import Recipe

Report = Callable[[str], None]
"""Takes a line about what was just done."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Slices to train on, and nothing else: no test slice is ever in here.

    Attributes:
        grey: (n, size, size) uint8.
        slices: one row a slice: slice, patient, label.
        groups: patient group of every patient; None under the paper split, where slices are drawn
            without regard to patients.
    """

    grey: np.ndarray
    slices: pd.DataFrame
    groups: dict[str, str] | None

    @property
    def labels(self) -> np.ndarray:
        """(n,) int8, 1 is hemorrhage."""
        return self.slices["label"].to_numpy()

    @property
    def units(self) -> np.ndarray:
        """(n,) str: what must stay together in an inner fold (patient group, or the slice itself)."""
        if self.groups is None:
            return self.slices["slice"].to_numpy()
        return self.slices["patient"].map(self.groups).to_numpy()


@dataclass(frozen=True)
class Run:
    """How one training is run.

    Attributes:
        work: folder of its state.
        report: takes lines of progress.
        epochs: most epochs, where fewer than the recipe's are wanted (networks only).
        seed: of everything drawn at random.
    """

    work: Path
    report: Report
    epochs: int | None = None
    seed: int = 0


class FittedModel(Protocol):
    """A trained model of any family."""

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        ...

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        """(n,) float32 in [0, 1] for (n, size, size) uint8."""
        ...

    def outputs(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The probabilities, and (n, steps) attention weights or None."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        ...


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained model, and what is worth keeping about how it came about.

    Attributes:
        history: an epoch a row; empty where there are no epochs.
        notes: figures for the card.
    """

    model: FittedModel
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: dict[str, float] = field(default_factory=dict)


class Family(Protocol):
    """Fitting and loading of one family."""

    @property
    def weights_name(self) -> str:
        """File name of the weights in a bundle."""
        ...

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        """Trains; called again with the same `run.work`, goes on where it was cut off."""
        ...

    def load(self, folder: Path, recipe: Recipe) -> FittedModel:
        """The model that `FittedModel.save` wrote into `folder`."""
        ...
