"""A network trained on two devices at once learns what it learns on one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from dataclasses import replace
from hemodetect.training.devices import data_parallel
from hemodetect.training.network_training import fit_network
from hemodetect.models.network_model import network_outputs
from hemodetect.models.recipes import recipe_named

with data_parallel(True) as parts:
    assert parts == 2
with data_parallel(False) as parts:
    assert parts == 1
random = np.random.default_rng(0)
grey = random.integers(60, 110, (80, 32, 32)).astype(np.uint8)
labels = np.arange(80) % 2
grey[labels == 1, 10:20, 10:20] = 240
recipe = replace(recipe_named("attention_rnn", "paper"), size=32, batch=16)
runs = {}
for name, parallel, stops in (("one", False, [4]), ("two", True, [2, 4])):
    work = Path(sys.argv[1]) / name
    for epochs in stops:  # the second one is cut off after two epochs, and continues
        model, history = fit_network(
            recipe, grey, labels, np.arange(80) % 5 == 0,
            epochs=epochs, seed=1, work=work, parallel=parallel,
        )
    outputs = network_outputs(model, grey)[0][:, 0]
    runs[name] = {
        "epochs": list(map(int, history["epoch"])),
        "loss": list(map(float, history["loss"])),
        "right": float(((outputs > 0.5) == labels).mean()),
    }
print(json.dumps(runs))
"""


@pytest.mark.long
def test_two_devices_learn_what_one_learns_and_go_on_after_a_cut(tmp_path: Path) -> None:
    # A process of its own: logical devices are made before TensorFlow is first used.
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    runs = json.loads(done.stdout.strip().splitlines()[-1])
    for run in runs.values():
        assert run["epochs"] == [0, 1, 2, 3]
    # The same batches and first weights; only dropout is drawn separately on each device.
    first, second = runs["one"]["loss"], runs["two"]["loss"]
    assert abs(first[0] - second[0]) < 0.1 * first[0]
    assert second[-1] < second[0]
    assert abs(runs["one"]["right"] - runs["two"]["right"]) < 0.2
