"""The study's own models are kept with rounded weights, and never become releases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import paper_split, patient_split
from hemodetect.errors import BundleError
from hemodetect.models.network_model import WEIGHTS
from hemodetect.models.recipes import recipe_named
from hemodetect.registry.promotion import promote
from hemodetect.registry.published import load_published, publish
from hemodetect.registry.releases import disc_slice, load_bundle
from hemodetect.storage.people import local_person
from hemodetect.training.train import train_bundle

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


def trained(blobs: Dataset, family: str, split: str, out: Path) -> Path:
    groups = {name: name for name in blobs.slices["patient"]}
    drawn = paper_split(blobs, groups, family) if split == "paper" else patient_split(blobs, groups)
    epochs = 1 if family == "attention_rnn" else None
    recipe = recipe_named(family, "paper")
    train_bundle(blobs, drawn, recipe, out, epochs=epochs, report=lambda _: None)
    return out


def test_a_published_network_answers_as_before_within_the_rounding(
    blobs: Dataset, tmp_path: Path
) -> None:
    bundle = trained(blobs, "attention_rnn", "paper", tmp_path / "bundle")
    card = publish(bundle, tmp_path / "artifacts")
    kept = tmp_path / "artifacts" / "published" / "attention_rnn"
    assert not (kept / WEIGHTS).exists()
    assert (kept / "model.skops").stat().st_size < 0.4 * (bundle / WEIGHTS).stat().st_size
    before, loaded = load_bundle(bundle), load_published(tmp_path / "artifacts")
    after = loaded.models["attention_rnn"]
    assert after.card == card
    first, second = before.predict([disc_slice()]), after.predict([disc_slice()])
    assert second.patient == pytest.approx(first.patient, abs=1e-3)
    assert second.row_attention is not None
    np.testing.assert_allclose(second.row_attention.sum(1), 1, rtol=1e-4)
    assert "no bundle here" in loaded.missing["svm"]
    with pytest.raises(BundleError, match="both sides of the split"):
        promote(kept, tmp_path, who=local_person("Eve"), why="better", check=load_bundle)


def test_only_the_recipe_and_the_split_of_the_study_are_published(
    blobs: Dataset, tmp_path: Path
) -> None:
    bundle = trained(blobs, "logistic", "patient", tmp_path / "bundle")
    with pytest.raises(BundleError, match="trained with --split paper"):
        publish(bundle, tmp_path)


def test_a_published_svm_answers_as_before(blobs: Dataset, tmp_path: Path) -> None:
    bundle = trained(blobs, "svm", "paper", tmp_path / "bundle")
    publish(bundle, tmp_path / "artifacts")
    grey = blobs.grey(128)[::6]
    before = load_bundle(bundle).predict_inputs(grey)
    after = load_published(tmp_path / "artifacts").models["svm"].predict_inputs(grey)
    np.testing.assert_allclose(after.slices, before.slices, atol=0.01)
    assert after.slices.std() > 0.01
