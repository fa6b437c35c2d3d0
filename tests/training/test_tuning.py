"""Tuning a network: nested folds, poor trials ended early, continued after a kill, and recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import Split, paper_split, patient_split
from hemodetect.errors import BundleError
from hemodetect.models.networks import BUILDERS
from hemodetect.models.recipes import NetworkRecipe, recipe_named
from hemodetect.reports.search import tuning_text
from hemodetect.training.fitting import Run
from hemodetect.training.search_results import SearchError, Tuning
from hemodetect.training.tuning import tune

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


@pytest.fixture(scope="module")
def split(blobs: Dataset) -> Split:
    return patient_split(blobs, {p: p for p in blobs.slices["patient"]}, folds=2)


@pytest.fixture(scope="module")
def recipe() -> NetworkRecipe:
    published = recipe_named("rnn", "paper")
    assert isinstance(published, NetworkRecipe)
    return published


@pytest.fixture(scope="module", autouse=True)
def _fast_network() -> Iterator[None]:
    """Dense layers in place of LSTMs, without compiling, which takes seconds for each trial."""

    def dense(recipe: NetworkRecipe) -> keras.Model:
        image = keras.Input((recipe.size, recipe.size))
        x = keras.layers.Flatten()(keras.layers.MaxPooling1D(8)(image))
        for _ in range(recipe.depth):
            x = keras.layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(recipe.l2))(
                x
            )
            x = keras.layers.Dropout(recipe.dropout)(x)
        return keras.Model(image, keras.layers.Dense(1, "sigmoid")(x))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUILDERS, "rnn", dense)
        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)


def run(work: Path, lines: list[str] | None = None) -> Run:
    return Run(work, (lines if lines is not None else []).append, epochs=2)


class CutOff(Exception):
    """The power fails."""


@pytest.fixture(scope="module")
def tuning(
    blobs: Dataset, split: Split, recipe: NetworkRecipe, tmp_path_factory: pytest.TempPathFactory
) -> Tuning:
    return tune(blobs, split, recipe, run(tmp_path_factory.mktemp("tuning")), trials=3)


def test_each_fold_tries_the_published_setting_first_and_takes_what_is_worth_most(
    tuning: Tuning, recipe: NetworkRecipe
) -> None:
    assert [trial.fold for trial in tuning.trials] == [0, 0, 0, 1, 1, 1]
    for fold, chosen in enumerate(tuning.chosen):
        of_fold = [trial for trial in tuning.trials if trial.fold == fold]
        first = of_fold[0]
        assert (first.learning_rate, first.dropout, first.l2, first.depth) == (
            recipe.learning_rate, recipe.dropout, recipe.l2, recipe.depth,
        )  # fmt: skip
        completed = [trial.auroc or 0.0 for trial in of_fold if not trial.pruned]
        assert tuning.trials[chosen].auroc == max(completed)
        assert all(trial.epochs == 2 for trial in of_fold if not trial.pruned)


def test_labels_of_a_fold_s_test_patients_change_none_of_its_trials(
    blobs: Dataset, split: Split, recipe: NetworkRecipe, tuning: Tuning, tmp_path: Path
) -> None:
    table = blobs.slices.copy()
    test = split.test_mask(blobs.slices, 0)
    table.loc[test, "label"] = 1 - table.loc[test, "label"]
    other = tune(replace(blobs, slices=table), split, recipe, run(tmp_path), trials=3)
    first = [trial for trial in tuning.trials if trial.fold == 0]
    assert [trial for trial in other.trials if trial.fold == 0] == first
    assert other.tuned_slice != tuning.tuned_slice


def test_a_tuning_that_was_cut_off_keeps_its_trials_and_goes_on_from_the_last_epoch(
    blobs: Dataset,
    split: Split,
    recipe: NetworkRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hemodetect.training import tuning as module

    fits = []

    def cut_off_in_the_second(*args: object, **options: object):
        fits.append(options["work"])
        if len(fits) == 2:

            def stop(epoch: int, figures: dict[str, float]) -> None:
                raise CutOff

            options["report"] = stop
        return fit(*args, **options)

    fit = module.fit_network
    monkeypatch.setattr(module, "fit_network", cut_off_in_the_second)
    with pytest.raises(CutOff):
        tune(blobs, split, recipe, run(tmp_path), trials=3)
    lines: list[str] = []
    tuned = tune(blobs, split, recipe, run(tmp_path, lines), trials=3)
    assert lines[0] == "fold 1 of 2: 2 of 3 trials searched"
    assert fits[2] == fits[1]  # the same setting, in the same place, where an epoch is done
    assert [trial.fold for trial in tuned.trials] == [0, 0, 0, 1, 1, 1]
    assert tuned.trials[1].epochs == 2


def test_a_network_that_falls_behind_is_given_up_early(
    blobs: Dataset,
    split: Split,
    recipe: NetworkRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hemodetect.training import tuning as module

    monkeypatch.setattr(module, "_TRIALS_BEFORE_PRUNING", 1)
    monkeypatch.setattr(module, "_EPOCHS_BEFORE_PRUNING", 0)
    monkeypatch.setattr(module, "LEARNING_RATES", (1e-9, 1e-3))  # most of these learn nothing
    tuned = tune(blobs, split, recipe, Run(tmp_path, lambda _: None, epochs=4), trials=5)
    early = [trial for trial in tuned.trials if trial.pruned]
    assert early
    assert all(trial.epochs <= 4 and trial.auroc is not None for trial in early)
    assert any(trial.epochs < 4 for trial in early)
    assert not any(tuned.trials[index].pruned for index in tuned.chosen)


def test_another_tuning_s_state_and_a_split_that_leaks_are_refused(
    blobs: Dataset, split: Split, recipe: NetworkRecipe, tmp_path: Path
) -> None:
    leaky = paper_split(blobs, {p: p for p in blobs.slices["patient"]}, "rnn")
    with pytest.raises(SearchError, match="patient split"):
        tune(blobs, leaky, recipe, run(tmp_path), trials=2)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(BundleError, match="another data"):
        tune(blobs, split, recipe, run(tmp_path), trials=2)


def test_a_tuning_is_written_whole_and_described_in_words(tuning: Tuning, tmp_path: Path) -> None:
    tuning.write(tmp_path / "tuning.json")
    assert Tuning.read(tmp_path / "tuning.json") == tuning
    text = tuning_text(tuning)
    assert "6 trials of at most 2 epochs" in text
    assert f"{tuning.tuned_patient.value:.2f}" in text
    raw = json.loads((tmp_path / "tuning.json").read_text())
    assert {"worth", "given_up"} < set(raw["trials"][0])  # as in files of earlier versions
    (tmp_path / "tuning.json").write_text(json.dumps(raw | {"chosen": [0, 99]}))
    with pytest.raises(SearchError, match="holds no tuning"):
        Tuning.read(tmp_path / "tuning.json")
    assert np.isfinite(tuning.seconds)
