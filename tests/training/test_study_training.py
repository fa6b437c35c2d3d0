"""Models that judge a study: from a backbone's set and one of their own to a bundle that is honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_skulls import head_of_its_own
from PIL import Image

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import Split, patient_split
from hemodetect.errors import BundleError
from hemodetect.models import blood_model
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import RECIPES, StudyRecipe, recipe_named
from hemodetect.models.series_cache import SeriesCache
from hemodetect.preprocessing.standard_head import StandardSeries
from hemodetect.registry.bundle import BACKBONE_PREDICTIONS, PREDICTIONS, Card, read_card
from hemodetect.registry.releases import load_bundle
from hemodetect.training.train import train_bundle
from hemodetect.validation.external_validation import compare_bundles

PATIENTS = 20
pytestmark = [pytest.mark.long, pytest.mark.usefixtures("uncompiled")]


def drawn_set(root: Path, seed: int, slices: int = 9) -> Dataset:
    """Normal and bleeding patients."""
    for patient in range(PATIENTS):
        folder = root / ("Hemorrhagic" if patient % 2 else "NORMAL") / f"P{seed + patient}"
        folder.mkdir(parents=True)
        pictures = head_of_its_own(seed + patient, slices, bleed=patient % 2 == 1)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{number + 1}.png")
    return open_dataset(root)


@pytest.fixture(scope="module", autouse=True)
def _small_batches() -> Iterator[None]:
    """Series of three slices: a batch filled up to 32 would be read for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blood_model, "_BATCH", 4)
        yield


def split_of(dataset: Dataset, folds: int) -> Split:
    return patient_split(dataset, {p: p for p in dataset.slices["patient"]}, folds=folds)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("target"), 0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("source"), 500)


@pytest.fixture(scope="module")
def backbone(source: Dataset, tmp_path_factory: pytest.TempPathFactory, uncompiled: None) -> Path:
    out = tmp_path_factory.mktemp("backbone") / "blood"
    tiny = replace(recipe_named("cnn", "blood"), epochs=1, steps=2, batch=8, bleeding=2, painted=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, ("cnn", "blood"), tiny)
        train_bundle(source, split_of(source, 2), tiny, out, report=lambda _: None)
    return out


def study(family: str) -> StudyRecipe:
    found = recipe_named(family, "study")
    assert isinstance(found, StudyRecipe)
    return found


def study_bundle(
    target: Dataset,
    split: Split,
    recipe: StudyRecipe,
    backbone: Path,
    source: Dataset,
    out: Path,
    report: Callable[[str], None] = lambda _: None,
) -> Card:
    return train_bundle(
        target, split, recipe, out, backbone=backbone, backbone_data=source, report=report
    )  # fmt: skip


