"""The study's three networks, as Keras functional models of standard layers.

Standard layers only, so that a ``.keras`` file loads with ``safe_mode=True`` and no custom objects,
on any backend.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, regularizers

LAST_CONVOLUTION = "conv_5"
ATTENTION_OUTPUT = "attention"
_CONVOLUTION_L2 = 1e-4
"""The study says L2 and not how much."""


def cnn(size: int) -> keras.Model:
    """Five convolution blocks; input (size, size, 3) in [0, 1], output (1,) probability."""
    image = keras.Input((size, size, 3), name="image")
    x = image
    for block, filters in enumerate((32, 64, 128, 256, 512), start=1):
        x = layers.Conv2D(
            filters,
            3,
            activation="relu",
            kernel_regularizer=regularizers.L2(_CONVOLUTION_L2),
            name=f"conv_{block}",
        )(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)
        if block < 5:
            x = layers.Dropout(0.3)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, _probability(x), name="cnn")


def rnn(size: int) -> keras.Model:
    """Two LSTMs over `size` steps of 3 * `size` values; input as for the CNN."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.Reshape((size, 3 * size))(image)
    x = layers.LSTM(128, activation="relu", return_sequences=True)(x)
    x = layers.Dropout(0.3)(x)
    x = layers.LSTM(64, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, _probability(x), name="rnn")


def attention_rnn(size: int) -> keras.Model:
    """Two LSTMs over image rows with additive attention (Bahdanau et al. 2015, section 3.1).

    Input (size, size) grey in [0, 1]; outputs: probability (1,), and the attention weights of the
    image rows (size,), which sum to 1.
    """
    image = keras.Input((size, size), name="image")
    l2 = regularizers.L2(0.01)
    x = layers.LSTM(128, kernel_regularizer=l2, return_sequences=True)(image)
    x = layers.Dropout(0.3)(x)
    x = layers.LSTM(64, kernel_regularizer=l2, return_sequences=True)(x)
    states = layers.Dropout(0.3)(x)
    energy = layers.Dense(1, use_bias=False)(layers.Dense(64, activation="tanh")(states))
    weights = layers.Softmax(name=ATTENTION_OUTPUT)(layers.Flatten()(energy))
    context = layers.Dot(axes=(1, 1))([weights, states])
    x = layers.Dense(128, activation="relu", kernel_regularizer=l2)(context)
    x = layers.Dropout(0.3)(x)
    return keras.Model(image, [_probability(x, l2), weights], name="attention_rnn")


def _probability(x: keras.KerasTensor, l2: regularizers.L2 | None = None) -> keras.KerasTensor:
    return layers.Dense(1, activation="sigmoid", kernel_regularizer=l2, name="probability")(x)


BUILDERS: dict[str, Callable[[int], keras.Model]] = {
    "cnn": cnn,
    "rnn": rnn,
    "attention_rnn": attention_rnn,
}


def network_input(model: keras.Model, grey: np.ndarray) -> np.ndarray:
    """(n, size, size) uint8 slices as `model` takes them: float32 in [0, 1], three channels or none."""
    scaled = grey.astype(np.float32) / 255
    return np.repeat(scaled[..., None], 3, axis=-1) if len(model.input_shape) == 4 else scaled
