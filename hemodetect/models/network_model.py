"""CNN, RNN and attention RNN as families."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from hemodetect.dataset.splits import inner_validation
from hemodetect.errors import BundleError
from hemodetect.models.interface import Fit, Run, SeriesPrediction, Shared, TrainingSet, by_mean
from hemodetect.models.recipes import NetworkRecipe, Recipe
from hemodetect.training.network_training import fit_network, network_probabilities
from hemodetect.training.progress_events import report_progress

WEIGHTS = "model.keras"


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A trained network; `keras_model` has one output, or probability and attention weights."""

    keras_model: keras.Model

    @property
    def size(self) -> int:
        return int(self.keras_model.input_shape[1])

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        """(n,) float32 in [0, 1] for (n, size, size) uint8."""
        return self.predict(grey, {}).slices

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        """Attention weights are (n, size), of the image rows."""
        found = network_probabilities(self.keras_model, grey)
        return by_mean(found[0][:, 0].astype(np.float32), found[1] if len(found) > 1 else None)

    def save(self, folder: Path) -> None:
        # Rebuilt without optimizer and loss: a third of the size, and nothing to compile on load.
        keras.Model(self.keras_model.inputs, self.keras_model.outputs).save(folder / WEIGHTS)


class NetworkFamily:
    """Fits and loads any of the networks."""

    weights_name = WEIGHTS

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        assert isinstance(recipe, NetworkRecipe)
        most = run.epochs or recipe.epochs
        aside = inner_validation(
            training.slices, training.groups, recipe.validation_share, run.seed
        )
        last = time.monotonic()

        def told(epoch: int, figures: dict[str, float]) -> None:
            nonlocal last
            now = time.monotonic()
            report_progress(
                epoch=epoch + 1,
                epochs=most,
                loss=figures["loss"],
                val_loss=figures.get("val_loss", np.nan),
            )
            run.report(
                f"epoch {epoch + 1}/{most}: loss {figures['loss']:.3f}, "
                f"accuracy {figures['accuracy']:.1%}, "
                f"validation loss {figures.get('val_loss', np.nan):.3f}, "
                f"accuracy {figures.get('val_accuracy', np.nan):.1%} ({now - last:.0f} s)"
            )
            last = now

        model, history = fit_network(
            recipe,
            training.grey,
            training.labels,
            aside,
            epochs=most,
            seed=run.seed,
            work=run.work,
            report=told,
            parallel=run.parallel,
        )
        return Fit(NetworkModel(model), history, {"epochs": float(len(history))})

    def load(self, folder: Path, recipe: Recipe) -> NetworkModel:
        return NetworkModel(loaded_network(folder / WEIGHTS))


def loaded_network(path: Path) -> keras.Model:
    """The network in a ``.keras`` file; raises `BundleError` where it is unsafe or damaged."""
    try:
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:
        raise BundleError(
            f"{path}: cannot be loaded safely ({type(error).__name__}); it is damaged or holds"
            " code of its own. Use a bundle from a source you trust."
        ) from error
