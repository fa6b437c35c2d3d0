"""What each family makes of the blood network's findings: evidence by slice and for the study.

Evidence is in log-odds, of no fixed scale; `study_model` makes probabilities of it.

- CNN: the blood network's own answer.
- Logistic regression, SVM: fitted to slices, in principal components of the network's embedding.
- RNN, attention RNN: read the slices of a study in order; the RNN lets the most suspicious speak for
  the study, the attention RNN weighs what it read in each slice (Bahdanau et al. 2015, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from hemodetect.errors import BundleError
from hemodetect.models.blood_model import SliceFindings, peak
from hemodetect.models.network_model import loaded_network
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.weight_files import read_arrays, write_arrays

HEAD_ARRAYS = "head.skops"
HEAD_NETWORK = "head.keras"
LONGEST = 64
"""Slices that a recurrent network reads at once."""
_FEWEST = 32  # a longer series is read in strides that leave at least as many slices


@dataclass(frozen=True, eq=False)
class Evidence:
    """Log-odds of hemorrhage: (n,) by slice, for the study, and (n,) weights of slices or None."""

    slices: np.ndarray
    study: float
    attention: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class HeadSeries:
    """One training series.

    Attributes:
        found: of its slices.
        labels: (n,) 0 or 1; the patient's in every slice where slices are not labelled.
        labelled_slices: whether labels are each slice's own.
    """

    found: SliceFindings
    labels: np.ndarray
    labelled_slices: bool

    @property
    def label(self) -> int:
        """Of the study."""
        return int(self.labels.max())


class Head(Protocol):
    """One family's reading of the findings."""

    def evidence(self, found: SliceFindings) -> Evidence:
        """Of one series."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what is needed to load it again; nothing for a head without weights."""
        ...


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of unit variance: (x - mean) @ matrix, (259,) and (259, components)."""

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, embedding: np.ndarray, components: int) -> Components:
        """From embeddings (m, 259), each of its values scaled to unit variance first."""
        mean, scale = embedding.mean(axis=0), embedding.std(axis=0) + 1e-6
        standard = (embedding - mean) / scale
        _, axes = np.linalg.eigh(standard.T @ standard / len(standard))
        axes = axes[:, ::-1][:, :components]
        spread = (standard @ axes).std(axis=0) + 1e-6
        return cls(mean.astype(np.float32), (axes / spread / scale[:, None]).astype(np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """As they are kept."""
        return {"mean": self.mean, "matrix": self.matrix}

    def __call__(self, embedding: np.ndarray) -> np.ndarray:
        return (embedding - self.mean) @ self.matrix


class OwnAnswer:
    """The blood network's answer as it stands."""

    def evidence(self, found: SliceFindings) -> Evidence:
        return Evidence(found.evidence, peak(found.evidence, found.counted))

    def save(self, folder: Path) -> None:
        pass


@dataclass(frozen=True, eq=False)
class Linear:
    """Logistic regression: weights (components,) and an intercept."""

    components: Components
    weights: np.ndarray
    intercept: float

    def evidence(self, found: SliceFindings) -> Evidence:
        values = self.components(found.embedding) @ self.weights + self.intercept
        return Evidence(values.astype(np.float32), peak(values, found.counted))

    def save(self, folder: Path) -> None:
        write_arrays(
            folder / HEAD_ARRAYS,
            {
                **self.components.arrays(),
                "weights": self.weights,
                "intercept": np.array(self.intercept),
            },
        )


@dataclass(frozen=True, eq=False)
class Kernel:
    """SVM with an RBF kernel: support vectors (m, components) and their dual coefficients (m,)."""

    components: Components
    support: np.ndarray
    dual: np.ndarray
    intercept: float
    gamma: float

    def evidence(self, found: SliceFindings) -> Evidence:
        x = self.components(found.embedding).astype(np.float64)
        norms = (x**2).sum(axis=1)[:, None] + (self.support**2).sum(axis=1)[None]
        apart = np.maximum(norms - 2 * x @ self.support.T, 0)
        values = np.exp(-self.gamma * apart) @ self.dual + self.intercept
        return Evidence(values.astype(np.float32), peak(values, found.counted))

    def save(self, folder: Path) -> None:
        write_arrays(
            folder / HEAD_ARRAYS,
            {
                **self.components.arrays(),
                "support": self.support,
                "dual": self.dual,
                "numbers": np.array([self.intercept, self.gamma]),
            },
        )


