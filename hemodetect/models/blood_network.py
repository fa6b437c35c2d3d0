"""The network that looks for blood in one standard slice, and how its images are changed in training.

It answers twice: with a map of where blood is (taught by painted bleeds, whose place is known) and
with the probability that the slice shows any. Both share one trunk of convolutions, so the map's
teaching makes the probability rest on blood.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers
from scipy import ndimage

from hemodetect.models.networks import LAST_CONVOLUTION
from hemodetect.preprocessing.standard_head import BACKGROUND_LEVEL, LEVELS_PER_UNIT, STANDARD_SIDE
from hemodetect.training.painting import smooth_noise

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


def changed(
    grey: np.ndarray, level: float, lesion: np.ndarray | None, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A training slice moved, and in the contrast, blur, shading and noise of another scanner.

    Args:
        grey: (112, 112) uint8.
        level: grey level of its series' brain.
        lesion: (56, 56) uint8, part of each place that is blood; None for none.
        random: source of the changes.

    Returns:
        (112, 112) float32 normalised slice, and (28, 28) float32 map in [0, 1].
    """
    matrix, shift = _movement(random)
    moved = _moved(grey, matrix, shift)
    blood = np.zeros((56, 56), np.float32) if lesion is None else _moved(lesion, matrix, shift)
    if random.random() < 0.5:
        moved, blood = moved[:, ::-1], blood[:, ::-1]
    inside = moved > BACKGROUND_LEVEL
    image = (moved - np.float32(level)) / np.float32(LEVELS_PER_UNIT)
    if random.random() < 0.3:
        image = ndimage.gaussian_filter(image, random.uniform(0.3, 1.0))
    image = image * np.float32(random.uniform(0.75, 1.35)) + np.float32(random.uniform(-0.12, 0.12))
    if random.random() < 0.5:
        shading = smooth_noise(random, random.uniform(20, 56))
        image = image + np.float32(random.uniform(0, 0.15)) * shading
    if random.random() < 0.7:
        noise = random.standard_normal(image.shape, dtype=np.float32)
        image = image + noise * np.float32(random.uniform(0, 0.13))
    image[~inside] = -1.5
    coarse = blood.reshape(MAP_SIDE, 2, MAP_SIDE, 2).mean(axis=(1, 3))
    return np.clip(image, -1.5, 2.2).astype(np.float32), np.clip(coarse / 255 * 2, 0, 1)


def _movement(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) matrix from output to input about the centre, and a shift in parts of the side."""
    angle = np.deg2rad(random.uniform(-14, 14))
    shear = np.array([[1, np.tan(random.uniform(-0.08, 0.08))], [0, 1]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    zoom = np.diag(random.uniform(0.87, 1.15, 2))
    return rotation @ shear @ zoom, random.uniform(-0.045, 0.045, 2)


def _moved(image: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - matrix @ (centre + shift * image.shape)
    return ndimage.affine_transform(image, matrix, offset, order=1, output=np.float32)
