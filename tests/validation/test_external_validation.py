"""Bundles on labelled sets: out-of-fold at home, their model elsewhere, never the other way."""

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
def home(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


@pytest.fixture(scope="module")
def away(blob_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Another hospital: the same kind of pictures, brighter, of other patients."""
    root = tmp_path_factory.mktemp("elsewhere") / "away"
    shutil.copytree(blob_folder, root)
    for file in root.rglob("*.png"):
        grey = np.asarray(Image.open(file)).astype(int)[::-1] + 10
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(file)
    return open_dataset(root)


@pytest.fixture(scope="module")
def bundles(home: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    alone = {patient: patient for patient in home.slices["patient"]}
    split = patient_split(home, alone)
    for family in ("svm", "logistic"):
        recipe = recipe_named(family, "paper")
        train_bundle(home, split, recipe, folder / family, report=lambda _: None)
    return [folder / "svm", folder / "logistic"]


def test_at_home_the_predictions_are_those_made_out_of_fold(
    home: Dataset, bundles: list[Path]
) -> None:
    found = compare_bundles(bundles, [home])
    own = pd.read_parquet(bundles[0] / PREDICTIONS).set_index("slice")["probability"]
    slices = found.slices.set_index("slice")
    assert np.array_equal(slices["svm"], own.reindex(slices.index))
    assert found.model("svm").origins == {home.root.name: "out-of-fold"}
    assert set(found.slices["fold"]) == set(range(5))
    knowing = load_bundle(bundles[0]).fitted.probabilities(home.grey(128))
    assert not np.allclose(slices["svm"].reindex(home.slices["slice"]), knowing)


def test_elsewhere_the_bundle_s_model_is_asked(
    home: Dataset, away: Dataset, bundles: list[Path]
) -> None:
    found = compare_bundles(bundles, [home, away])
    outside = found.slices[found.slices["set"] == "away"]
    model = load_bundle(bundles[1]).fitted
    expected = pd.Series(model.probabilities(away.grey(128)), away.slices["slice"])
    assert np.allclose(outside["logistic"], expected.reindex(outside["slice"]), atol=1e-6)
    assert set(outside["fold"]) == {NO_FOLD}
    assert found.model("logistic").origins["away"] == "outside"
    assert outside["group"].str.startswith("away/").all()
    splits = {row.split for row in evaluated_models(found)}
    assert splits == {"patient", "outside: away"}


def test_a_bundle_of_the_paper_split_is_refused(home: Dataset, tmp_path: Path) -> None:
    alone = {patient: patient for patient in home.slices["patient"]}
    split = paper_split(home, alone, "logistic")
    recipe = recipe_named("logistic", "paper")
    train_bundle(home, split, recipe, tmp_path / "leaky", report=lambda _: None)
    with pytest.raises(BundleError, match="figures leak"):
        compare_bundles([tmp_path / "leaky"], [home])


def test_one_bundle_twice_is_refused(home: Dataset, bundles: list[Path]) -> None:
    with pytest.raises(EvaluationError, match="both svm paper"):
        compare_bundles([bundles[0], bundles[0]], [home])


def test_bundles_of_unlike_splits_are_refused(
    home: Dataset, bundles: list[Path], tmp_path: Path
) -> None:
    alone = {patient: patient for patient in home.slices["patient"]}
    recipe = recipe_named("logistic", "paper")
    other = patient_split(home, alone, seed=1)
    train_bundle(home, other, recipe, tmp_path / "other", report=lambda _: None)
    with pytest.raises(EvaluationError, match="unlike splits"):
        compare_bundles([bundles[0], tmp_path / "other"], [home])


def test_the_command_writes_a_file_and_prints_the_table(
    home: Dataset, away: Dataset, bundles: list[Path], tmp_path: Path, capsys
) -> None:
    out = tmp_path / "c.parquet"
    data = ["--data", str(home.root), "--data", str(away.root)]
    assert main(["evaluate", *map(str, bundles), *data, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "outside: away" in printed
    assert "72 slices" in printed
    assert len(read_comparison(out, "c").slices) == 144


def test_a_file_without_a_set_is_refused(bundles: list[Path], tmp_path: Path, capsys) -> None:
    out = tmp_path / "c.parquet"
    assert main(["evaluate", str(bundles[0]), "--out", str(out)]) == 1
    assert "--out needs --data" in capsys.readouterr().err
    assert not out.exists()
