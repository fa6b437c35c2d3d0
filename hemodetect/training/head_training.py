"""Fitting each family's head to what the blood network found in training series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.study_heads import (
    Components,
    KernelHead,
    LinearHead,
    NetworkLogitHead,
    StudyHead,
    StudyLogits,
)
from hemodetect.models.study_model import StudyScale, mixed_logits
from hemodetect.training.calibration import fitted_sigmoid

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class HeadSeries:
    """One training series.

    Attributes:
        findings: in its slices.
        labels: (n,) 0 or 1; the patient's in every slice where slices are not labelled.
        slice_labels: whether each label is the slice's own.
    """

    findings: SliceFindings
    labels: np.ndarray
    slice_labels: bool

    @property
    def label(self) -> int:
        """Of the study."""
        return int(self.labels.max())


def fitted_head(training: Sequence[HeadSeries], recipe: StudyRecipe, seed: int) -> StudyHead:
    """The head of the recipe's family, fitted to training series."""
    if recipe.family == "cnn":
        return NetworkLogitHead()
    rows = [np.flatnonzero(s.findings.in_brain)[:: _stride(s, recipe)] for s in training]
    embedding = np.concatenate(
        [s.findings.embedding[r] for s, r in zip(training, rows, strict=True)]
    )
    labels = np.concatenate([s.labels[r] for s, r in zip(training, rows, strict=True)])
    components = Components.of(embedding, recipe.components)
    if recipe.family == "logistic":
        model = LogisticRegression(C=recipe.regularisation, max_iter=2000)
        model.fit(components(embedding), labels)
        return LinearHead(components, model.coef_[0].astype(np.float32), float(model.intercept_[0]))
    if recipe.family == "svm":
        svm = SVC(C=recipe.regularisation, gamma=recipe.gamma, cache_size=1000)
        svm.fit(components(embedding).astype(np.float64), labels)
        return KernelHead(
            components,
            svm.support_vectors_.astype(np.float32),
            svm.dual_coef_[0],
            float(svm.intercept_[0]),
            recipe.gamma,
        )
    from hemodetect.models.recurrent_head import RecurrentHead

    network = _fitted_network(training, components, recipe, seed)
    return RecurrentHead(components, network, recipe.family == "attention_rnn")


def fitted_scale(
    logits: Sequence[StudyLogits], labels: Sequence[np.ndarray], slice_share: float
) -> StudyScale:
    """The scale of a head, from studies that it had not seen.

    Args:
        logits: one a study.
        labels: (n,) 0 or 1 of its slices. All slices of a study together weigh as one study.
        slice_share: see `StudyScale`.
    """
    study_logits = np.array([one.study for one in logits])
    study_labels = np.array([of_slices.max() for of_slices in labels])
    study = fitted_sigmoid(study_logits, study_labels, np.ones(len(study_logits)))
    mixed = np.concatenate([mixed_logits(one, slice_share) for one in logits])
    # The penalty acts on the sum of all weights, so that sum is the number of slices.
    weights = np.concatenate([np.full(len(y), 1 / len(y)) for y in labels])
    weights *= len(weights) / weights.sum()
    slices = fitted_sigmoid(mixed, np.concatenate(labels), weights)
    return StudyScale(study, slices, slice_share)


def _stride(series: HeadSeries, recipe: StudyRecipe) -> int:
    # Series that are labelled slice by slice are few and thick: all their slices are used.
    return 1 if series.slice_labels else recipe.stride


def _fitted_network(
    training: Sequence[HeadSeries], components: Components, recipe: StudyRecipe, seed: int
) -> keras.Model:
    import keras

    from hemodetect.models.recurrent_head import recurrent_network, slice_features
    from hemodetect.training.series_batches import SeriesBatches

    keras.utils.set_random_seed(seed)
    features = [slice_features(components, s.findings) for s in training]
    network = recurrent_network(
        features[0].shape[1], recipe.units, recipe.family == "attention_rnn"
    )
    trained = keras.Model(network.inputs, network.outputs[:2])
    batches = SeriesBatches(training, features, recipe.batch, seed)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate, recipe.epochs * len(batches), alpha=0.02
    )
    slice_loss, study_loss = (keras.losses.BinaryCrossentropy(from_logits=True) for _ in range(2))
    trained.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        loss=[slice_loss, study_loss],
        jit_compile=False,
    )
    # Built first: else TensorFlow traces the first step twice.
    trained.optimizer.build(trained.trainable_variables)
    trained.fit(batches, epochs=recipe.epochs, verbose=0)
    return network
