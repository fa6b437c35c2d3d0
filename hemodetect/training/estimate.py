"""How long a training will take, from a short one on the same slices."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import HemodetectError
from hemodetect.models.recipes import KernelRecipe, NetworkRecipe, Recipe
from hemodetect.training.fitting import Run, TrainingSet
from hemodetect.training.network_training import fit_network
from hemodetect.training.trainers import fit_slices, training_set

_BATCHES = 6
_KERNEL_SLICES = 600


def estimated_seconds(
    dataset: Dataset, split: Split, recipe: Recipe, epochs: int | None = None
) -> float:
    """Seconds that all folds and the training on all patients will take on this device.

    A network is trained for two epochs of a few batches. The second is timed, because the first
    includes compiling; early stopping is not considered. A kernel model is fitted to a few hundred
    slices, and its time grows with the square of their number.

    Raises:
        HemodetectError: no estimate can be made for the recipe.
    """
    sizes = [int((~split.test_mask(dataset.slices, n)).sum()) for n in range(len(split.folds))]
    if split.name == "patient":
        sizes.append(len(dataset.slices))
    if isinstance(recipe, NetworkRecipe):
        per_slice = _network_seconds_per_slice(dataset, recipe)
        return per_slice * sum(sizes) * (epochs or recipe.epochs)
    if isinstance(recipe, KernelRecipe):
        sample_size, seconds = _kernel_seconds(dataset, split, recipe)
        return seconds * sum((size / sample_size) ** 2 for size in sizes)
    raise HemodetectError(
        f"There is no estimate for the recipe {recipe.name}; the README has its duration."
    )


def _sample(dataset: Dataset, n: int) -> np.ndarray:
    """(slices,) bool: about n slices, of all patients."""
    rows = np.zeros(len(dataset.slices), bool)
    rows[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int))] = True
    return rows


def _network_seconds_per_slice(dataset: Dataset, recipe: NetworkRecipe) -> float:
    rows = _sample(dataset, recipe.batch * _BATCHES)
    grey, labels = np.ascontiguousarray(dataset.grey(recipe.size)[rows]), dataset.labels[rows]
    validation = np.zeros(len(labels), bool)
    validation[:: max(round(1 / recipe.validation_share), 2)] = True
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as work:
        fit_network(
            recipe, grey, labels, validation, epochs=2, seed=0, work=Path(work),
            report=lambda *_: ends.append(time.monotonic()),
        )  # fmt: skip
    return (ends[1] - ends[0]) / len(labels)


def _kernel_seconds(dataset: Dataset, split: Split, recipe: KernelRecipe) -> tuple[int, float]:
    sample: TrainingSet = training_set(dataset, split, recipe, _sample(dataset, _KERNEL_SLICES))
    with tempfile.TemporaryDirectory() as work:
        start = time.monotonic()
        fit_slices(sample, recipe, Run(Path(work), lambda _: None))
    return len(sample.slices), time.monotonic() - start
