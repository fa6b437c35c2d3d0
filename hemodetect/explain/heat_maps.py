"""Where a network with convolutions looked. The one module that speaks TensorFlow rather than Keras.

Maps explain the class *hemorrhage*: how much each place of the image raised the network's score for
it, before the sigmoid. They are evidence about the network, not about the patient.

- `grad_cam_maps`: Grad-CAM (Selvaraju et al. 2017) for all slices of a study, by cutting the network
  at its last convolution and differentiating the rest alone; four times as fast as tf-keras-vis and
  equal to it (a test compares them).
- `slice_map`: Grad-CAM and three other methods for one slice, by tf-keras-vis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import keras
import numpy as np
import tensorflow as tf

from hemodetect.imaging.orientation import turn_of
from hemodetect.imaging.study import Slice
from hemodetect.models.heat_map_source import HeatMapSource, NoHeatMaps
from hemodetect.models.interface import BLOOD_MAP, HeatMapMethod
from hemodetect.models.series_cache import SeriesCache
from hemodetect.preprocessing.model_input import model_input
from hemodetect.preprocessing.standard_head import in_source
from hemodetect.registry.releases import ReleasedModel

_BATCH = 32
_MAP_SIDE = 64  # pixels of a map that is moved back from the standard head, where it has 24 at most
_SMOOTH_SAMPLES = 10
_SMOOTH_NOISE = 0.05


def study_maps(
    model: ReleasedModel, series: Sequence[Slice], cache: SeriesCache | None = None
) -> np.ndarray:
    """Grad-CAM of a released model for the slices of a series.

    Args:
        model: one whose abilities list heat maps.
        series: slices, in order.
        cache: of this series, as `predict_study` filled it.

    Returns:
        (n, rows, columns) float32 over the whole slices, in units of score.

    Raises:
        NoHeatMaps: the model has none.
    """
    grey = model_input(series, model.fitted.size)
    source = model.fitted.heat_map_source(grey, cache)
    maps = grad_cam_maps(source)
    if source.standard is not None:
        maps = maps * source.standard.head_found[:, None, None]
    return _as_stored(_over_slices(maps, source, np.arange(len(maps))), series)


def blood_maps(
    model: ReleasedModel, series: Sequence[Slice], cache: SeriesCache | None = None
) -> np.ndarray:
    """The blood network's own maps for the slices of a series; arguments as for `study_maps`.

    Returns:
        (n, rows, columns) float32 over the whole slices, probability of blood at each place.

    Raises:
        NoHeatMaps: the model has none.
    """
    source = model.fitted.heat_map_source(model_input(series, model.fitted.size), cache)
    if source.blood_maps is None:
        raise NoHeatMaps("This model draws no map of blood.")
    maps = source.blood_maps()
    return _as_stored(_over_slices(maps, source, np.arange(len(maps))), series)


def one_slice_map(
    model: ReleasedModel, series: Sequence[Slice], index: int, method: HeatMapMethod
) -> np.ndarray:
    """A map of slice `index` of a series, (rows, columns) float32 over the whole slice.

    Args:
        model: one whose abilities list `method`.
        series: slices, in order; the whole series decides how a head is turned, and how bright its
            brain is.
        index: from 0.
        method: see `slice_map`; "Blood map" is the network's own.

    Raises:
        NoHeatMaps: the model has none.
    """
    source = model.fitted.heat_map_source(model_input(series, model.fitted.size))
    if method == BLOOD_MAP and source.blood_maps is not None:
        heat = source.blood_maps()[index]
    else:
        heat = slice_map(source, index, method)
    return _as_stored(_over_slices(heat[None], source, np.array([index])), series)[0]


def grad_cam_maps(source: HeatMapSource) -> np.ndarray:
    """Grad-CAM of every slice.

    Returns:
        (n, rows, columns) float32 at the features' resolution, not below 0, in units of
        score; comparable from slice to slice.
    """
    if source.score_layer is None:
        differentiate = _differentiated_chain(source.network, source.feature_layer)
    else:
        differentiate = _differentiated_graph(
            source.network, source.feature_layer, source.score_layer
        )
    maps = []
    for start in range(0, len(source.images), _BATCH):
        part = source.images[start : start + _BATCH]
        # Filled up, so that the function is traced for one shape only.
        full = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), axis=0)])
        maps.append(differentiate(tf.constant(full)).numpy()[: len(part)])
    return np.concatenate(maps)


def slice_map(source: HeatMapSource, index: int, method: HeatMapMethod) -> np.ndarray:
    """One slice's map by a method of tf-keras-vis.

    Args:
        source: of the series.
        index: of the slice.
        method: SmoothGrad averages the input gradient over noisy copies (Smilkov et al. 2017);
            Score-CAM (Wang et al. 2020) needs a prediction for each channel and takes seconds.

    Returns:
        (rows, columns) float32 over the image, not below 0, in the method's own units.
    """
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    network, image = source.network, source.images[[index]]
    modifier: Callable | None = None
    if source.score_layer is None:
        # Without the linear end, a saturated sigmoid gives maps of zeros in silence.
        modifier = ReplaceToLinear()
    else:
        network = keras.Model(network.inputs, network.get_layer(source.score_layer).output)
    if method == "SmoothGrad":
        heat = Saliency(network, model_modifier=modifier, clone=True)(
            _hemorrhage_score,
            image,
            smooth_samples=_SMOOTH_SAMPLES,
            smooth_noise=_SMOOTH_NOISE,
            normalize_map=False,
        )
    else:
        kind = {"Grad-CAM": Gradcam, "Grad-CAM++": GradcamPlusPlus, "Score-CAM": Scorecam}[method]
        heat = kind(network, model_modifier=modifier, clone=True)(
            _hemorrhage_score,
            image,
            penultimate_layer=source.feature_layer,
            normalize_cam=False,
        )
    return np.maximum(np.asarray(heat)[0], 0).astype(np.float32)


def _over_slices(maps: np.ndarray, source: HeatMapSource, indices: np.ndarray) -> np.ndarray:
    """Maps (m, rows, columns) of some slices, moved from the frame of the images to whole slices."""
    if source.standard is None:
        return maps
    return in_source(maps, source.standard.affine[indices], _MAP_SIDE)


def _as_stored(maps: np.ndarray, series: Sequence[Slice]) -> np.ndarray:
    """Maps (m, rows, columns) turned back from the position that models see to that of the files."""
    turn = turn_of(series)
    return maps if turn.is_none else np.stack([turn.stored(heat) for heat in maps])


def _hemorrhage_score(output: tf.Tensor) -> tf.Tensor:
    return output[:, 0]


@lru_cache(maxsize=4)
def _differentiated_chain(
    model: keras.Model, feature_layer: str
) -> tf.types.experimental.GenericFunction:
    """Compiled function from (_BATCH, size, size, 3) to maps, for a chain that ends in a sigmoid."""
    convolution = model.get_layer(feature_layer)
    features = keras.Model(model.inputs, convolution.output)
    *hidden, last = model.layers[model.layers.index(convolution) + 1 :]

    @tf.function
    def maps(images: tf.Tensor) -> tf.Tensor:
        activations = features(images, training=False)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            x = activations
            for layer in hidden:
                x = layer(x, training=False)
            score = tf.matmul(x, last.kernel) + last.bias
        return _weighted(activations, tape.gradient(score, activations))

    return maps


@lru_cache(maxsize=4)
def _differentiated_graph(
    model: keras.Model, feature_layer: str, score_layer: str
) -> tf.types.experimental.GenericFunction:
    """The same for a network whose features reach the score on more than one way."""
    outputs = [model.get_layer(feature_layer).output, model.get_layer(score_layer).output]
    both = keras.Model(model.inputs, outputs)

    @tf.function
    def maps(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            activations, scores = both(images, training=False)
            score = scores[:, 0]
        return _weighted(activations, tape.gradient(score, activations))

    return maps


def _weighted(activations: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Grad-CAM, equations 1 and 2: channels weighted by their mean gradient, then ReLU."""
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
