"""A training that is killed goes on from its last whole epoch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.splits import inner_validation, paper_split
from hemodetect.models.networks import BUILDERS
from hemodetect.models.recipes import NetworkRecipe, Recipe, recipe_named
from hemodetect.registry.bundle import COUNTS
from hemodetect.training.fitting import Run
from hemodetect.training.network_training import fit_network
from hemodetect.training.trainers import SliceTrainer

pytestmark = pytest.mark.usefixtures("uncompiled")

RECIPE = replace(recipe_named("cnn", "paper"), size=32, batch=32, depth=1)
EPOCHS = 4
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_network_training import trained
trained(Path(sys.argv[1]))
"""


def trained(work: Path, report=None, recipe: Recipe = RECIPE) -> tuple[np.ndarray, pd.DataFrame]:
    """Weights and history of a small training in `work`."""
    assert isinstance(recipe, NetworkRecipe)
    random = np.random.default_rng(0)
    labels = np.tile([0, 1], 20).astype(np.int8)
    grey = random.integers(0, 100, (40, 32, 32)).astype(np.uint8)
    grey[labels == 1, 8:20, 8:20] += 120
    validation = np.arange(40) % 5 == 0
    model, history = fit_network(
        recipe, grey, labels, validation, epochs=EPOCHS, seed=5, work=work, report=report
    )
    return np.concatenate([w.ravel() for w in model.get_weights()]), history


def test_a_failure_in_the_third_epoch_costs_no_finished_epoch_and_the_best_one_is_kept(
    tmp_path: Path,
) -> None:
    class Unplugged(Exception):
        pass

    def fail(epoch: int, _: dict[str, float]) -> None:
        if epoch == 1:
            raise Unplugged

    work = tmp_path / "cut"
    with pytest.raises(Unplugged):
        trained(work, fail)
    assert (work / "epoch-2.weights.h5").is_file()
    epochs: list[int] = []
    _, history = trained(work, lambda epoch, _: epochs.append(epoch))
    assert epochs == [2, 3]
    assert list(history["epoch"]) == [0, 1, 2, 3]
    best = history["epoch"][history["val_loss"].idxmin()]
    assert [file.name for file in work.glob("best-*.weights.h5")] == [f"best-{best}.weights.h5"]


@pytest.mark.long
def test_a_killed_process_goes_on_and_ends_with_a_whole_history(tmp_path: Path) -> None:
    work = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(work), str(Path(__file__).parent)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        deadline = time.monotonic() + 120
        while not list(work.glob("epoch-*.weights.h5")):
            assert process.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    weights, history = trained(work)
    assert list(history["epoch"]) == list(range(EPOCHS))
    assert np.isfinite(weights).all()


def test_without_early_stopping_every_epoch_is_trained_and_the_last_one_kept(
    tmp_path: Path,
) -> None:
    # So slow that nothing becomes better: stopped after the second epoch.
    restless = replace(RECIPE, learning_rate=1e-12, stop_patience=1)
    _, history = trained(tmp_path / "early", recipe=restless)
    assert len(history) < EPOCHS
    weights, history = trained(tmp_path / "whole", recipe=replace(restless, stop_patience=0))
    assert len(history) == EPOCHS
    assert history["val_loss"].idxmin() != EPOCHS - 1
    assert isinstance(RECIPE, NetworkRecipe)
    network = BUILDERS[RECIPE.family](RECIPE)
    network.load_weights(tmp_path / "whole" / f"epoch-{EPOCHS}.weights.h5")
    last_epoch = np.concatenate([w.ravel() for w in network.get_weights()])
    np.testing.assert_array_equal(weights, last_epoch)


def test_a_network_trained_in_half_of_the_bits_predicts_in_float32(tmp_path: Path) -> None:
    assert isinstance(RECIPE, NetworkRecipe)
    recipe = replace(recipe_named("cnn", "paper"), size=32, depth=1, precision="bfloat16", batch=8)
    random = np.random.default_rng(0)
    labels = np.tile([0, 1], 20).astype(np.int8)
    grey = random.integers(0, 100, (40, 32, 32)).astype(np.uint8)
    model, history = fit_network(
        recipe, grey, labels, np.arange(40) % 5 == 0, epochs=1, seed=5, work=tmp_path
    )
    assert np.isfinite(history["loss"]).all()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_under_the_paper_split_the_test_slices_are_watched_and_none_set_aside(
    blob_folder: Path, tmp_path: Path
) -> None:
    blobs = open_dataset(blob_folder)
    split = paper_split(blobs, {name: name for name in blobs.slices["patient"]}, "cnn")
    test = split.test_mask(blobs.slices, 0)
    recipe = replace(recipe_named("cnn", "paper"), depth=1)
    fit = SliceTrainer(blobs, split, recipe).fit(~test, Run(tmp_path, lambda _: None, epochs=1))
    counts = fit.history[[f"val_{name}" for name in COUNTS]].iloc[0]
    assert counts.sum() == test.sum()


def test_validation_patients_of_both_classes_are_set_aside_whole() -> None:
    slices = pd.DataFrame(
        {
            "slice": [f"{i}" for i in range(80)],
            "patient": [f"p{i // 4}" for i in range(80)],
            "label": [i // 4 % 2 for i in range(80)],
        }
    )
    groups = {f"p{i}": f"p{i - i % 2 if i > 15 else i}" for i in range(20)}
    groups |= {"p17": "p17", "p19": "p19"}
    aside = inner_validation(slices, groups, 0.2, seed=0)
    validation = slices[aside]
    training = slices[~aside]
    assert set(validation["label"]) == {0, 1}
    assert not set(validation["patient"].map(groups)) & set(training["patient"].map(groups))
