"""Where the CNN looked. The one module that speaks TensorFlow rather than Keras.

Maps explain the class *hemorrhage*: how much each place of the image raised the network's score for
it, before the sigmoid. They are evidence about the network, not about the patient.

- `grad_cam_maps`: Grad-CAM (Selvaraju et al. 2017) for all slices of a study, by cutting the network
  at its last convolution and differentiating the rest alone; four times as fast as tf-keras-vis and
  equal to it (a test compares them).
- `slice_map`: the same and three other methods for one slice, by tf-keras-vis.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from hemodetect.imaging.study import Slice
from hemodetect.models.network_family import NetworkModel
from hemodetect.models.networks import LAST_CONVOLUTION, network_input
from hemodetect.models.released import ReleasedModel, model_input

Method = Literal["Grad-CAM", "Grad-CAM++", "Score-CAM", "SmoothGrad"]
METHODS: tuple[Method, ...] = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "SmoothGrad")
EXPLAINED_CLASS = "hemorrhage"
_BATCH = 32
_SMOOTH_SAMPLES = 10
_SMOOTH_NOISE = 0.05


def study_maps(cnn: ReleasedModel, series: Sequence[Slice]) -> np.ndarray:
    """`grad_cam_maps` of a released CNN for the slices of a series."""
    return grad_cam_maps(_keras_model(cnn), model_input(series, cnn.fitted.size))


def one_slice_map(cnn: ReleasedModel, image: Slice, method: Method) -> np.ndarray:
    """`slice_map` of a released CNN for one slice."""
    return slice_map(_keras_model(cnn), model_input([image], cnn.fitted.size)[0], method)


def grad_cam_maps(model: keras.Model, grey: np.ndarray) -> np.ndarray:
    """Grad-CAM of every slice.

    Args:
        model: a functional model whose last convolution is called `LAST_CONVOLUTION` and whose
            output is one probability.
        grey: (n, size, size) uint8.

    Returns:
        (n, rows, columns) float32 at the last convolution's resolution, not below 0, in units of
        score; comparable from slice to slice.
    """
    differentiate = _differentiated(model)
    maps = []
    for start in range(0, len(grey), _BATCH):
        part = grey[start : start + _BATCH]
        # Filled up, so that the function is traced for one shape only.
        full = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), axis=0)])
        maps.append(differentiate(tf.constant(network_input(model, full))).numpy()[: len(part)])
    return np.concatenate(maps)


def slice_map(model: keras.Model, grey: np.ndarray, method: Method) -> np.ndarray:
    """One slice's map by a method of tf-keras-vis.

    Args:
        model: as for `grad_cam_maps`.
        grey: (size, size) uint8.
        method: SmoothGrad averages the input gradient over noisy copies (Smilkov et al. 2017);
            Score-CAM (Wang et al. 2020) needs a prediction for each channel and takes seconds.

    Returns:
        (size, size) float32, not below 0, in the method's own units.
    """
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    image = network_input(model, grey[None])
    # Without the linear end, a saturated sigmoid gives maps of zeros in silence.
    linear = ReplaceToLinear()
    if method == "SmoothGrad":
        found = Saliency(model, model_modifier=linear, clone=True)(
            _hemorrhage_score,
            image,
            smooth_samples=_SMOOTH_SAMPLES,
            smooth_noise=_SMOOTH_NOISE,
            normalize_map=False,
        )
    else:
        kind = {"Grad-CAM": Gradcam, "Grad-CAM++": GradcamPlusPlus, "Score-CAM": Scorecam}[method]
        found = kind(model, model_modifier=linear, clone=True)(
            _hemorrhage_score,
            image,
            penultimate_layer=LAST_CONVOLUTION,
            normalize_cam=False,
        )
    return np.maximum(np.asarray(found)[0], 0).astype(np.float32)


def in_register(heat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (rows, columns) float32 enlarged, bilinear, to the full-resolution slice's shape.

    The networks see the whole slice squeezed to a square, so the map covers the whole slice too.
    """
    image = Image.fromarray(heat.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def row_attention(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Attention weights (steps,) of image rows as a map of the slice's shape, in [0, 1]."""
    column = (weights / full_attention(weights))[:, None]
    return in_register(np.repeat(column, 2, axis=1), shape)


def full_attention(weights: np.ndarray) -> float:
    """The weight that is shown at full strength: the greatest, but no less than three even shares.

    Attention spread evenly over the rows says nothing, and shall not light up the whole slice.
    """
    return max(float(weights.max()), 3 / len(weights))


def _keras_model(model: ReleasedModel) -> keras.Model:
    if not isinstance(model.fitted, NetworkModel):
        raise TypeError(f"{model.card.family} is no network; heat maps need the CNN")
    return model.fitted.keras_model


def _hemorrhage_score(output: tf.Tensor) -> tf.Tensor:
    return output[:, 0]


@lru_cache(maxsize=4)
def _differentiated(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """Compiled function from (_BATCH, size, size, 3) to maps."""
    convolution = model.get_layer(LAST_CONVOLUTION)
    features = keras.Model(model.inputs, convolution.output)
    after = model.layers[model.layers.index(convolution) + 1 :]
    *hidden, last = after

    @tf.function
    def maps(images: tf.Tensor) -> tf.Tensor:
        activations = features(images, training=False)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            x = activations
            for layer in hidden:
                x = layer(x, training=False)
            score = tf.matmul(x, last.kernel) + last.bias
        gradient = tape.gradient(score, activations)
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))

    return maps