@dataclass(frozen=True, eq=False)
class Recurrent:
    """RNN or attention RNN over the slices of a series.

    `network` takes components (64, components + 1) and which of the 64 are slices (64,), and gives
    log-odds of the slices (64, 1), of the study (1,), and the weights of the slices (64,).
    """

    components: Components
    network: keras.Model
    attentive: bool

    def evidence(self, found: SliceFindings) -> Evidence:
        """Every slice is read once; the strides' answers for the study are averaged."""
        features, n = slice_features(self.components, found), len(found.evidence)
        stride = _stride(n)
        places = [np.arange(first, n, stride) for first in range(stride)]
        batch = [_padded(features[rows]) for rows in places]
        inputs = [np.stack(part) for part in zip(*batch, strict=True)]
        told, study, weights = (np.asarray(x) for x in self.network.predict_on_batch(inputs))
        slices, attention = np.empty(n, np.float32), np.empty(n, np.float32)
        for number, rows in enumerate(places):
            slices[rows] = told[number, : len(rows), 0]
            attention[rows] = weights[number, : len(rows)] / stride
        return Evidence(slices, float(study.mean()), attention if self.attentive else None)

    def save(self, folder: Path) -> None:
        write_arrays(folder / HEAD_ARRAYS, self.components.arrays())
        self.network.save(folder / HEAD_NETWORK)


def slice_features(components: Components, found: SliceFindings) -> np.ndarray:
    """(n, components + 1) float32: components of the embedding, and the network's own log-odds."""
    own = found.evidence[:, None] / 4
    return np.concatenate([components(found.embedding), own], axis=1).astype(np.float32)


def fitted_head(training: Sequence[HeadSeries], recipe: StudyRecipe, seed: int) -> Head:
    """The head of the recipe's family, fitted to training series."""
    if recipe.family == "cnn":
        return OwnAnswer()
    rows = [np.flatnonzero(s.found.counted)[:: _thinned(s, recipe)] for s in training]
    embedding = np.concatenate([s.found.embedding[r] for s, r in zip(training, rows, strict=True)])
    labels = np.concatenate([s.labels[r] for s, r in zip(training, rows, strict=True)])
    components = Components.of(embedding, recipe.components)
    if recipe.family == "logistic":
        model = LogisticRegression(C=recipe.regularisation, max_iter=2000)
        model.fit(components(embedding), labels)
        return Linear(components, model.coef_[0].astype(np.float32), float(model.intercept_[0]))
    if recipe.family == "svm":
        svm = SVC(C=recipe.regularisation, gamma=recipe.gamma, cache_size=1000)
        svm.fit(components(embedding).astype(np.float64), labels)
        return Kernel(
            components,
            svm.support_vectors_.astype(np.float32),
            svm.dual_coef_[0],
            float(svm.intercept_[0]),
            recipe.gamma,
        )
    attentive = recipe.family == "attention_rnn"
    return Recurrent(components, _fitted_network(training, components, recipe, seed), attentive)


def loaded_head(folder: Path, recipe: StudyRecipe) -> Head:
    """The head that `save` wrote; raises `BundleError` where it is unsafe or damaged."""
    if recipe.family == "cnn":
        return OwnAnswer()
    arrays = read_arrays(folder / HEAD_ARRAYS)
    try:
        components = Components(arrays["mean"], arrays["matrix"])
        if recipe.family == "logistic":
            return Linear(components, arrays["weights"], float(arrays["intercept"]))
        if recipe.family == "svm":
            intercept, gamma = (float(x) for x in arrays["numbers"])
            return Kernel(components, arrays["support"], arrays["dual"], intercept, gamma)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / HEAD_ARRAYS}: holds no head ({error}).") from error
    network = loaded_network(folder / HEAD_NETWORK)
    return Recurrent(components, network, recipe.family == "attention_rnn")


