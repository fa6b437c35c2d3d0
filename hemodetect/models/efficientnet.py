"""EfficientNet-Lite0 (Tan and Le 2019; the Lite variants have neither squeeze nor swish).

Layers are named after their place, so that published weights find them.
"""

from __future__ import annotations

import keras
from keras import layers

STEM = "stem"
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion and channels of each stage."""
BLOCKS = sum(stage[0] for stage in _STAGES)


def block_name(number: int) -> str:
    """Prefix of the names of a block's layers, counted from 0."""
    return f"block{number}"


def lite0(image: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The last features of each of the seven stages; strides 2, 4, 8, 16, 16, 32 and 32."""
    x = _activated(_normalised(_convolution(image, 32, 3, 2, STEM), f"{STEM}_norm"))
    ends, number = [], 0
    for blocks, kernel, stride, expansion, channels in _STAGES:
        for place in range(blocks):
            x = _block(x, block_name(number), kernel, 1 if place else stride, expansion, channels)
            number += 1
        ends.append(x)
    return ends


def _block(
    x: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    before = x
    if expansion > 1:
        x = _convolution(x, expansion * x.shape[-1], 1, 1, f"{name}_expand")
        x = _activated(_normalised(x, f"{name}_expand_norm"))
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _activated(_normalised(x, f"{name}_depthwise_norm"))
    x = _normalised(_convolution(x, channels, 1, 1, f"{name}_project"), f"{name}_project_norm")
    return layers.Add(name=f"{name}_sum")([x, before]) if before.shape == x.shape else x


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
) -> keras.KerasTensor:
    return layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=name
    )(x)


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.97, name=name)(x)


def _activated(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU(max_value=6.0)(x)
