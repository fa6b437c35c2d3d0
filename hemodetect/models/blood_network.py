"""The network that looks for blood in one standard slice.

It has two outputs: a map of where blood is (taught by painted bleeds, whose place is known) and the
probability that the slice shows any. Both share one trunk of convolutions, so teaching the map makes
the probability rest on blood.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from hemodetect.models.networks import LAST_CONVOLUTION
from hemodetect.preprocessing.standard_head import STANDARD_SIDE

MAP_SIDE = 28
EMBEDDING = "embedding"
LOGIT = "logit"
_PRIOR = -3.0
"""Bias of the map at the start: blood is rare."""


def blood_network() -> keras.Model:
    """Input (112, 112, 2): a normalised slice and its mirror image.

    Outputs: probability (1,), map (28, 28, 1), embedding (259,): maxima and means of the last
    convolution's 128 channels, and three measures of the map.
    """
    image = keras.Input((STANDARD_SIDE, STANDARD_SIDE, 2), name="image")
    x = _convolution(image, 16, kernel=5, stride=2)
    x = layers.MaxPooling2D()(_convolution(x, 24))
    fine = _convolution(_convolution(x, 48), 48)
    x = layers.MaxPooling2D()(fine)
    middle = _convolution(_convolution(x, 96), 96)
    x = _convolution(layers.MaxPooling2D()(middle), 128, name=LAST_CONVOLUTION)
    up = _merged(x, middle)
    up = _convolution(_merged(up, fine), 32)
    blood = layers.Conv2D(
        1,
        1,
        activation="sigmoid",
        bias_initializer=keras.initializers.Constant(_PRIOR),
        name="map",
    )(up)
    embedding = layers.Concatenate(name=EMBEDDING)(
        [
            layers.GlobalMaxPooling2D()(x),
            layers.GlobalAveragePooling2D()(x),
            layers.GlobalMaxPooling2D()(blood),
            layers.GlobalMaxPooling2D()(layers.AveragePooling2D(3, 1)(blood)),
            layers.GlobalAveragePooling2D()(blood),
        ]
    )
    hidden = layers.Dense(48, activation="relu")(layers.Dropout(0.3)(embedding))
    logit = layers.Dense(1, name=LOGIT)(layers.Dropout(0.3)(hidden))
    probability = layers.Activation("sigmoid", name="probability")(logit)
    return keras.Model(image, [probability, blood, embedding], name="blood")


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int = 3, stride: int = 1, name: str | None = None
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))


def _merged(coarse: keras.KerasTensor, fine: keras.KerasTensor) -> keras.KerasTensor:
    """Features of two resolutions at the finer one, 48 channels."""
    coarse = layers.UpSampling2D()(layers.Conv2D(48, 1)(coarse))
    return layers.ReLU()(layers.Add()([coarse, layers.Conv2D(48, 1)(fine)]))


def with_mirror(standard: np.ndarray) -> np.ndarray:
    """(n, 112, 112) normalised slices as the network takes them: (n, 112, 112, 2)."""
    return np.stack([standard, standard[:, :, ::-1]], axis=-1)
