"""A trained CNN, RNN or attention RNN of the study, as a model that answers slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from hemodetect.models.heat_map_source import HeatMapSource, NoHeatMaps
from hemodetect.models.interface import (
    GRADIENT_METHODS,
    Abilities,
    SeriesPrediction,
    mean_prediction,
)
from hemodetect.models.networks import BUILDERS, LAST_CONVOLUTION, network_input
from hemodetect.models.recipes import NetworkRecipe
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.weight_files import (
    read_half,
    read_network,
    write_network,
    write_rounded,
)

WEIGHTS = "model.keras"
ROUNDED_WEIGHTS = "model.skops"
"""Weights rounded to 10 bits; such a bundle has no `WEIGHTS`."""


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A trained network; `keras_model` has one output, or probability and attention weights."""

    keras_model: keras.Model

    @classmethod
    def load(cls, folder: Path, recipe: NetworkRecipe) -> NetworkModel:
        """What `save` or `save_rounded` wrote; raises `BundleError` where it is unsafe or damaged."""
        if (folder / ROUNDED_WEIGHTS).is_file():
            return cls(read_half(folder / ROUNDED_WEIGHTS, BUILDERS[recipe.family](recipe)))
        return cls(read_network(folder / WEIGHTS))

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        return int(self.keras_model.input_shape[1])

    @property
    def abilities(self) -> Abilities:
        """What it can show besides probabilities."""
        convolutions = any(layer.name == LAST_CONVOLUTION for layer in self.keras_model.layers)
        return Abilities(
            heat_maps=GRADIENT_METHODS if convolutions else (),
            row_attention=len(self.keras_model.outputs) > 1,
        )

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        """(n,) float32 in [0, 1] for (n, size, size) uint8."""
        return self.predict(grey).slices

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        """Attention weights are (n, size), of the image rows."""
        outputs = network_outputs(self.keras_model, grey)
        return mean_prediction(
            outputs[0][:, 0].astype(np.float32), outputs[1] if len(outputs) > 1 else None
        )

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        """The network and the images it sees; see `FittedModel`."""
        if not self.abilities.heat_maps:
            raise NoHeatMaps("This network has no convolutions; heat maps need a CNN.")
        return HeatMapSource(
            self.keras_model, network_input(self.keras_model, grey), LAST_CONVOLUTION
        )

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_network(folder / WEIGHTS, self.keras_model)

    def save_rounded(self, folder: Path) -> None:
        """Writes the weights rounded to 10 bits."""
        write_rounded(folder / ROUNDED_WEIGHTS, self.keras_model)


def network_outputs(model: keras.Model, grey: np.ndarray, batch: int = 32) -> list[np.ndarray]:
    """Every output of `model` for (n, size, size) uint8 slices, concatenated over batches.

    The last batch is filled up, so that the compiled function meets two shapes only: a batch, and a
    single slice, which is wanted at once and would take eight times as long in a batch.
    """
    batch = batch if len(grey) > 1 else 1
    outputs: list[Sequence[np.ndarray]] = []
    for start in range(0, len(grey), batch):
        part = grey[start : start + batch]
        full = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        predicted = model.predict_on_batch(network_input(model, full))
        predicted = predicted if isinstance(predicted, list) else [predicted]
        outputs.append([np.asarray(p)[: len(part)] for p in predicted])
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
