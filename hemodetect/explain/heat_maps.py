"""Where the CNN looked. The one module that speaks TensorFlow rather than Keras.

Maps explain the class *hemorrhage*: how much each place of the image raised the network's score for
it, before the sigmoid. They are evidence about the network, not about the patient.

- `grad_cam_maps`: Grad-CAM (Selvaraju et al. 2017) for all slices of a study, by cutting the network
  at its last convolution and differentiating the rest alone; four times as fast as tf-keras-vis and
  equal to it (a test compares them).
- `slice_map`: the same and three other methods for one slice, by tf-keras-vis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from hemodetect.imaging.study import Slice
from hemodetect.models.blood_model import BloodModel, shared_standard
from hemodetect.models.blood_network import LOGIT, with_mirror
from hemodetect.models.interface import Shared
from hemodetect.models.network_model import NetworkModel
from hemodetect.models.networks import LAST_CONVOLUTION, network_input
from hemodetect.models.study_model import StudyModel
from hemodetect.preprocessing.model_input import model_input
from hemodetect.preprocessing.standard_head import in_source, standard_series
from hemodetect.registry.releases import ReleasedModel

Method = Literal["Grad-CAM", "Blood map", "Grad-CAM++", "Score-CAM", "SmoothGrad"]
METHODS: tuple[Method, ...] = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "SmoothGrad")
"""Those that any CNN has; one that was taught to map blood has its own map too."""
EXPLAINED_CLASS = "hemorrhage"
_BATCH = 32
_SHOWN_SIDE = 122  # pixels of a map that is moved back from the standard head
_SMOOTH_SAMPLES = 10
_SMOOTH_NOISE = 0.05


def methods(cnn: ReleasedModel) -> tuple[Method, ...]:
    """The heat maps a released CNN can be asked for."""
    return METHODS if _blood_model(cnn) is None else ("Grad-CAM", "Blood map", *METHODS[1:])


def study_maps(cnn: ReleasedModel, series: Sequence[Slice], shared: Shared) -> np.ndarray:
    """Grad-CAM of a released CNN for the slices of a series; `shared` as `predict_study` filled it.

    Returns:
        (n, rows, columns) float32 over the whole slices, in units of score.
    """
    grey = model_input(series, cnn.fitted.size)
    blood = _blood_model(cnn)
    if blood is None:
        return grad_cam_maps(_keras_model(cnn), grey)
    standard = shared_standard(grey, shared)
    network = blood.keras_model
    images = with_mirror(standard.normalised())
    maps = _in_batches(_differentiated_whole(network), images)
    return in_source(maps * standard.head_found[:, None, None], standard.affine, _SHOWN_SIDE)


def one_slice_map(
    cnn: ReleasedModel, series: Sequence[Slice], index: int, method: Method
) -> np.ndarray:
    """A map of slice `index` of a series by any of `methods`, (rows, columns) over the whole slice."""
    blood = _blood_model(cnn)
    if blood is None:
        grey = model_input([series[index]], cnn.fitted.size)[0]
        return slice_map(_keras_model(cnn), grey, method)
    # The frame is the series': how a head is turned, and how bright its brain is.
    standard = standard_series(model_input(series, cnn.fitted.size))
    if method == "Blood map":
        found = blood.findings(standard).maps[index]
    else:
        network = blood.keras_model
        score = keras.Model(network.inputs, network.get_layer(LOGIT).output)
        image = with_mirror(standard.normalised()[[index]])
        found = _by_tf_keras_vis(score, image, method, None)
    return in_source(found[None], standard.affine[[index]], _SHOWN_SIDE)[0]


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
    return _in_batches(_differentiated(model), network_input(model, grey))


def _in_batches(
    differentiate: tf.types.experimental.GenericFunction, images: np.ndarray
) -> np.ndarray:
    maps = []
    for start in range(0, len(images), _BATCH):
        part = images[start : start + _BATCH]
        # Filled up, so that the function is traced for one shape only.
        full = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), axis=0)])
        maps.append(differentiate(tf.constant(full)).numpy()[: len(part)])
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
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    # Without the linear end, a saturated sigmoid gives maps of zeros in silence.
    return _by_tf_keras_vis(model, network_input(model, grey[None]), method, ReplaceToLinear())


def _by_tf_keras_vis(
    model: keras.Model, image: np.ndarray, method: Method, linear: Callable | None
) -> np.ndarray:
    """The map of the only image of a batch."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam

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


def _keras_model(model: ReleasedModel) -> keras.Model:
    if not isinstance(model.fitted, NetworkModel):
        raise TypeError(f"{model.card.family} is no network; heat maps need the CNN")
    return model.fitted.keras_model


def _blood_model(model: ReleasedModel) -> BloodModel | None:
    """The network of a model that looks at standard heads, None of one that looks at pixels."""
    if isinstance(model.fitted, StudyModel):
        return model.fitted.blood
    return model.fitted if isinstance(model.fitted, BloodModel) else None


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


@lru_cache(maxsize=4)
def _differentiated_whole(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """The same for a network whose last convolution has more than one way to the score."""
    ends = [model.get_layer(LAST_CONVOLUTION).output, model.get_layer(LOGIT).output]
    both = keras.Model(model.inputs, ends)

    @tf.function
    def maps(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            activations, score = both(images, training=False)
        gradient = tape.gradient(score, activations)
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))

    return maps
