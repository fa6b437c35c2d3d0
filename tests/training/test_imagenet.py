"""The trunk with ImageNet's weights recognises what a picture shows."""

from __future__ import annotations

import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from hemodetect.errors import HemodetectError
from hemodetect.models.blood_network import blood_network
from hemodetect.models.efficientnet import lite0
from hemodetect.training import imagenet
from hemodetect.training.imagenet import set_imagenet_weights

DAISY, BELL_COTE = 985, 442


@pytest.mark.parametrize(("name", "expected"), [("flower.jpg", DAISY), ("china.jpg", BELL_COTE)])
def test_a_picture_is_named_rightly(name: str, expected: int) -> None:
    image = keras.Input((224, 224, 3))
    trunk = keras.Model(image, lite0(image)[-1])
    set_imagenet_weights(trunk)
    picture = np.asarray(Image.fromarray(load_sample_image(name)).resize((224, 224)), np.float32)
    features = np.asarray(trunk.predict_on_batch(picture[None] / 127.5 - 1))[0]
    # The rest of the published network, which ours does not have.
    state = imagenet._state(Path(imagenet.weights_file()))
    x = features @ state["_conv_head.weight"][:, :, 0, 0].T - state["_bn1.running_mean"]
    x = x / np.sqrt(state["_bn1.running_var"] + 1e-3) * state["_bn1.weight"] + state["_bn1.bias"]
    classes = np.clip(x, 0, 6).mean(axis=(0, 1)) @ state["_fc.weight"].T + state["_fc.bias"]
    assert classes.argmax() == expected


def test_a_grey_image_counts_as_a_colour_picture_of_equal_channels() -> None:
    grey, colour = keras.Input((64, 64, 1)), keras.Input((64, 64, 3))
    networks = [keras.Model(image, lite0(image)[-1]) for image in (grey, colour)]
    for network in networks:
        set_imagenet_weights(network)
    image = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    one, three = networks
    np.testing.assert_allclose(
        one.predict_on_batch(image), three.predict_on_batch(np.repeat(image, 3, -1)), atol=1e-4
    )


def test_the_first_blocks_of_the_blood_network_keep_their_weights() -> None:
    frozen = {layer.name for layer in blood_network().layers if not layer.trainable}
    assert {"stem", "block0_project", "block2_depthwise"} <= frozen
    assert not any(name.startswith(("block3", "block10", "logits", "map")) for name in frozen)


def test_what_is_no_tensor_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(print))
    monkeypatch.setattr(imagenet, "weights_file", lambda: str(file))
    with pytest.raises(HemodetectError, match="not the weights"):
        set_imagenet_weights(blood_network())
