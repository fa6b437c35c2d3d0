"""Bundles predict out-of-fold on the set they were trained on, and with their model on others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hemodetect.cli import main
from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import paper_split, patient_split
from hemodetect.errors import BundleError
from hemodetect.evaluation import EvaluationError
from hemodetect.evaluation.comparison import NO_FOLD
from hemodetect.evaluation.comparison_file import read_comparison
from hemodetect.models.recipes import recipe_named
from hemodetect.registry.bundle import PREDICTIONS
from hemodetect.registry.releases import load_bundle
from hemodetect.training.train import train_bundle
from hemodetect.validation.bundle_scores import evaluated_models
from hemodetect.validation.external_validation import compare_bundles


@pytest.fixture(scope="module")
def training_set(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


@pytest.fixture(scope="module")
def external_set(blob_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Another hospital: the same kind of pictures, brighter, of other patients."""
    root = tmp_path_factory.mktemp("data") / "hospital"
    shutil.copytree(blob_folder, root)
    for file in root.rglob("*.png"):
        grey = np.asarray(Image.open(file)).astype(int)[::-1] + 10
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(file)
    return open_dataset(root)


@pytest.fixture(scope="module")
def bundles(training_set: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    singles = {patient: patient for patient in training_set.slices["patient"]}
    split = patient_split(training_set, singles)
    for family in ("svm", "logistic"):
        recipe = recipe_named(family, "paper")
        train_bundle(training_set, split, recipe, folder / family, report=lambda _: None)
    return [folder / "svm", folder / "logistic"]


def test_on_the_training_set_the_predictions_are_out_of_fold(
    training_set: Dataset, bundles: list[Path]
) -> None:
    comparison = compare_bundles(bundles, [training_set])
    predictions = pd.read_parquet(bundles[0] / PREDICTIONS).set_index("slice")["probability"]
    slices = comparison.slices.set_index("slice")
    assert np.array_equal(slices["svm"], predictions.reindex(slices.index))
    assert comparison.model("svm").origins == {training_set.root.name: "out-of-fold"}
    assert set(comparison.slices["fold"]) == set(range(5))
    in_sample = load_bundle(bundles[0]).fitted.probabilities(training_set.grey(128))
    assert not np.allclose(slices["svm"].reindex(training_set.slices["slice"]), in_sample)


def test_on_an_external_set_the_model_of_the_bundle_predicts(
    training_set: Dataset, external_set: Dataset, bundles: list[Path]
) -> None:
    comparison = compare_bundles(bundles, [training_set, external_set])
    external = comparison.slices[comparison.slices["set"] == "hospital"]
    model = load_bundle(bundles[1]).fitted
    expected = pd.Series(model.probabilities(external_set.grey(128)), external_set.slices["slice"])
    assert np.allclose(external["logistic"], expected.reindex(external["slice"]), atol=1e-6)
    assert set(external["fold"]) == {NO_FOLD}
    assert comparison.model("logistic").origins["hospital"] == "outside"
    assert external["group"].str.startswith("hospital/").all()
    splits = {row.split for row in evaluated_models(comparison)}
    assert splits == {"patient", "external: hospital"}


def test_a_bundle_of_the_paper_split_is_refused(training_set: Dataset, tmp_path: Path) -> None:
    singles = {patient: patient for patient in training_set.slices["patient"]}
    split = paper_split(training_set, singles, "logistic")
    recipe = recipe_named("logistic", "paper")
    train_bundle(training_set, split, recipe, tmp_path / "leaky", report=lambda _: None)
    with pytest.raises(BundleError, match="figures leak"):
        compare_bundles([tmp_path / "leaky"], [training_set])


def test_one_bundle_twice_is_refused(training_set: Dataset, bundles: list[Path]) -> None:
    with pytest.raises(EvaluationError, match="both svm paper"):
        compare_bundles([bundles[0], bundles[0]], [training_set])


def test_bundles_of_different_splits_are_refused(
    training_set: Dataset, bundles: list[Path], tmp_path: Path
) -> None:
    singles = {patient: patient for patient in training_set.slices["patient"]}
    recipe = recipe_named("logistic", "paper")
    other = patient_split(training_set, singles, seed=1)
    train_bundle(training_set, other, recipe, tmp_path / "other", report=lambda _: None)
    with pytest.raises(EvaluationError, match="different splits"):
        compare_bundles([bundles[0], tmp_path / "other"], [training_set])


def test_the_command_writes_a_file_and_prints_the_table(
    training_set: Dataset, external_set: Dataset, bundles: list[Path], tmp_path: Path, capsys
) -> None:
    out = tmp_path / "c.parquet"
    data = ["--data", str(training_set.root), "--data", str(external_set.root)]
    assert main(["evaluate", *map(str, bundles), *data, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "external: hospital" in printed
    assert "72 slices" in printed
    assert len(read_comparison(out, "c").slices) == 144


def test_a_file_without_a_set_is_refused(bundles: list[Path], tmp_path: Path, capsys) -> None:
    out = tmp_path / "c.parquet"
    assert main(["evaluate", str(bundles[0]), "--out", str(out)]) == 1
    assert "--out needs --data" in capsys.readouterr().err
    assert not out.exists()
