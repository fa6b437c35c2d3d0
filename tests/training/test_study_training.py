"""Models that judge a study: from a teacher's set and one of their own to a bundle that is honest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_skulls import drawn_series
from PIL import Image

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import Split, patient_split
from hemodetect.errors import BundleError
from hemodetect.models.recipes import RECIPES, StudyRecipe, recipe_named
from hemodetect.registry.bundle import PREDICTIONS, TEACHER_PREDICTIONS, read_card
from hemodetect.registry.releases import load_bundle
from hemodetect.training.study_training import train_study_bundle
from hemodetect.training.train import train_bundle
from hemodetect.validation.external_validation import compare_bundles

PATIENTS = 20


def drawn_set(root: Path, seed: int) -> Dataset:
    """Normal and bleeding patients of three slices each."""
    for patient in range(PATIENTS):
        folder = root / ("Hemorrhagic" if patient % 2 else "NORMAL") / f"P{seed + patient}"
        folder.mkdir(parents=True)
        pictures = drawn_series(3, seed + patient, bleed=patient % 2 == 1)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{number + 1}.png")
    return open_dataset(root)


def split_of(dataset: Dataset, folds: int) -> Split:
    return patient_split(dataset, {p: p for p in dataset.slices["patient"]}, folds=folds)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("home"), 0)


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("school"), 500)


@pytest.fixture(scope="module")
def teacher(school: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "blood"
    tiny = replace(recipe_named("cnn", "blood"), epochs=1, steps=2, batch=8, bleeding=2, painted=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, ("cnn", "blood"), tiny)
        train_bundle(school, split_of(school, 2), tiny, out, report=lambda _: None)
    return out


def study(family: str) -> StudyRecipe:
    found = recipe_named(family, "study")
    assert isinstance(found, StudyRecipe)
    return found


@pytest.mark.timeout(600)  # trains the teacher: a minute alone, four beside other work
def test_every_slice_of_both_sets_is_predicted_by_what_never_saw_the_patient(
    home: Dataset, school: Dataset, teacher: Path, tmp_path: Path
) -> None:
    out, split = tmp_path / "logistic", split_of(home, 2)
    card = train_study_bundle(
        home, split, study("logistic"), teacher, school, out, report=lambda _: None
    )
    assert read_card(out) == card
    assert card.cannot_tell is not None
    own, teachers = (pd.read_parquet(out / name) for name in (PREDICTIONS, TEACHER_PREDICTIONS))
    assert sorted(own["slice"]) == sorted(home.slices["slice"])
    assert sorted(teachers["slice"]) == sorted(school.slices["slice"])
    assert (own.groupby("patient")["patient_probability"].nunique() == 1).all()
    # The released model knows all patients, so it answers otherwise than out of fold.
    grey = home.grey(244)[:3]
    assert load_bundle(out).predict_inputs(grey, {}).patient != pytest.approx(
        float(own["patient_probability"].iloc[0]), abs=1e-6
    )
    found = compare_bundles([out], [home, school])
    assert set(found.model("logistic").origins.values()) == {"out-of-fold"}
    by_patient = found.cases("patient").set_index(["set", "patient"])["logistic"]
    first = own.iloc[0]
    assert by_patient[home.root.name, first["patient"]] == first["patient_probability"]


def test_models_of_one_teacher_share_what_it_finds(
    home: Dataset, school: Dataset, teacher: Path, tmp_path: Path
) -> None:
    for family in ("cnn", "logistic"):
        train_study_bundle(
            home, split_of(home, 2), study(family), teacher, school, tmp_path / family,
            report=lambda _: None,
        )  # fmt: skip
    one, other = (load_bundle(tmp_path / family) for family in ("cnn", "logistic"))
    shared: dict = {}
    one.predict_inputs(home.grey(244)[:3], shared)
    found = {key: id(value) for key, value in shared.items()}
    other.predict_inputs(home.grey(244)[:3], shared)
    assert {key: id(value) for key, value in shared.items()} == found


def test_a_teacher_that_knows_the_patients_is_refused(
    home: Dataset, school: Dataset, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="patients it knows"):
        train_study_bundle(
            school, split_of(school, 2), study("cnn"), teacher, school, tmp_path / "x"
        )
    with pytest.raises(BundleError, match="was not trained on"):
        train_study_bundle(home, split_of(home, 2), study("cnn"), teacher, home, tmp_path / "x")


def test_shuffled_labels_change_the_predictions_only_through_training(
    home: Dataset, school: Dataset, teacher: Path, tmp_path: Path
) -> None:
    split = split_of(home, 2)
    train_study_bundle(
        home, split, study("logistic"), teacher, school, tmp_path / "a", report=lambda _: None
    )
    test = split.test_mask(home.slices, 0)
    table = home.slices.copy()
    table.loc[test, "label"] = 1 - table.loc[test, "label"]
    changed = replace(home, slices=table)
    train_study_bundle(
        changed, split, study("logistic"), teacher, school, tmp_path / "b", report=lambda _: None
    )
    one, other = (pd.read_parquet(tmp_path / n / PREDICTIONS) for n in "ab")
    tested = (one["fold"] == 0).to_numpy()
    columns = ["probability", "patient_probability"]
    np.testing.assert_array_equal(one.loc[tested, columns], other.loc[tested, columns])
    assert not np.array_equal(one.loc[~tested, columns], other.loc[~tested, columns])


def test_two_sets_that_share_a_picture_are_refused(
    home: Dataset, school: Dataset, teacher: Path, tmp_path: Path
) -> None:
    table = home.slices.copy()
    table.loc[table.index[0], "sha256"] = school.slices["sha256"].iloc[0]
    with pytest.raises(BundleError, match="share 1 files"):
        train_study_bundle(
            replace(home, slices=table), split_of(home, 2), study("cnn"), teacher, school,
            tmp_path / "x",
        )  # fmt: skip
