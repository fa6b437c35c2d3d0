"""Heat maps of the CNN, against tf-keras-vis."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

from hemodetect.explain.heat_maps import grad_cam_maps, slice_map
from hemodetect.models.heat_map_source import HeatMapSource
from hemodetect.models.interface import GRADIENT_METHODS
from hemodetect.models.networks import LAST_CONVOLUTION, cnn, network_input
from hemodetect.models.recipes import NetworkRecipe


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """An untrained network. Its dense weights are positive, so that no map is empty."""
    keras.utils.set_random_seed(2)
    model = cnn(NetworkRecipe("cnn", "small", size=128, depth=5))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([np.abs(weights) for weights in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (5, 16, 16))
    return np.kron(coarse, np.ones((8, 8))).astype(np.uint8)


def source_of(network: keras.Model, slices: np.ndarray) -> HeatMapSource:
    return HeatMapSource(network, network_input(network, slices), LAST_CONVOLUTION)


def test_maps_of_a_study_equal_those_of_tf_keras_vis(network, slices) -> None:
    maps = grad_cam_maps(source_of(network, slices))
    assert maps.shape == (5, 4, 4)
    assert maps.max(axis=(1, 2)).min() > 0
    theirs = Gradcam(network, model_modifier=ReplaceToLinear(), clone=True)(
        lambda output: output[:, 0],
        network_input(network, slices),
        penultimate_layer=LAST_CONVOLUTION,
        expand_cam=False,
        normalize_cam=False,
    )
    np.testing.assert_allclose(maps, theirs, rtol=1e-4, atol=1e-7)


def test_a_saturated_network_still_gives_a_map(network, slices) -> None:
    saturated = keras.models.clone_model(network)
    saturated.set_weights(network.get_weights())
    last = saturated.get_layer("probability")
    last.set_weights([w * 1e4 + 1e3 * (w.ndim == 1) for w in last.get_weights()])
    probability = float(
        saturated.predict_on_batch(np.repeat(slices[:1, ..., None] / 255, 3, -1))[0, 0]
    )
    assert probability in (0.0, 1.0)
    assert grad_cam_maps(source_of(saturated, slices)).max() > 0


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_every_method_gives_a_map_of_the_slice(network, slices, method) -> None:
    heat_map = slice_map(source_of(network, slices), 0, method)
    assert heat_map.shape == (128, 128)
    assert heat_map.dtype == np.float32
    assert heat_map.min() >= 0
    assert np.isfinite(heat_map).all()
