"""The study's architectures, and that a bundle moves between backends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.network_model import WEIGHTS, NetworkModel
from hemodetect.models.networks import BUILDERS, LAST_CONVOLUTION
from hemodetect.models.recipes import DEPTHS, NetworkRecipe, recipe_named

PARAMETERS = {"cnn": 1_705_153, "rnn": 316_289, "attention_rnn": 253_057}


@pytest.mark.parametrize("family", BUILDERS)
def test_a_network_has_the_studys_number_of_parameters(family: str) -> None:
    assert _network(family).keras_model.count_params() == PARAMETERS[family]


@pytest.mark.parametrize("family", BUILDERS)
def test_a_tuned_network_has_the_depth_dropout_and_penalty_that_were_asked_for(family: str) -> None:
    for depth in range(DEPTHS[family][0], DEPTHS[family][1] + 1):
        recipe = replace(_recipe(family), depth=depth, dropout=0.45, l2=0.003)
        model = BUILDERS[family](recipe)
        kind = keras.layers.Conv2D if family == "cnn" else keras.layers.LSTM
        repeated = [layer for layer in model.layers if isinstance(layer, kind)]
        assert len(repeated) == depth
        assert {round(float(layer.kernel_regularizer.l2), 6) for layer in repeated} == {0.003}
        rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        assert rates.count(0.45) == (depth - 1 if family == "cnn" else depth)
        if family == "cnn":
            assert repeated[-1].name == LAST_CONVOLUTION


def test_attention_weights_of_the_rows_sum_to_one() -> None:
    prediction = _network("attention_rnn").predict(_slices(244, 3))
    assert prediction.slices.shape == (3,)
    assert prediction.row_attention is not None
    assert prediction.row_attention.shape == (3, 244)
    np.testing.assert_allclose(prediction.row_attention.sum(axis=1), 1, rtol=1e-5)


def test_a_batch_that_is_not_full_changes_no_answer() -> None:
    network, slices = _network("rnn"), _slices(128, 35)
    together = network.probabilities(slices)
    alone = np.concatenate([network.probabilities(slices[i : i + 1]) for i in (0, 33, 34)])
    np.testing.assert_allclose(together[[0, 33, 34]], alone, atol=1e-6)


@pytest.fixture(scope="module")
def under_jax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each family: its saved network, slices, and what JAX computes of them."""
    pytest.importorskip("jax")
    root = tmp_path_factory.mktemp("jax")
    for family in BUILDERS:
        folder = root / family
        folder.mkdir()
        _network(family).save(folder)
        np.save(folder / "slices.npy", _slices(recipe_named(family, "paper").size, 2))
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "import keras; assert keras.backend.backend() == 'jax'\n"
        "from hemodetect.models.network_model import NetworkModel\n"
        "from hemodetect.models.recipes import recipe_named\n"
        "for folder in Path(sys.argv[1]).iterdir():\n"
        "    model = NetworkModel.load(folder, recipe_named(folder.name, 'paper'))\n"
        "    slices = np.load(folder / 'slices.npy')\n"
        "    np.save(folder / 'jax.npy', model.probabilities(slices))\n"
    )
    # One process for all: importing JAX takes longer than what is computed.
    subprocess.run(
        [sys.executable, "-c", code, str(root)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
        timeout=200,
    )
    return root


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("family", BUILDERS)
def test_a_saved_network_gives_the_same_under_jax(family: str, under_jax: Path) -> None:
    folder = under_jax / family
    np.testing.assert_allclose(
        np.load(folder / "jax.npy"),
        _network(family).probabilities(np.load(folder / "slices.npy")),
        atol=1e-4,
    )


def test_a_model_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    source = keras.Input((2,))
    poisoned = keras.Model(source, keras.layers.Lambda(lambda x: x + 1)(source))
    poisoned.save(tmp_path / WEIGHTS)
    with pytest.raises(BundleError, match=r"model.keras: cannot be loaded safely"):
        NetworkModel.load(tmp_path, recipe_named("cnn", "paper"))


def _network(family: str) -> NetworkModel:
    keras.utils.set_random_seed(1)
    return NetworkModel(BUILDERS[family](_recipe(family)))


def _recipe(family: str) -> NetworkRecipe:
    recipe = recipe_named(family, "paper")
    assert isinstance(recipe, NetworkRecipe)
    return recipe


def _slices(size: int, n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size)).astype(np.uint8)
