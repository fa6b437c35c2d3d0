"""Weights are stored at half their size, and a shared file of weights is found by its content."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.weight_files import (
    network_file,
    read_half,
    shared_file,
    write_arrays,
    write_half,
    write_rounded,
)

DIGEST = "a" * 64


def network(channels: int = 4) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(channels, 3)(image))
    return keras.Model(image, keras.layers.SeparableConv2D(1, 3)(x))


def test_a_network_in_half_its_size_answers_as_the_whole(tmp_path: Path) -> None:
    first, image = network(), np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    write_half(tmp_path / "w.skops", first)
    again = read_half(tmp_path / "w.skops", network())
    np.testing.assert_allclose(
        again.predict_on_batch(image), first.predict_on_batch(image), atol=2e-3
    )
    for one, other in zip(first.weights, again.weights, strict=True):
        if len(one.shape) < 2:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    write_half(tmp_path / "w.skops", network(5))
    with pytest.raises(BundleError, match="weights of another network"):
        read_half(tmp_path / "w.skops", network(4))


@pytest.mark.parametrize("lost", ["kernels", "vectors"])
def test_a_file_without_weights_is_refused(tmp_path: Path, lost: str) -> None:
    arrays = {"kernels": np.zeros(3, np.float16), "vectors": np.zeros(3, np.float32)}
    del arrays[lost]
    write_arrays(tmp_path / "w.skops", {**arrays, "other": np.zeros(3)})
    with pytest.raises(BundleError, match="holds no weights"):
        read_half(tmp_path / "w.skops", network())


def test_a_network_is_found_in_the_bundle_or_where_bundles_share_it(tmp_path: Path) -> None:
    folder = tmp_path / "releases" / "cnn"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"files": {"blood.skops": DIGEST}}))
    assert not network_file(folder, "blood.skops").is_file()
    shared = tmp_path / "networks" / f"{DIGEST}.skops"
    shared.parent.mkdir()
    shared.write_bytes(b"1")
    assert network_file(folder, "blood.skops") == shared.resolve()
    (folder / "blood.skops").write_bytes(b"2")
    assert network_file(folder, "blood.skops") == folder / "blood.skops"


@pytest.mark.parametrize("digest", ["../../secret", "", "A" * 64, "a" * 63])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    assert shared_file(tmp_path / "a" / "b", digest) is None


def test_a_link_is_no_shared_file(tmp_path: Path) -> None:
    (tmp_path / "networks").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"1")
    (tmp_path / "networks" / f"{DIGEST}.skops").symlink_to(tmp_path / "elsewhere")
    assert shared_file(tmp_path / "releases" / "cnn", DIGEST) is None


def test_a_bundle_without_a_card_has_no_shared_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing; get the bundle again"):
        network_file(tmp_path, "blood.skops")


def test_rounded_weights_are_the_same_within_a_step(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model, other = network(), network()
    write_rounded(tmp_path / "q.skops", model)
    read_half(tmp_path / "q.skops", other)
    for before, after in zip(model.get_weights(), other.get_weights(), strict=True):
        if before.ndim < 2:
            np.testing.assert_array_equal(before, after)
        else:
            assert np.abs(before - after).max() <= np.abs(before).max() / 1020
    with pytest.raises(BundleError, match="another network"):
        read_half(tmp_path / "q.skops", network(channels=5))
