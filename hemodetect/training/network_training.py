"""Training one network on slices, resumable after each epoch (`epoch_states`)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from hemodetect.dataset.splits import inner_validation
from hemodetect.errors import HemodetectError
from hemodetect.models.network_model import NetworkModel
from hemodetect.models.networks import BUILDERS, network_input
from hemodetect.models.recipes import NetworkRecipe
from hemodetect.registry.bundle import AUROC, COUNTS
from hemodetect.training.augmentation import augmented
from hemodetect.training.devices import data_parallel
from hemodetect.training.epoch_states import EpochReport, EpochStates, SaveEachEpoch
from hemodetect.training.fitting import Fit, Run, TrainingSet
from hemodetect.training.progress_events import report_progress


class TrainingDiverged(HemodetectError):
    """The loss became infinite before any epoch could be kept."""


class AugmentedSlices(keras.utils.PyDataset):
    """Training batches: shuffled and augmented anew each epoch, the same again for the same seed."""

    def __init__(
        self,
        model: keras.Model,
        grey: np.ndarray,
        labels: np.ndarray,
        recipe: NetworkRecipe,
        seed: int,
        first_epoch: int,
    ) -> None:
        super().__init__(workers=1)
        self._model, self._grey, self._labels = model, grey, labels
        self._recipe, self._seed, self._epoch = recipe, seed, first_epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        return -(-len(self._labels) // self._recipe.batch)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[batch * self._recipe.batch :][: self._recipe.batch]
        random = np.random.default_rng((self._seed, self._epoch, batch))
        images = augmented(self._grey[rows], self._recipe.augmentation, random)
        labels = self._labels[rows].astype(np.float32)[:, None]
        return network_input(self._model, images), labels

    def on_epoch_end(self) -> None:
        """Called by Keras after each epoch."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        return np.random.default_rng((self._seed, self._epoch)).permutation(len(self._labels))


class WatchedSlices(keras.utils.PyDataset):
    """Validation batches, in order; made when they are wanted: as float32 they take 12 times as much
    memory.
    """

    def __init__(
        self, model: keras.Model, grey: np.ndarray, labels: np.ndarray, batch: int
    ) -> None:
        super().__init__(workers=1)
        self._model, self._grey, self._labels, self._batch = model, grey, labels, batch

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(batch * self._batch, (batch + 1) * self._batch)
        labels = self._labels[rows].astype(np.float32)[:, None]
        return network_input(self._model, self._grey[rows]), labels


def fit_network_recipe(training: TrainingSet, recipe: NetworkRecipe, run: Run) -> Fit:
    """A network of the recipe; part of the training patients are set aside to watch training by.

    Under the paper split nothing is set aside: as in the study, the test slices are watched.
    """
    most = run.epochs or recipe.epochs
    grey, labels = training.grey, training.labels
    if training.watched is None:
        validation = inner_validation(
            training.slices, training.groups, recipe.validation_share, run.seed
        )
    else:
        watched = training.watched
        validation = np.repeat([False, True], [len(labels), len(watched.labels)])
        grey = np.concatenate([grey, watched.grey])
        labels = np.concatenate([labels, watched.labels])
    last = time.monotonic()

    def report(epoch: int, figures: dict[str, float]) -> None:
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
        grey,
        labels,
        validation,
        epochs=most,
        seed=run.seed,
        work=run.work,
        report=report,
        parallel=run.parallel,
    )
    return Fit(NetworkModel(model), history, {"epochs": float(len(history))})


