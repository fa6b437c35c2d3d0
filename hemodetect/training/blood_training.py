"""Training the blood network on slices that are labelled one by one, resumable after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import ops

from hemodetect.dataset.joined import SET, UNKNOWN
from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import HemodetectError
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.blood_network import blood_network
from hemodetect.models.recipes import BloodRecipe
from hemodetect.preprocessing.standard_head import StandardSeries, standard_series
from hemodetect.training.blood_augmentation import augmented_slice
from hemodetect.training.epoch_states import EpochReport, EpochStates, SaveEachEpoch
from hemodetect.training.fitting import Fit, Run, TrainingSet
from hemodetect.training.imagenet import set_imagenet_weights
from hemodetect.training.lesion_hints import STANDARD_HINT_SIDE, slice_hints, standard_hint
from hemodetect.training.painting import inside_skull, painted
from hemodetect.training.progress_events import report_progress

_MAP_WEIGHT = 6.0
"""The map's loss is a mean over places, most of them easy; this brings it level with the other's."""
_KIND_WEIGHT = 0.3
"""Of the kinds of hemorrhage, against that of any."""
_REGION_WEIGHT = 0.03
"""Of blood somewhere in the region where it must be, in the map's loss."""
_SMOOTHING = 0.03
_TRIES = 8  # at a place for a painted bleed


class NothingToPaint(HemodetectError):
    """No normal slice shows a closed skull."""


@dataclass(frozen=True, eq=False)
class BloodExamples:
    """Training slices of the network.

    Attributes:
        grey: (m, 192, 192) uint8 standard slices, all with a head.
        level: (m,) grey level of the series' brain.
        labels: (m, 6) float32: any blood, and its kinds; -1 where that is not known.
        sets: (m,) name of the set that a slice comes from.
        hints: (3, 48, 48) uint8 of bleeding slices by row, see `lesion_hints`.
        insides: (112, 112) bool inside of the skull, of normal slices that bleeds are painted in.
    """

    grey: np.ndarray
    level: np.ndarray
    labels: np.ndarray
    sets: np.ndarray
    hints: Mapping[int, np.ndarray]
    insides: Mapping[int, np.ndarray]


def blood_examples(
    series: list[StandardSeries], slices: pd.DataFrame, peer: Mapping[int, np.ndarray]
) -> BloodExamples:
    """Training slices with what is known of each.

    Args:
        series: of the training patients.
        slices: a row a slice, in the order of the series: label, and where known the kinds, the boxes
            and the set.
        peer: soft maps of blood by row number.

    Raises:
        NothingToPaint: no normal slice shows the inside of the skull.
    """
    head_found = np.concatenate([one.head_found for one in series])
    in_brain = np.concatenate([one.in_brain for one in series])
    affine = np.concatenate([one.affine for one in series])
    kept = np.flatnonzero(head_found)
    grey = np.concatenate([one.grey[one.head_found] for one in series])
    level = np.concatenate([np.full(len(one.grey), one.level) for one in series])
    labels = np.full((len(slices), 1 + len(SUBTYPES)), UNKNOWN, np.float32)
    labels[:, 0] = slices["label"]
    for column, kind in enumerate(SUBTYPES, start=1):
        if kind in slices.columns:
            labels[:, column] = slices[kind]
    labels[labels[:, 0] == 0, 1:] = 0
    place = {int(row): number for number, row in enumerate(kept)}
    hints = {
        place[row]: standard_hint(hint, affine[row])
        for row, hint in slice_hints(slices, peer).items()
        if row in place
    }
    insides = {}
    for number, row in enumerate(kept):
        if labels[row, 0] == 0 and in_brain[row]:
            inside = inside_skull(grey[number])
            if inside is not None:
                insides[number] = inside
    if not insides:
        raise NothingToPaint("No normal slice of the training patients shows the brain's vault.")
    sets = slices[SET].to_numpy(str) if SET in slices.columns else np.full(len(slices), "")
    return BloodExamples(grey, level[kept], labels[kept], sets[kept], hints, insides)


