"""The RNN and the attention RNN over the slices of a series.

The RNN lets the most suspicious slices speak for the study; the attention RNN weighs what it read in
each slice (Bahdanau et al. 2015, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from hemodetect.models.findings import SliceFindings
from hemodetect.models.study_heads import HEAD_ARRAYS, HEAD_NETWORK, Components, StudyLogits
from hemodetect.models.weight_files import write_arrays

LONGEST = 64
"""Slices that the network reads at once."""
_FEWEST = 32  # a longer series is read in strides that leave at least as many slices
_MASKED_LOGIT = 1e4  # taken off the attention logit of a place without a slice


@dataclass(frozen=True, eq=False)
class RecurrentHead:
    """RNN or attention RNN; `network` is a `recurrent_network`."""

    components: Components
    network: keras.Model
    weighs_slices: bool
    reads_in_order = True

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Every slice is read once; the strides' logits for the study are averaged."""
        features, n = slice_features(self.components, findings), len(findings.logits)
        stride = series_stride(n)
        strides = [np.arange(first, n, stride) for first in range(stride)]
        batch = [padded(features[rows]) for rows in strides]
        inputs = [np.stack(part) for part in zip(*batch, strict=True)]
        outputs = (np.asarray(x) for x in self.network.predict_on_batch(inputs))
        slice_logits, study_logits, weights = outputs
        slices, attention = np.empty(n, np.float32), np.empty(n, np.float32)
        for number, rows in enumerate(strides):
            slices[rows] = slice_logits[number, : len(rows), 0]
            attention[rows] = weights[number, : len(rows)] / stride
        return StudyLogits(
            slices, float(study_logits.mean()), attention if self.weighs_slices else None
        )

    def save(self, folder: Path) -> None:
        """Writes the components and the network."""
        write_arrays(folder / HEAD_ARRAYS, self.components.arrays())
        self.network.save(folder / HEAD_NETWORK)


def recurrent_network(features: int, units: int, attentive: bool) -> keras.Model:
    """A network over up to 64 slices; standard layers only, so that it loads with ``safe_mode=True``.

    Inputs: components of the slices (64, features), and a mask (64,), 1 where there is a slice.
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
    slice_logits = layers.Dense(1, name="slice_logits")(states)
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


def slice_features(components: Components, findings: SliceFindings) -> np.ndarray:
    """(n, components + 1) float32: components of the embedding, and a quarter of the logit."""
    logits = findings.logits[:, None] / 4
    return np.concatenate([components(findings.embedding), logits], axis=1).astype(np.float32)


def series_stride(slices: int) -> int:
    """Every which slice of a series of `slices` is read at once, so that at most 64 are."""
    return max(1, slices // _FEWEST, -(-slices // LONGEST))


def padded(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(64, features) with zeros at the end, and the mask (64,), 1 where there is a slice."""
    missing = LONGEST - len(features)
    mask = np.pad(np.ones(len(features), np.float32), (0, missing))
    return np.pad(features, ((0, missing), (0, 0))), mask