def fit_network(
    recipe: NetworkRecipe,
    grey: np.ndarray,
    labels: np.ndarray,
    validation: np.ndarray,
    *,
    epochs: int,
    seed: int,
    work: Path,
    report: EpochReport | None = None,
    parallel: bool = False,
) -> tuple[keras.Model, pd.DataFrame]:
    """Trains, or goes on training, and gives the epoch with the lowest validation loss; the last epoch
    where the recipe has no early stopping (`stop_patience` 0).

    Args:
        recipe: architecture and settings.
        grey: (n, size, size) uint8 training slices, in memory.
        labels: (n,) 0 or 1.
        validation: (n,) bool, training slices that training is watched by and not fitted to.
        epochs: most epochs; the recipe's own number is what the study used.
        seed: of weights, shuffling, dropout and augmentation.
        work: folder of this training's state.
        report: called after each epoch with its number (from 0) and its figures.
        parallel: on all GPUs at once, a part of each batch on each.

    Returns:
        The model with all outputs, and the history: epoch, loss, accuracy, AUROC by slice, the same
        of the validation slices (val_...), learning_rate, and `COUNTS` of the validation slices.

    Raises:
        TrainingDiverged: no epoch had a finite validation loss, or where the last one is kept, that one
            had not.
    """
    states = EpochStates(work)
    with data_parallel(parallel):
        keras.utils.set_random_seed(seed)
        with _precision(recipe):
            model = BUILDERS[recipe.family](recipe)
        trained = keras.Model(model.inputs, model.outputs[0])
        trained.compile(
            optimizer=keras.optimizers.Adam(recipe.learning_rate, clipnorm=recipe.clip_norm),
            loss="binary_crossentropy",
            metrics=[
                keras.metrics.BinaryAccuracy("accuracy"),
                keras.metrics.AUC(name=AUROC),
                *_counts(),
            ],
            # XLA on TensorFlow's CPU is 3-5 times slower.
            jit_compile=keras.backend.backend() == "jax",
        )
        states.restore(trained)
        past = states.past_figures()
        watchers: list[keras.callbacks.Callback] = [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=0.5, patience=recipe.plateau_patience, mode="min"
            ),
        ]
        if recipe.stop_patience:
            watchers.append(
                keras.callbacks.EarlyStopping("val_loss", patience=recipe.stop_patience, mode="min")
            )
        train = ~validation
        trained.fit(
            AugmentedSlices(trained, grey[train], labels[train], recipe, seed, len(past)),
            validation_data=WatchedSlices(
                trained, grey[validation], labels[validation], recipe.batch
            ),
            initial_epoch=len(past),
            epochs=epochs,
            verbose=0,
            callbacks=[
                *watchers,
                keras.callbacks.TerminateOnNaN(),
                _Replay(watchers, past),
                SaveEachEpoch(states, report, not_in_history=COUNTS),
            ],
        )
    if states.best_epoch() is None:
        raise TrainingDiverged(
            f"{recipe.family}, recipe {recipe.name}: the loss became infinite in the first epoch; "
            "try a lower learning rate."
        )
    history = states.history()
    if recipe.stop_patience:
        states.load_best(trained)
    elif not np.isfinite(history["val_loss"].iloc[-1]):
        raise TrainingDiverged(
            f"{recipe.family}, recipe {recipe.name}: the loss became infinite in epoch "
            f"{len(history)}; try a lower learning rate."
        )
    if recipe.precision != "float32":
        # Predictions are made in float32, so that a bundle answers the same on every machine.
        whole = BUILDERS[recipe.family](recipe)
        whole.set_weights(model.get_weights())
        model = whole
    return model, history


@contextmanager
def _precision(recipe: NetworkRecipe) -> Iterator[None]:
    """Layers made inside multiply in the recipe's precision."""
    if recipe.precision == "float32":
        yield
        return
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{recipe.precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _counts() -> list[keras.metrics.Metric]:
    """What a confusion matrix is made of."""
    kinds = ("TrueNegatives", "FalsePositives", "FalseNegatives", "TruePositives")
    return [
        getattr(keras.metrics, kind)(name=name) for kind, name in zip(kinds, COUNTS, strict=True)
    ]


class _Replay(keras.callbacks.Callback):
    """Shows past epochs to callbacks that start without memory, so that patience counts on."""

    def __init__(
        self, watchers: Sequence[keras.callbacks.Callback], past: list[dict[str, float]]
    ) -> None:
        super().__init__()
        self._watchers, self._past = watchers, past

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        for epoch, figures in enumerate(self._past):
            for watcher in self._watchers:
                watcher.on_epoch_end(epoch, dict(figures))
        self.model.optimizer.learning_rate = rate