class BloodBatches(keras.utils.PyDataset):
    """Batches of bleeding, painted and normal slices in fixed parts, changed anew each epoch.

    Bleeding and normal slices are drawn from each set in equal parts: which set a slice comes from must
    not tell whether it bleeds.
    """

    def __init__(self, examples: BloodExamples, recipe: BloodRecipe, seed: int, epoch: int) -> None:
        super().__init__(workers=1)
        self._examples, self._recipe, self._seed, self._epoch = examples, recipe, seed, epoch
        self._rows = {
            label: [
                rows
                for name in np.unique(examples.sets)
                if len(
                    rows := np.flatnonzero(
                        (examples.sets == name) & (examples.labels[:, 0] == label)
                    )
                )
            ]
            for label in (0, 1)
        }
        self._bleeding = recipe.bleeding if self._rows[1] else 0
        self._paintable = np.array(list(examples.insides))

    def __len__(self) -> int:
        return self._recipe.steps

    def on_epoch_end(self) -> None:
        """Called by Keras after each epoch."""
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple:
        random = np.random.default_rng((self._seed, self._epoch, step))
        images, labels, hints = [], [], []
        for place in range(self._recipe.batch):
            if place < self._bleeding:
                drawn = self._real(1, place + step, random)
            elif place < self._bleeding + self._recipe.painted:
                drawn = self._painted(random)
            else:
                drawn = self._real(0, place + step, random)
            grey, level, label, hint = drawn
            image, moved = augmented_slice(grey, level, hint, random)
            images.append(image)
            labels.append(label)
            hints.append(moved)
        maps = np.stack(hints).transpose(0, 2, 3, 1)
        return np.stack(images)[..., None], (np.stack(labels), maps)

    def _real(self, label: int, turn: int, random: np.random.Generator) -> tuple:
        of, sets = self._examples, self._rows[label]
        row = int(random.choice(sets[turn % len(sets)]))
        hint = of.hints[row] if label else _no_blood()
        return of.grey[row], float(of.level[row]), of.labels[row], hint

    def _painted(self, random: np.random.Generator) -> tuple:
        of = self._examples
        for _ in range(_TRIES):
            row = int(random.choice(self._paintable))
            painting = painted(of.grey[row], of.insides[row], random)
            if painting is not None:
                grey, lesion = painting
                part = len(lesion) // STANDARD_HINT_SIDE
                side = (STANDARD_HINT_SIDE, part, STANDARD_HINT_SIDE, part)
                hint = _no_blood()
                hint[0] = np.rint(255 * lesion.reshape(side).mean(axis=(1, 3)))
                label = np.full(of.labels.shape[1], UNKNOWN, np.float32)
                label[0] = 1
                return grey, float(of.level[row]), label, hint
        return self._real(0, 0, random)


def _no_blood() -> np.ndarray:
    hint = np.zeros((3, STANDARD_HINT_SIDE, STANDARD_HINT_SIDE), np.uint8)
    hint[1] = 255
    return hint


