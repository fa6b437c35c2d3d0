"""Fitting each family's head to what blood networks found in training series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.study_heads import (
    KernelHead,
    LinearHead,
    NetworkLogitHead,
    Scaling,
    StudyHead,
    StudyLogits,
    StudySum,
    both_words,
)
from hemodetect.models.study_model import StudyScale
from hemodetect.training.calibration import fitted_sigmoid

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class HeadSeries:
    """One training series.

    Attributes:
        findings: in its slices, by a network that had not seen the patient.
        labels: (n,) 0 or 1; the patient's in every slice where slices are not labelled.
        slice_labels: whether each label is the slice's own.
        is_study: whether the series is a whole study, so that its label is the patient's.
        set: name of the data set.
    """

    findings: SliceFindings
    labels: np.ndarray
    slice_labels: bool
    is_study: bool
    set: str

    @property
    def label(self) -> int:
        """Of the study."""
        return int(self.labels.max())

    @property
    def known(self) -> np.ndarray:
        """(n,) bool, slices whose own label is known: all where no slice bleeds."""
        return np.full(len(self.labels), self.slice_labels or self.label == 0)


def fitted_head(training: Sequence[HeadSeries], recipe: StudyRecipe, seed: int) -> StudyHead:
    """The head of the recipe's family.

    It is fitted to the slices of training series whose label is known.
    """
    if recipe.family == "cnn":
        return NetworkLogitHead()
    if recipe.family in ("rnn", "attention_rnn"):
        from hemodetect.models.recurrent_head import RecurrentHead, read_values

        known = _with_known_bleeds(training)
        scaling = Scaling.of(
            np.concatenate([read_values(one.findings)[_rows(one, recipe)] for one in known])
        )
        network = _fitted_network(known, scaling, recipe, seed)
        alone = RecurrentHead(scaling, network, None, recipe.family == "attention_rnn")
        return replace(alone, study=_study_sum(training, alone))
    head = _slice_head(training, recipe)
    return replace(head, study=_study_sum(training, head))


def _slice_head(training: Sequence[HeadSeries], recipe: StudyRecipe) -> LinearHead | KernelHead:
    features, labels = _known_slices(_with_known_bleeds(training), recipe)
    scaling = Scaling.of(features)
    if recipe.family == "logistic":
        model = LogisticRegression(C=recipe.regularisation, max_iter=2000, class_weight="balanced")
        model.fit(scaling(features), labels)
        return LinearHead(scaling, model.coef_[0].astype(np.float32), float(model.intercept_[0]))
    svm = SVC(C=recipe.regularisation, gamma=recipe.gamma, class_weight="balanced", cache_size=1000)
    svm.fit(scaling(features).astype(np.float64), labels)
    return KernelHead(
        scaling,
        svm.support_vectors_.astype(np.float32),
        svm.dual_coef_[0],
        float(svm.intercept_[0]),
        recipe.gamma,
    )


def _study_sum(training: Sequence[HeadSeries], alone: StudyHead) -> StudySum:
    """Its scaling rests on the training studies of sets with both kinds; on all series where there is
    no such set.
    """
    findings = [training[i].findings for i in studies_of_both_kinds(training)]
    findings = findings or [one.findings for one in training]
    words = [
        both_words(one.study, f)
        for one, f in zip(alone.all_logits(findings), findings, strict=True)
    ]
    return StudySum(Scaling.of(np.stack(words)))


def fitted_scale(training: Sequence[HeadSeries], logits: Sequence[StudyLogits]) -> StudyScale:
    """The scale of a head.

    Every data set weighs the same, so that no hospital's rate of bleeds decides. The study's scale
    rests on sets of whole studies of both kinds, a slice's on sets that are labelled slice by slice.

    Args:
        training: the series.
        logits: one a series, by a head that was not fitted to its patient.
    """
    names = np.array([one.set for one in training])
    studies = studies_of_both_kinds(training)
    study = fitted_sigmoid(
        np.array([logits[i].study for i in studies]),
        np.array([training[i].label for i in studies]),
        _equal_sets(names[studies]),
    )
    by_slice = [i for i, one in enumerate(training) if one.slice_labels]
    if not by_slice:  # no set is labelled slice by slice: the folder's label has to do
        by_slice = list(range(len(training)))
    slices = fitted_sigmoid(
        np.concatenate([logits[i].slices for i in by_slice]).astype(np.float64),
        np.concatenate([training[i].labels for i in by_slice]),
        _equal_sets(np.repeat(names[by_slice], [len(training[i].labels) for i in by_slice])),
    )
    return StudyScale(study, slices)


def studies_of_both_kinds(training: Sequence[HeadSeries]) -> list[int]:
    """Which series are whole studies, of the sets that have bleeding and normal ones."""
    kinds: dict[str, set[int]] = {}
    for one in training:
        if one.is_study:
            kinds.setdefault(one.set, set()).add(one.label)
    return [i for i, one in enumerate(training) if one.is_study and len(kinds[one.set]) == 2]


def _equal_sets(names: np.ndarray) -> np.ndarray:
    """(m,) weights of cases by the names of their sets; their sum is m, each set's is the same."""
    found, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
    return len(names) / len(found) / counts[inverse]


def _with_known_bleeds(training: Sequence[HeadSeries]) -> Sequence[HeadSeries]:
    """The series; where no bleeding slice is known as one, the folder's label has to do."""
    if any(one.label and one.slice_labels for one in training):
        return training
    return [replace(one, slice_labels=True) for one in training]


def _known_slices(
    training: Sequence[HeadSeries], recipe: StudyRecipe
) -> tuple[np.ndarray, np.ndarray]:
    """Features (m, 10) and labels (m,) of the slices that heads are fitted to."""
    rows = [_rows(one, recipe) for one in training]
    return (
        np.concatenate([one.findings.features[r] for one, r in zip(training, rows, strict=True)]),
        np.concatenate([one.labels[r] for one, r in zip(training, rows, strict=True)]),
    )


def _rows(series: HeadSeries, recipe: StudyRecipe) -> np.ndarray:
    """Slices that SVM, logistic regression and the recurrent networks' scaling are fitted to.

    Series that are labelled slice by slice are few and thick: all their slices are used.
    """
    rows = np.flatnonzero(series.findings.head_found & series.known)
    return rows if series.slice_labels else rows[:: recipe.stride]


def _fitted_network(
    training: Sequence[HeadSeries], scaling: Scaling, recipe: StudyRecipe, seed: int
) -> keras.Model:
    import keras

    from hemodetect.models.recurrent_head import read_values, recurrent_network
    from hemodetect.training.series_batches import SeriesBatches

    keras.utils.set_random_seed(seed)
    features = [scaling(read_values(one.findings)) for one in training]
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
