"""Training one network, in a way that a kill at any moment costs at most the epoch it was in.

A work folder holds ``history.csv`` (an epoch a row), ``best-<epoch>.weights.h5`` (the epoch with the
lowest validation loss so far) and ``epoch-<epochs done>.weights.h5`` (weights and optimizer after the
last epoch). Calling `fit_network` again with the same folder goes on from there. Each file is written
under another name and renamed, in this order, so that the last one never speaks of something that is
not there. (Keras' `BackupAndRestore` writes weights and epoch in place: a kill in between leaves a
file that does not load, or an epoch number that is not the weights'.)
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from hemodetect.errors import HemodetectError
from hemodetect.models.networks import BUILDERS, network_input
from hemodetect.models.recipes import NetworkRecipe
from hemodetect.registry.bundle import AUROC, COUNTS
from hemodetect.training.augmentation import augmented
from hemodetect.training.devices import data_parallel

_ROOM_BESIDES = 2 * 1024 * 1024  # bytes; for what HDF5 adds
EpochReport = Callable[[int, dict[str, float]], None]


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
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        return np.random.default_rng((self._seed, self._epoch)).permutation(len(self._labels))


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
    """Trains, or goes on training, and gives the epoch with the lowest validation loss.

    Args:
        recipe: architecture and settings.
        grey: (n, size, size) uint8 training slices, in memory.
        labels: (n,) 0 or 1.
        validation: (n,) bool, training slices that training is watched by and not fitted to.
        epochs: most epochs; the recipe's own number is what the study used.
        seed: of weights, shuffling, dropout and augmentation.
        work: folder of this training's state.
        report: called after each epoch with its number (from 0) and its figures.
        parallel: on all cards at once, a part of each batch on each.

    Returns:
        The model with all outputs, and the history: epoch, loss, accuracy, AUROC by slice, the same
        of the validation slices (val_...), learning_rate, and `COUNTS` of the validation slices.

    Raises:
        TrainingDiverged: no epoch had a finite validation loss.
    """
    work.mkdir(parents=True, exist_ok=True)
    with data_parallel(parallel):
        keras.utils.set_random_seed(seed)
        model = BUILDERS[recipe.family](recipe)
        trained = keras.Model(model.inputs, model.outputs[0])
        trained.compile(
            optimizer=keras.optimizers.Adam(recipe.learning_rate, clipnorm=recipe.clip_norm),
            loss="binary_crossentropy",
            metrics=["accuracy", keras.metrics.AUC(name=AUROC), *_counts()],
            # XLA on TensorFlow's CPU is 3-5 times slower.
            jit_compile=keras.backend.backend() == "jax",
        )
        past = _past_epochs(work)
        if past:
            trained.optimizer.build(trained.trainable_variables)
            trained.load_weights(_epoch_file(work, len(past)))
        watchers = [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=0.5, patience=recipe.plateau_patience, mode="min"
            ),
            keras.callbacks.EarlyStopping("val_loss", patience=recipe.stop_patience, mode="min"),
        ]
        train = ~validation
        trained.fit(
            AugmentedSlices(trained, grey[train], labels[train], recipe, seed, len(past)),
            validation_data=(network_input(trained, grey[validation]), labels[validation][:, None]),
            validation_batch_size=recipe.batch,
            initial_epoch=len(past),
            epochs=epochs,
            verbose=0,
            callbacks=[
                *watchers,
                keras.callbacks.TerminateOnNaN(),
                _Replay(watchers, past),
                _Keep(work, past, report),
            ],
        )
    history = _history(work)
    best = _best_epoch(history)
    if best is None:
        raise TrainingDiverged(
            f"{recipe.family}, recipe {recipe.name}: the loss became infinite in the first epoch; "
            "try a lower learning rate."
        )
    trained.load_weights(_best_file(work, best))
    return model, history


def network_probabilities(
    model: keras.Model, grey: np.ndarray, batch: int = 32
) -> list[np.ndarray]:
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


def _counts() -> list[keras.metrics.Metric]:
    """What a confusion matrix is made of."""
    kinds = ("TrueNegatives", "FalsePositives", "FalseNegatives", "TruePositives")
    return [
        getattr(keras.metrics, kind)(name=name) for kind, name in zip(kinds, COUNTS, strict=True)
    ]


def _past_epochs(work: Path) -> list[dict[str, float]]:
    """Figures of the epochs that a kept state is past, oldest first."""
    kept = [re.fullmatch(r"epoch-(\d+)\.weights\.h5", file.name) for file in work.iterdir()]
    done = max((int(match[1]) for match in kept if match), default=0)
    table = _history(work).head(done).drop(columns="epoch")
    return [{str(name): float(value) for name, value in row.items()} for _, row in table.iterrows()]


def _epoch_file(work: Path, done: int) -> Path:
    return work / f"epoch-{done}.weights.h5"


def _best_file(work: Path, epoch: int) -> Path:
    return work / f"best-{epoch}.weights.h5"


def _history(work: Path) -> pd.DataFrame:
    path = work / "history.csv"
    return pd.read_csv(path) if path.is_file() else pd.DataFrame({"epoch": pd.Series(dtype=int)})


def _best_epoch(history: pd.DataFrame) -> int | None:
    """Epoch with the lowest validation loss, None where no epoch has one."""
    losses = history.get("val_loss", pd.Series(dtype=float))
    finite = losses[np.isfinite(losses)]
    return None if finite.empty else int(history["epoch"][finite.idxmin()])


class _Keep(keras.callbacks.Callback):
    """After each epoch: the history, the best epoch, the state to go on from; then the report."""

    def __init__(
        self, work: Path, past: list[dict[str, float]], report: EpochReport | None
    ) -> None:
        super().__init__()
        self._work, self._rows, self._report = work, list(past), report

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {k: float(v) for k, v in (logs or {}).items() if k not in COUNTS}
        self._rows = [*self._rows[:epoch], figures]
        partial = self._work / "history.partial"
        pd.DataFrame(self._rows).rename_axis("epoch").to_csv(partial)
        partial.replace(self._work / "history.csv")
        best = _best_epoch(_history(self._work))
        if best == epoch:
            self._save(_best_file(self._work, epoch))
        self._save(_epoch_file(self._work, epoch + 1))
        kept = {_epoch_file(self._work, epoch + 1)}
        if best is not None:
            kept.add(_best_file(self._work, best))
        for file in set(self._work.glob("*.weights.h5")) - kept:
            file.unlink()
        if self._report:
            self._report(epoch, figures)

    def _save(self, file: Path) -> None:
        partial = file.with_name("partial.weights.h5")
        _check_room(self.model, partial)
        self.model.save_weights(partial, overwrite=True)
        partial.replace(file)


def _check_room(model: keras.Model, file: Path) -> None:
    """Raises `OSError` (ENOSPC) where a state will not fit: on a full disk HDF5 ends the process by a
    segmentation fault, which says nothing.
    """
    variables = [*model.variables, *model.optimizer.variables]
    needed = sum(int(np.prod(v.shape)) * 4 for v in variables) + _ROOM_BESIDES
    if shutil.disk_usage(file.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.parent))


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
