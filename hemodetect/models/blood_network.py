"""The network that looks for blood in one standard slice.

It has two outputs: log-odds that the slice shows blood, and each kind of it; and a map of where blood
is. Both share one trunk of convolutions, and the log-odds see the map's maximum and mean, so teaching
the map makes them rest on blood.
"""

from __future__ import annotations

import keras
from keras import layers

from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.models.efficientnet import STEM, block_name, lite0
from hemodetect.preprocessing.standard_head import STANDARD_SIDE

MAP_SIDE = STANDARD_SIDE // 8
LOGITS = "logits"
MAP = "map"
FEATURES = "block10_sum"
"""Name of the layer whose features, (12, 12, 112), Grad-CAM weighs; later ones are too coarse."""
OUTPUTS = 1 + len(SUBTYPES)
"""Log-odds: any blood, then the kinds in the order of `SUBTYPES`."""
FROZEN_BLOCKS = 3
"""First blocks of the trunk, which keep their ImageNet weights: edges are the same in a head."""
_CONTRAST = 0.5
"""ImageNet's pictures reach from -1 to 1, normalised slices from -1.5 to 2.2."""
_PRIOR = -3.0
"""Bias of the map at the start: blood is rare."""
_CHANNELS = 48


def blood_network() -> keras.Model:
    """Input (192, 192, 1): a normalised slice. Outputs: logits (6,) and map (24, 24, 1).

    Its first blocks are not trainable.
    """
    image = keras.Input((STANDARD_SIDE, STANDARD_SIDE, 1), name="image")
    _, _, fine, _, middle, _, coarse = lite0(layers.Rescaling(_CONTRAST)(image))
    x = _convolution(coarse)
    x = _merged(x, middle)
    x = _merged(x, fine)
    x = layers.SeparableConv2D(_CHANNELS, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.97)(x))
    blood = layers.Conv2D(
        1,
        1,
        activation="sigmoid",
        bias_initializer=keras.initializers.Constant(_PRIOR),
        name=MAP,
    )(x)
    seen = layers.Concatenate()(
        [
            layers.GlobalMaxPooling2D()(coarse),
            layers.GlobalAveragePooling2D()(coarse),
            layers.GlobalMaxPooling2D()(blood),
            layers.GlobalMaxPooling2D()(layers.AveragePooling2D(3, 1)(blood)),
            layers.GlobalAveragePooling2D()(blood),
        ]
    )
    logits = layers.Dense(OUTPUTS, name=LOGITS)(layers.Dropout(0.3)(seen))
    network = keras.Model(image, [logits, blood])
    frozen = (STEM, *(block_name(number) + "_" for number in range(FROZEN_BLOCKS)))
    for layer in network.layers:
        if layer.name.startswith(frozen):
            layer.trainable = False
    return network


def _convolution(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Conv2D(_CHANNELS, 1, use_bias=False)(x)


def _merged(coarse: keras.KerasTensor, fine: keras.KerasTensor) -> keras.KerasTensor:
    """Features of two resolutions at the finer one."""
    coarse = layers.UpSampling2D(2, interpolation="bilinear")(coarse)
    both = layers.Add()([coarse, _convolution(fine)])
    return layers.ReLU()(layers.BatchNormalization(momentum=0.97)(both))