def _thinned(series: HeadSeries, recipe: StudyRecipe) -> int:
    # Slices that are labelled one by one are few and thick: all are used.
    return 1 if series.labelled_slices else recipe.stride


def recurrent_network(features: int, units: int, attentive: bool) -> keras.Model:
    """See `Recurrent`. Standard layers only, so that the file loads with ``safe_mode=True``."""
    slices = keras.Input((LONGEST, features), name="slices")
    there = keras.Input((LONGEST,), name="there")
    x = layers.Dropout(0.2)(layers.Dense(units, activation="tanh")(slices))
    states = layers.Bidirectional(layers.GRU(units, return_sequences=True))(x)
    states = layers.Dropout(0.3)(states)
    told = layers.Dense(1, name="told")(states)
    flat = layers.Flatten()(told)
    absent = layers.Rescaling(1e4, offset=-1e4)(there)
    if attentive:
        energy = layers.Dense(1, use_bias=False)(layers.Dense(units, activation="tanh")(states))
        weights = layers.Softmax(name="weights")(layers.Add()([layers.Flatten()(energy), absent]))
        study = layers.Dense(1, name="study")(layers.Dot(axes=(1, 1))([weights, states]))
    else:
        weights = layers.Softmax(name="weights")(layers.Add()([flat, absent]))
        study = layers.Dot(axes=(1, 1), name="study")([weights, flat])
    return keras.Model([slices, there], [told, study, weights])


def _fitted_network(
    training: Sequence[HeadSeries], components: Components, recipe: StudyRecipe, seed: int
) -> keras.Model:
    keras.utils.set_random_seed(seed)
    features = [slice_features(components, s.found) for s in training]
    network = recurrent_network(
        features[0].shape[1], recipe.units, recipe.family == "attention_rnn"
    )
    trained = keras.Model(network.inputs, network.outputs[:2])
    batches = _Sequences(training, features, recipe.batch, seed)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate, recipe.epochs * len(batches), alpha=0.02
    )
    told_loss, study_loss = (keras.losses.BinaryCrossentropy(from_logits=True) for _ in range(2))
    trained.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        loss=[told_loss, study_loss],
        jit_compile=False,
    )
    trained.fit(batches, epochs=recipe.epochs, verbose=0)
    return network


class _Sequences(keras.utils.PyDataset):
    """Each series once an epoch, in either direction, at a random first slice of its stride.

    A slice's own answer is asked for where its label is known: everywhere in a series labelled by
    slice, and in series without a hemorrhage.
    """

    def __init__(
        self,
        training: Sequence[HeadSeries],
        features: Sequence[np.ndarray],
        batch: int,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        self._training, self._features, self._batch = training, features, batch
        self._seed, self._epoch = seed, 0

    def __len__(self) -> int:
        return -(-len(self._training) // self._batch)

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(len(self._training))
        random = np.random.default_rng((self._seed, self._epoch, step))
        slices, there, told, known, study = [], [], [], [], []
        for number in order[step * self._batch :][: self._batch]:
            series, features = self._training[number], self._features[number]
            stride = _stride(len(features))
            rows = np.arange(random.integers(stride), len(features), stride)
            rows = rows[::-1] if random.random() < 0.5 else rows
            values, present = _padded(features[rows])
            slices.append(values)
            there.append(present)
            told.append(np.pad(series.labels[rows], (0, LONGEST - len(rows))))
            known.append(present * (series.labelled_slices or series.label == 0))
            study.append([series.label])
        targets = (np.array(told, np.float32)[..., None], np.array(study, np.float32))
        weights = (np.array(known, np.float32), np.ones(len(study), np.float32))
        return (np.stack(slices), np.stack(there)), targets, weights


def _stride(slices: int) -> int:
    return max(1, slices // _FEWEST, -(-slices // LONGEST))


def _padded(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(64, features) with zeros at the end, and (64,) 1 where there is a slice."""
    missing = LONGEST - len(features)
    there = np.pad(np.ones(len(features), np.float32), (0, missing))
    return np.pad(features, ((0, missing), (0, 0))), there
