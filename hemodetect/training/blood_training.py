"""Training the blood network on slices that are labelled one by one, resumable after each epoch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from hemodetect.errors import HemodetectError
from hemodetect.models.blood_network import MAP_SIDE, blood_network, changed, with_mirror
from hemodetect.models.recipes import BloodRecipe
from hemodetect.preprocessing.standard_head import StandardSeries
from hemodetect.training.painting import inside_skull, painted

EpochReport = Callable[[int, dict[str, float]], None]
_MAP_WEIGHT = 6.0
"""The map's loss is a mean over places, most of them easy; this brings it level with the other's."""


class NothingToPaint(HemodetectError):
    """No normal slice shows a closed skull."""


@dataclass(frozen=True, eq=False)
class BloodExamples:
    """What the network is taught with, (m, 112, 112) uint8 each, and the level of brain in each.

    Attributes:
        normal, bleeding, painted: standard slices.
        normal_level, bleeding_level, painted_level: (m,) grey level of the series' brain.
        lesions: (m, 56, 56) uint8, where the painted bleeds are.
    """

    normal: np.ndarray
    normal_level: np.ndarray
    bleeding: np.ndarray
    bleeding_level: np.ndarray
    painted: np.ndarray
    painted_level: np.ndarray
    lesions: np.ndarray


def blood_examples(
    series: list[StandardSeries], labels: list[np.ndarray], paintings: int, seed: int
) -> BloodExamples:
    """Sorts slices into normal and bleeding, and paints bleeds into the normal ones.

    Args:
        series: of the training patients.
        labels: (n,) 0 or 1 for each series' slices.
        paintings: tries for each normal slice of the vault.
        seed: of what is painted.

    Raises:
        NothingToPaint: no normal slice shows the inside of the skull.
    """
    random = np.random.default_rng(seed)
    grey = np.concatenate([s.grey for s in series])
    level = np.concatenate([np.full(len(s.grey), s.level) for s in series])
    seen = np.concatenate([s.head_found for s in series])
    counted = np.concatenate([s.in_brain for s in series]) & seen
    label = np.concatenate(labels)
    normal, bleeding = np.flatnonzero((label == 0) & seen), np.flatnonzero((label == 1) & seen)
    pictures, lesions, rows = [], [], []
    for row in normal[counted[normal]]:
        inside = inside_skull(grey[row])
        if inside is None:
            continue
        for _ in range(paintings):
            found = painted(grey[row], inside, random)
            if found is not None:
                pictures.append(found[0])
                small = found[1].reshape(56, 2, 56, 2).mean(axis=(1, 3))
                lesions.append(np.rint(255 * small).astype(np.uint8))
                rows.append(row)
    if not pictures:
        raise NothingToPaint("No normal slice of the training patients shows the brain's vault.")
    return BloodExamples(
        normal=grey[normal],
        normal_level=level[normal],
        bleeding=grey[bleeding],
        bleeding_level=level[bleeding],
        painted=np.stack(pictures),
        painted_level=level[rows],
        lesions=np.stack(lesions),
    )


class BloodBatches(keras.utils.PyDataset):
    """Batches of bleeding, painted and normal slices in fixed parts, changed anew each epoch.

    The map is not asked of bleeding slices: nobody has drawn where their blood is.
    """

    def __init__(self, examples: BloodExamples, recipe: BloodRecipe, seed: int, epoch: int) -> None:
        super().__init__(workers=1)
        self._examples, self._recipe, self._seed, self._epoch = examples, recipe, seed, epoch
        self._bleeding = recipe.bleeding if len(examples.bleeding) else 0

    def __len__(self) -> int:
        return self._recipe.steps

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple:
        random = np.random.default_rng((self._seed, self._epoch, step))
        of, batch = self._examples, self._recipe.batch
        images, maps = [], []
        for place in range(batch):
            lesion = None
            if place < self._bleeding:
                grey, level = _drawn(of.bleeding, of.bleeding_level, random)
            elif place < self._bleeding + self._recipe.painted:
                row = random.integers(len(of.painted))
                grey, level, lesion = of.painted[row], of.painted_level[row], of.lesions[row]
            else:
                grey, level = _drawn(of.normal, of.normal_level, random)
            image, blood = changed(grey, level, lesion, random)
            images.append(image)
            maps.append(blood)
        places = np.arange(batch)
        label = (places < self._bleeding + self._recipe.painted).astype(np.float32)
        known = np.ones((batch, MAP_SIDE, MAP_SIDE), np.float32)
        known[places < self._bleeding] = 0
        targets = (label[:, None], np.stack(maps).astype(np.float32)[..., None])
        return with_mirror(np.stack(images)), targets, (np.ones(batch, np.float32), known)


def fit_blood_network(
    recipe: BloodRecipe,
    examples: BloodExamples,
    *,
    epochs: int,
    seed: int,
    work: Path,
    report: EpochReport | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Trains, or goes on training from the last whole epoch in `work`.

    Returns:
        The network after the last epoch, and the history: epoch, loss and its parts. There is no
        early stopping: the learning rate falls to nothing over all epochs, and training patients
        set aside would be too few to watch by.
    """
    work.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    model = blood_network()
    trained = keras.Model(model.inputs, model.outputs[:2])
    rate = keras.optimizers.schedules.CosineDecay(
        0.1 * recipe.learning_rate,
        epochs * recipe.steps - recipe.steps // 2,
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=recipe.steps // 2,
    )
    trained.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, clipnorm=5.0),
        loss=[
            keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
            keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.75, gamma=1.5),
        ],
        loss_weights=[1.0, _MAP_WEIGHT],
        jit_compile=keras.backend.backend() == "jax",
    )
    done = _epochs_done(work)
    if done:
        trained.optimizer.build(trained.trainable_variables)
        trained.load_weights(_state(work, done))
    trained.fit(
        BloodBatches(examples, recipe, seed, done),
        initial_epoch=done,
        epochs=epochs,
        verbose=0,
        callbacks=[_KeepEach(work, report)],
    )
    return model, pd.read_csv(work / "losses.csv")


def _drawn(
    pictures: np.ndarray, levels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, float]:
    row = random.integers(len(pictures))
    return pictures[row], float(levels[row])


def _state(work: Path, done: int) -> Path:
    return work / f"epoch-{done}.weights.h5"


def _epochs_done(work: Path) -> int:
    kept = [re.fullmatch(r"epoch-(\d+)\.weights\.h5", file.name) for file in work.iterdir()]
    return max((int(match[1]) for match in kept if match), default=0)


class _KeepEach(keras.callbacks.Callback):
    """After each epoch the losses, then the state to go on from, each whole or not at all."""

    def __init__(self, work: Path, report: EpochReport | None) -> None:
        super().__init__()
        self._work, self._report = work, report

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        losses = self._work / "losses.csv"
        past = pd.read_csv(losses).head(epoch) if epoch else pd.DataFrame()
        table = pd.concat([past, pd.DataFrame([{"epoch": epoch, **figures}])], ignore_index=True)
        partial = self._work / "losses.partial"
        table.to_csv(partial, index=False)
        partial.replace(losses)
        state = self._work / "partial.weights.h5"
        self.model.save_weights(state, overwrite=True)
        state.replace(_state(self._work, epoch + 1))
        for file in set(self._work.glob("epoch-*.weights.h5")) - {_state(self._work, epoch + 1)}:
            file.unlink()
        if self._report:
            self._report(epoch, figures)