@pytest.mark.timeout(600)  # trains the backbone: a minute alone, four beside other work
def test_every_slice_of_both_sets_is_predicted_by_what_never_saw_the_patient(
    target: Dataset, source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    out, split = tmp_path / "logistic", split_of(target, 2)
    card = study_bundle(target, split, study("logistic"), backbone, source, out)
    assert read_card(out) == card
    assert card.cannot_tell is not None
    own, backbone_set = (
        pd.read_parquet(out / name) for name in (PREDICTIONS, BACKBONE_PREDICTIONS)
    )
    assert sorted(own["slice"]) == sorted(target.slices["slice"])
    assert sorted(backbone_set["slice"]) == sorted(source.slices["slice"])
    assert (own.groupby("patient")["patient_probability"].nunique() == 1).all()
    # The released model knows all patients, so it answers otherwise than out of fold.
    grey = target.grey(244)[:3]
    assert load_bundle(out).predict_inputs(grey).patient != pytest.approx(
        float(own["patient_probability"].iloc[0]), abs=1e-6
    )
    found = compare_bundles([out], [target, source])
    assert set(found.model("logistic").origins.values()) == {"out-of-fold"}
    by_patient = found.cases("patient").set_index(["set", "patient"])["logistic"]
    first = own.iloc[0]
    assert by_patient[target.root.name, first["patient"]] == first["patient_probability"]


def test_models_of_one_backbone_share_its_findings(
    target: Dataset,
    source: Dataset,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for family in ("cnn", "logistic"):
        study_bundle(
            target, split_of(target, 2), study(family), backbone, source, tmp_path / family,
        )  # fmt: skip
    first, second = (load_bundle(tmp_path / family) for family in ("cnn", "logistic"))
    readings, cache, grey = [], SeriesCache(), target.grey(244)[:3]
    read = BloodModel.findings

    def counted(model: BloodModel, series: StandardSeries) -> SliceFindings:
        readings.append(series)
        return read(model, series)

    monkeypatch.setattr(BloodModel, "findings", counted)
    first.predict_inputs(grey, cache)
    second.predict_inputs(grey, cache)
    assert len(readings) == 1
    second.predict_inputs(grey)
    assert len(readings) == 2


def test_a_training_that_was_cut_off_goes_on_with_the_next_fold(
    target: Dataset, source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    class CutOff(Exception):
        """The power fails."""

    def cut(line: str) -> None:
        if line.startswith("fold-0 of"):
            raise CutOff

    out, split, lines = tmp_path / "b", split_of(target, 2), list[str]()
    with pytest.raises(CutOff):
        study_bundle(target, split, study("cnn"), backbone, source, out, cut)
    study_bundle(target, split, study("cnn"), backbone, source, out, lines.append)
    assert "fold-0: trained" not in lines
    assert "fold-1: trained" in lines
    whole = study_bundle(target, split, study("cnn"), backbone, source, tmp_path / "whole")
    assert whole.metrics == read_card(out).metrics


def test_a_backbone_that_knows_the_patients_is_refused(
    target: Dataset, source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    other = patient_split(source, {p: p for p in source.slices["patient"]}, folds=2, seed=1)
    with pytest.raises(BundleError, match="know patients of other folds"):
        study_bundle(source, other, study("cnn"), backbone, source, tmp_path / "x")
    with pytest.raises(BundleError, match="was not trained on"):
        study_bundle(target, split_of(target, 2), study("cnn"), backbone, target, tmp_path / "x")


def test_shuffled_labels_change_the_predictions_only_through_training(
    target: Dataset, source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    split = split_of(target, 2)
    study_bundle(target, split, study("logistic"), backbone, source, tmp_path / "a")
    test = split.test_mask(target.slices, 0)
    table = target.slices.copy()
    table.loc[test, "label"] = 1 - table.loc[test, "label"]
    changed = replace(target, slices=table)
    study_bundle(changed, split, study("logistic"), backbone, source, tmp_path / "b")
    first, second = (pd.read_parquet(tmp_path / n / PREDICTIONS) for n in "ab")
    tested = (first["fold"] == 0).to_numpy()
    columns = ["probability", "patient_probability"]
    np.testing.assert_array_equal(first.loc[tested, columns], second.loc[tested, columns])
    assert not np.array_equal(first.loc[~tested, columns], second.loc[~tested, columns])


def test_without_another_set_a_model_is_built_on_the_backbone_s_own_folds(
    source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    out, split = tmp_path / "cnn", split_of(source, 2)
    card = study_bundle(source, split, study("cnn"), backbone, source, out)
    assert card.backbone_predictions is None
    own = pd.read_parquet(out / PREDICTIONS)
    assert sorted(own["slice"]) == sorted(source.slices["slice"])
    assert set(own["fold"]) == {0, 1}
    # Tested by head, scale and network of the fold, which is not what the model on all patients says.
    first = own["patient"].iloc[0]
    grey = source.grey(244)[(source.slices["patient"] == first).to_numpy()]
    assert load_bundle(out).predict_inputs(grey).patient != pytest.approx(
        float(own["patient_probability"].iloc[0]), abs=1e-6
    )


def test_a_set_with_a_patient_of_the_backbone_s_set_is_refused(
    source: Dataset, backbone: Path, tmp_path: Path
) -> None:
    """The patient is known by pixels: the copy is a JPEG under another name."""
    root = tmp_path / "copied"
    drawn_set(root, 1000, slices=9)
    for number, picture in enumerate(sorted((source.root / "NORMAL" / "P500").iterdir())):
        Image.open(picture).save(root / "NORMAL" / "P1000" / f"again-{number}.jpg", quality=90)
    for picture in (root / "NORMAL" / "P1000").glob("*.png"):
        picture.unlink()
    copied = open_dataset(root)
    with pytest.raises(BundleError, match=r"1 patients, .* are also in"):
        study_bundle(copied, split_of(copied, 2), study("cnn"), backbone, source, tmp_path / "x")
