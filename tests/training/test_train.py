"""From a small data set to a bundle: whole, free of names, and never from a mixture of trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import paper_split, patient_split
from hemodetect.errors import BundleError
from hemodetect.models.recipes import recipe_named
from hemodetect.registry.bundle import PREDICTIONS
from hemodetect.registry.promotion import promote
from hemodetect.registry.releases import load_bundle
from hemodetect.storage.people import local_person
from hemodetect.training.crossfit import ON_ALL
from hemodetect.training.train import train_bundle, work_folder
from hemodetect.validation.bundle_scores import evaluated_bundle

RECIPE = recipe_named("svm", "paper")


class CutOff(Exception):
    """The power fails."""


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


@pytest.fixture(scope="module")
def alone(blobs: Dataset) -> dict[str, str]:
    return {patient: patient for patient in blobs.slices["patient"]}


def _stopped_after_first_fold(line: str) -> None:
    if line.startswith("fold-0 of"):
        raise CutOff


def test_a_patient_split_gives_a_model_and_predictions_of_every_slice(
    blobs: Dataset, alone: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "svm"
    card = train_bundle(blobs, patient_split(blobs, alone), RECIPE, out, report=lambda _: None)
    predictions = pd.read_parquet(out / PREDICTIONS)
    assert sorted(predictions["slice"]) == sorted(blobs.slices["slice"])
    assert set(card.seconds) == {*(f"fold-{i}" for i in range(5)), ON_ALL}
    assert load_bundle(out).card == card
    assert evaluated_bundle(out).slice_scores.n == 72
    assert not work_folder(out).exists()


def test_a_paper_split_gives_the_model_of_its_training_slices(
    blobs: Dataset, alone: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "svm"
    train_bundle(blobs, paper_split(blobs, alone, "svm"), RECIPE, out, report=lambda _: None)
    bundle = load_bundle(out)
    tested = pd.read_parquet(out / PREDICTIONS).set_index("slice")["probability"]
    rows = blobs.slices["slice"].isin(tested.index).to_numpy()
    answers = [
        bundle.predict_inputs(grey[None]).slices[0] for grey in blobs.grey(RECIPE.size)[rows]
    ]
    expected = tested.loc[blobs.slices.loc[rows, "slice"]]
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    with pytest.raises(BundleError, match="both sides of the split"):
        promote(
            out, tmp_path / "releases", who=local_person("Eve"), why="better", check=load_bundle
        )


@pytest.mark.parametrize("split", [patient_split, lambda d, g: paper_split(d, g, "svm")])
def test_no_folder_name_reaches_a_bundle(
    blobs: Dataset, alone: dict[str, str], tmp_path: Path, split
) -> None:
    out = tmp_path / "svm"
    train_bundle(blobs, split(blobs, alone), RECIPE, out, report=lambda _: None)
    folders = {Path(file).parent.name for file in blobs.slices["file"]}
    table = pd.read_parquet(out / PREDICTIONS).to_csv()
    written = table + "".join(f.read_text() for f in out.iterdir() if f.suffix in (".json", ".csv"))
    assert not [folder for folder in folders if folder in written]


def test_a_training_that_was_cut_off_trains_no_fold_twice(
    blobs: Dataset, alone: dict[str, str], tmp_path: Path
) -> None:
    split, out, lines = patient_split(blobs, alone), tmp_path / "svm", []
    with pytest.raises(CutOff):
        train_bundle(blobs, split, RECIPE, out, report=_stopped_after_first_fold)
    assert not out.exists()
    train_bundle(blobs, split, RECIPE, out, report=lines.append)
    assert not [line for line in lines if line.startswith("fold-0:")]
    assert [line for line in lines if line.startswith("fold-1:")]


def test_the_state_of_another_split_is_never_gone_on_from(
    blobs: Dataset, alone: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "svm"
    with pytest.raises(CutOff):
        train_bundle(
            blobs, patient_split(blobs, alone), RECIPE, out, report=_stopped_after_first_fold
        )
    other = patient_split(blobs, alone, seed=1)
    with pytest.raises(BundleError, match=r"svm\.work: holds an unfinished training with another"):
        train_bundle(blobs, other, RECIPE, out)
