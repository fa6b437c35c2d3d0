"""The study's three networks, as Keras functional models of standard layers.

Standard layers only, so that a ``.keras`` file loads with ``safe_mode=True`` and no custom objects,
on any backend.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, regularizers

from hemodetect.models.recipes import NetworkRecipe

LAST_CONVOLUTION = "conv_5"
ATTENTION_OUTPUT = "attention"


def cnn(recipe: NetworkRecipe) -> keras.Model:
    """Convolution blocks; input (size, size, 3) in [0, 1], output (1,) probability.

    The last convolution is called `LAST_CONVOLUTION` whatever the depth.
    """
    image = keras.Input((recipe.size, recipe.size, 3), name="image")
    x = image
    for block in range(1, recipe.depth + 1):
        last = block == recipe.depth
        x = layers.Conv2D(
            16 * 2**block,
            3,
            activation="relu",
            kernel_regularizer=_penalty(recipe),
            name=LAST_CONVOLUTION if last else f"conv_{block}",
        )(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)
        if not last:
            x = layers.Dropout(recipe.dropout)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, _probability(x), name="cnn")


def rnn(recipe: NetworkRecipe) -> keras.Model:
    """LSTMs over `size` steps of 3 * `size` values; input as for the CNN."""
    size = recipe.size
    image = keras.Input((size, size, 3), name="image")
    x = layers.Reshape((size, 3 * size))(image)
    for _ in range(recipe.depth - 1):
        x = layers.LSTM(
            128, activation="relu", kernel_regularizer=_penalty(recipe), return_sequences=True
        )(x)
        x = layers.Dropout(recipe.dropout)(x)
    x = layers.LSTM(64, activation="relu", kernel_regularizer=_penalty(recipe))(x)
    x = layers.Dropout(recipe.dropout)(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, _probability(x), name="rnn")


def attention_rnn(recipe: NetworkRecipe) -> keras.Model:
    """LSTMs over image rows with additive attention (Bahdanau et al. 2015, section 3.1).

    Input (size, size) grey in [0, 1]; outputs: probability (1,), and the attention weights of the
    image rows (size,), which sum to 1.
    """
    image = keras.Input((recipe.size, recipe.size), name="image")
    l2 = _penalty(recipe)
    x = image
    for _ in range(recipe.depth - 1):
        x = layers.LSTM(128, kernel_regularizer=l2, return_sequences=True)(x)
        x = layers.Dropout(recipe.dropout)(x)
    x = layers.LSTM(64, kernel_regularizer=l2, return_sequences=True)(x)
    states = layers.Dropout(recipe.dropout)(x)
    energy = layers.Dense(1, use_bias=False)(layers.Dense(64, activation="tanh")(states))
    weights = layers.Softmax(name=ATTENTION_OUTPUT, dtype="float32")(layers.Flatten()(energy))
    context = layers.Dot(axes=(1, 1))([weights, states])
    x = layers.Dense(128, activation="relu", kernel_regularizer=l2)(context)
    x = layers.Dropout(0.3)(x)
    return keras.Model(image, [_probability(x, l2), weights], name="attention_rnn")


def _penalty(recipe: NetworkRecipe) -> regularizers.L2 | None:
    return regularizers.L2(recipe.l2) if recipe.l2 else None


def _probability(x: keras.KerasTensor, l2: regularizers.L2 | None = None) -> keras.KerasTensor:
    # In float32 whatever the precision: a probability near 1 would lose its last digits.
    return layers.Dense(
        1, activation="sigmoid", kernel_regularizer=l2, name="probability", dtype="float32"
    )(x)


BUILDERS: dict[str, Callable[[NetworkRecipe], keras.Model]] = {
    "cnn": cnn,
    "rnn": rnn,
    "attention_rnn": attention_rnn,
}


def network_input(model: keras.Model, grey: np.ndarray) -> np.ndarray:
    """(n, size, size) uint8 slices as `model` takes them: float32 in [0, 1], three channels or none."""
    scaled = grey.astype(np.float32) / 255
    return np.repeat(scaled[..., None], 3, axis=-1) if len(model.input_shape) == 4 else scaled
