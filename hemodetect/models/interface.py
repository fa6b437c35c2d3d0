"""What every family offers, so that nobody has to ask which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

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
        slices: one row a slice: slice, patient, series, label.
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
        parallel: on all cards at once (networks only).
    """

    work: Path
    report: Report
    epochs: int | None = None
    seed: int = 0
    parallel: bool = False


@dataclass(frozen=True, eq=False)
class SeriesPrediction:
    """What one model says of one series.

    Attributes:
        slices: (n,) float32 probability of hemorrhage, in the order of the series.
        patient: probability for the patient.
        attention: (n, steps) float32 weights of the image rows, each row of it summing to 1;
            None where the model weighs no rows.
        slice_attention: (n,) float32 weights of the slices, summing to 1; None where the model
            weighs no slices.
        seen: (n,) bool, slices in which a head was made out; None where the model looks for none.
    """

    slices: np.ndarray
    patient: float
    attention: np.ndarray | None = None
    slice_attention: np.ndarray | None = None
    seen: np.ndarray | None = None


def by_mean(probabilities: np.ndarray, attention: np.ndarray | None = None) -> SeriesPrediction:
    """The prediction of a model that knows slices only: the patient's is the mean of (n,)."""
    return SeriesPrediction(probabilities, float(probabilities.mean()), attention)


Shared = dict[str, Any]
"""What models have in common about one series, so that it is worked out once; by a key of theirs."""


class FittedModel(Protocol):
    """A trained model of any family."""

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        ...

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        """For the (n, size, size) uint8 slices of one series, in order; `shared` is of that series."""
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


def predicted(model: FittedModel, grey: np.ndarray, slices: pd.DataFrame) -> pd.DataFrame:
    """A model's answers for many series.

    Args:
        model: of any family.
        grey: (n, size, size) uint8.
        slices: (n) rows with patient and series, the slices of a series in order.

    Returns:
        The index of `slices`, with probability and patient_probability (float32). Of a patient with
        several series the patient's is the highest.
    """
    table = slices[["patient", "series"]].reset_index(drop=True)
    found = np.empty((len(table), 2), np.float32)
    for rows in table.groupby(["patient", "series"], sort=False, dropna=False).indices.values():
        answer = model.predict(np.ascontiguousarray(grey[rows]), {})
        found[rows, 0], found[rows, 1] = answer.slices, answer.patient
    patients = pd.Series(found[:, 1]).groupby(table["patient"]).transform("max")
    return pd.DataFrame(
        {"probability": found[:, 0], "patient_probability": patients.to_numpy(np.float32)},
        index=slices.index,
    )


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
