"""What every training takes and gives, whatever it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.models.interface import FittedModel

Report = Callable[[str], None]
"""Takes a line about what was just done."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Slices to train on; never a test slice.

    Attributes:
        grey: (n, size, size) uint8.
        slices: the rows of the set's table.
        groups: patient group of every patient; None under the paper split, where slices are drawn
            without regard to patients.
        peer: soft maps of blood by row number, see `dataset.peer_maps`.
        watched: the test slices, which a network's validation loss is measured on under the paper
            split, as in the study; None under every other split.
    """

    grey: np.ndarray
    slices: pd.DataFrame
    groups: dict[str, str] | None
    peer: Mapping[int, np.ndarray] = field(default_factory=dict)
    watched: TrainingSet | None = None

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
        parallel: on all GPUs at once (networks only).
    """

    work: Path
    report: Report
    epochs: int | None = None
    seed: int = 0
    parallel: bool = False


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained model, and what is worth keeping about its training.

    Attributes:
        model: the model.
        history: an epoch a row; empty where there are no epochs.
        notes: figures for the card.
    """

    model: FittedModel
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: dict[str, float] = field(default_factory=dict)
