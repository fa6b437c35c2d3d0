"""The RNN and the attention RNN over the slices of a series.

The RNN lets the most suspicious slices speak for the study; the attention RNN weighs what it read in
each slice (Bahdanau et al. 2015, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from hemodetect.models.findings import SliceFindings
from hemodetect.models.study_heads import HEAD_ARRAYS, HEAD_NETWORK, Scaling, StudyLogits, StudySum
from hemodetect.models.weight_files import write_arrays

LONGEST = 64
"""Slices that the network reads at once."""
_FEWEST = 32  # a longer series is read in strides that leave at least as many slices
_MASKED_LOGIT = 1e4  # taken off the attention logit of a place without a slice


@dataclass(frozen=True, eq=False)
class RecurrentHead:
    """RNN or attention RNN; `network` is a `recurrent_network`.

    Without `study`, its logit for the study is that of the network alone.
    """

    scaling: Scaling
    network: keras.Model
    study: StudySum | None
    weighs_slices: bool
    reads_in_order = True

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Every slice is read once; the strides' logits for the study are averaged."""
        places, inputs = self._read([findings])
        outputs = [np.asarray(x) for x in self.network.predict_on_batch(inputs)]
        return self._put_together([findings], places, outputs)[0]

    def all_logits(self, series: Sequence[SliceFindings]) -> list[StudyLogits]:
        """Of many series, in order."""
        places, inputs = self._read(series)
        outputs = self.network.predict(inputs, batch_size=64, verbose=0)
        return self._put_together(series, places, outputs)

    def _read(
        self, series: Sequence[SliceFindings]
    ) -> tuple[list[tuple[int, np.ndarray]], list[np.ndarray]]:
        """Number of the series and rows of each stride, and the network's inputs."""
        places, batch = [], []
        for number, findings in enumerate(series):
            features, n = self.scaling(read_values(findings)), len(findings.logits)
            stride = series_stride(n)
            for first in range(stride):
                rows = np.arange(first, n, stride)
                places.append((number, rows))
                batch.append(padded(features[rows]))
        return places, [np.stack(part) for part in zip(*batch, strict=True)]

    def _put_together(
        self,
        series: Sequence[SliceFindings],
        places: list[tuple[int, np.ndarray]],
        outputs: list[np.ndarray],
    ) -> list[StudyLogits]:
        slices = [np.empty(len(one.logits), np.float32) for one in series]
        attention = [np.empty(len(one.logits), np.float32) for one in series]
        studies: list[list[float]] = [[] for _ in series]
        of_slices, of_studies, weights = outputs
        for place, (number, rows) in enumerate(places):
            slices[number][rows] = of_slices[place, : len(rows), 0]
            attention[number][rows] = weights[place, : len(rows)]
            studies[number].append(float(of_studies[place, 0]))
        return [
            StudyLogits(
                slices[number],
                self._study(float(np.mean(studies[number])), findings),
                attention[number] / len(studies[number]) if self.weighs_slices else None,
            )
            for number, findings in enumerate(series)
        ]

    def _study(self, own: float, findings: SliceFindings) -> float:
        return own if self.study is None else self.study(own, findings)

    def save(self, folder: Path) -> None:
        """Writes the scalings and the network."""
        study = self.study.arrays() if self.study else {}
        write_arrays(folder / HEAD_ARRAYS, self.scaling.arrays() | study)
        self.network.save(folder / HEAD_NETWORK)


def read_values(findings: SliceFindings) -> np.ndarray:
    """(n, 1) float32, what the networks read of each slice: its log-odds of blood.

    With all ten features they ranked other hospitals' patients worse (benchmarks/experiments.csv): the
    measures of the maps differ from network to network.
    """
    return findings.logits[:, None]


def recurrent_network(features: int, units: int, attentive: bool) -> keras.Model:
    """A network over up to 64 slices; standard layers only, so that it loads with ``safe_mode=True``.

    Inputs: features of the slices (64, features), and a mask (64,), 1 where there is a slice.
    Outputs: logits of the slices (64, 1), of the study (1,), and weights of the slices (64,).

    Args:
        features: values of a slice.
        units: of each recurrent layer.
        attentive: weights come from an attention layer; else from the slices' logits.
    """
    slices = keras.Input((LONGEST, features), name="slices")
    mask = keras.Input((LONGEST,), name="mask")
    x = layers.Dropout(0.2)(layers.Dense(units, activation="tanh")(slices))
    states = layers.Bidirectional(layers.GRU(units, return_sequences=True))(x)
    states = layers.Dropout(0.3)(states)
    # A slice's own features count beside what its neighbours say of it.
    own = layers.Concatenate()([states, slices])
    slice_logits = layers.Dense(1, name="slice_logits")(own)
    flat = layers.Flatten()(slice_logits)
    masked = layers.Rescaling(_MASKED_LOGIT, offset=-_MASKED_LOGIT)(mask)
    if attentive:
        energy = layers.Dense(1, use_bias=False)(layers.Dense(units, activation="tanh")(states))
        energy = layers.Add()([layers.Flatten()(energy), masked])
        weights = layers.Softmax(name="slice_weights")(energy)
        context = layers.Dot(axes=(1, 1))([weights, states])
        study_logit = layers.Dense(1, name="study_logit")(context)
    else:
        weights = layers.Softmax(name="slice_weights")(layers.Add()([flat, masked]))
        study_logit = layers.Dot(axes=(1, 1), name="study_logit")([weights, flat])
    return keras.Model([slices, mask], [slice_logits, study_logit, weights])


def series_stride(slices: int) -> int:
    """Every which slice of a series of `slices` is read at once, so that at most 64 are."""
    return max(1, slices // _FEWEST, -(-slices // LONGEST))


def padded(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(64, features) with zeros at the end, and the mask (64,), 1 where there is a slice."""
    missing = LONGEST - len(features)
    mask = np.pad(np.ones(len(features), np.float32), (0, missing))
    return np.pad(features, ((0, missing), (0, 0))), mask