def label_loss(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy of any blood and of its kinds, (b, 6) each; a label below 0 is not known."""
    known = ops.cast(labels >= 0, "float32")
    smooth = ops.clip(labels, _SMOOTHING, 1 - _SMOOTHING)
    entropy = known * ops.binary_crossentropy(smooth, logits, from_logits=True)
    kinds = ops.sum(entropy[:, 1:], axis=-1) / (ops.sum(known[:, 1:], axis=-1) + 1e-6)
    return entropy[:, 0] + _KIND_WEIGHT * kinds


def map_loss(hints: keras.KerasTensor, maps: keras.KerasTensor) -> keras.KerasTensor:
    """Weighted focal cross-entropy of places, and of the map's maximum where blood must be.

    Args:
        hints: (b, 24, 24, 3) target, weight and region.
        maps: (b, 24, 24, 1).
    """
    target, weight, region = hints[..., 0], hints[..., 1], hints[..., 2]
    blood = ops.clip(maps[..., 0], 1e-5, 1 - 1e-5)
    hit, missed = -ops.log(blood), -ops.log(1 - blood)
    places = 0.75 * target * (1 - blood) ** 1.5 * hit + 0.25 * (1 - target) * blood**1.5 * missed
    highest = ops.max(blood * region, axis=(1, 2))
    demanded = ops.cast(ops.max(region, axis=(1, 2)) > 0.5, "float32")
    somewhere = demanded * -ops.log(ops.clip(highest, 1e-5, 1.0))
    return ops.mean(weight * places, axis=(1, 2)) + _REGION_WEIGHT * somewhere


class LearningRateCycles(keras.optimizers.schedules.LearningRateSchedule):
    """The recipe's cycles: in each the rate rises for half an epoch and falls along a cosine."""

    def __init__(self, recipe: BloodRecipe, epochs: int) -> None:
        self._steps = recipe.steps * -(-epochs // recipe.cycles)
        warm_up = recipe.steps // 2
        self._first = keras.optimizers.schedules.CosineDecay(
            0.1 * recipe.learning_rate,
            self._steps - warm_up,
            alpha=0.01,
            warmup_target=recipe.learning_rate,
            warmup_steps=warm_up,
        )

    def __call__(self, step: int | keras.KerasTensor) -> keras.KerasTensor:
        """The rate at a step, counted from 0."""
        cycle = ops.cast(step // self._steps, "float32")
        return self._first(step % self._steps) * ops.power(0.5, cycle)


def fit_blood(training: TrainingSet, recipe: BloodRecipe, run: Run) -> Fit:
    """The blood network, from slices that are labelled one by one."""
    most = run.epochs or recipe.epochs
    table = training.slices[["patient", "series"]].reset_index(drop=True)
    by_series = table.groupby(["patient", "series"], sort=False, dropna=False).indices.values()
    order = np.concatenate(list(by_series))
    series = [standard_series(np.ascontiguousarray(training.grey[rows])) for rows in by_series]
    place = {int(row): number for number, row in enumerate(order)}
    peer = {place[row]: soft for row, soft in training.peer.items()}
    examples = blood_examples(series, training.slices.iloc[order].reset_index(drop=True), peer)
    bleeding = int(examples.labels[:, 0].sum())
    run.report(
        f"{len(examples.grey) - bleeding:,} normal slices, {bleeding:,} bleeding;"
        f" {len(examples.insides):,} to paint in, {len(peer):,} with a second teacher's map"
    )

    def report(epoch: int, figures: dict[str, float]) -> None:
        report_progress(epoch=epoch + 1, epochs=most, loss=figures["loss"])
        run.report(
            f"epoch {epoch + 1}/{most}: loss {figures['loss']:.3f}, of the slice"
            f" {figures['logits_loss']:.3f}, of the map {figures['map_loss']:.4f}"
        )

    model, history = fit_blood_network(
        recipe, examples, epochs=most, seed=run.seed, work=run.work, report=report
    )
    return Fit(BloodModel(model), history, {"bleeding": float(bleeding)})


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
        early stopping: the learning rate falls to nothing in the end, and training patients set
        aside would be too few to watch by.
    """
    states = EpochStates(work)
    keras.utils.set_random_seed(seed)
    model = blood_network()
    set_imagenet_weights(model)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            LearningRateCycles(recipe, epochs), weight_decay=recipe.weight_decay, clipnorm=5.0
        ),
        loss=[label_loss, map_loss],
        loss_weights=[1.0, _MAP_WEIGHT],
        jit_compile=keras.backend.backend() == "jax",
    )
    states.restore(model)
    done = states.epochs_done
    model.fit(
        BloodBatches(examples, recipe, seed, done),
        initial_epoch=done,
        epochs=epochs,
        verbose=0,
        callbacks=[SaveEachEpoch(states, report)],
    )
    return model, states.history()
