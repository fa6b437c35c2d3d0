"""A new bundle is compared with the release on the same unseen patients, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import patient_split
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.models.recipes import recipe_named
from hemodetect.registry.bundle import PREDICTIONS, SPLIT, Card, write_bundle
from hemodetect.training.train import train_bundle
from hemodetect.validation.compare_with_release import compare_with_release, measured_with_release


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


def bundle(folder: Path, dataset: Dataset, right: float, seed: int, **card: object) -> Path:
    """A bundle of a model that is right for the share `right` of the patients."""
    alone = {patient: patient for patient in dataset.slices["patient"]}
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    patients = table["patient"].unique()
    wrong = set(np.random.default_rng(seed).permutation(patients)[round(right * len(patients)) :])
    calls = np.where(table["patient"].isin(wrong), 1 - table["label"], table["label"])
    table = table.assign(probability=(0.1 + 0.8 * calls).astype(np.float32))

    def fill(into: Path) -> None:
        table.sample(frac=1, random_state=seed).to_parquet(into / PREDICTIONS, index=False)
        patient_split(dataset, alone, seed=seed).write(into / SPLIT)

    def card_of(files: dict[str, str]) -> Card:
        values = {
            "family": "svm", "recipe": "paper", "split": "patient", "counts": {}, "seed": 0,
            "fingerprint": dataset.fingerprint, "epochs": None, "threshold": 0.5, "metrics": {},
            "threshold_reason": "as published", "seconds": {}, "versions": {}, "commit": "unknown",
            "created": "2026-01-02", "remarks": (),
        } | card  # fmt: skip
        return Card(files=files, **values)

    write_bundle(folder, fill, card_of)
    return folder


def test_the_better_bundle_is_found_to_be_better(blobs: Dataset, tmp_path: Path) -> None:
    good, bad = bundle(tmp_path / "a", blobs, 1.0, 1), bundle(tmp_path / "b", blobs, 0.25, 2)
    differences = compare_with_release(good, bad)
    assert differences["patient"].accuracy.value == pytest.approx(0.75)
    assert differences["patient"].accuracy.low > 0
    assert differences["slice"].accuracy.value == pytest.approx(0.75)
    reversed_differences = compare_with_release(bad, good)
    assert reversed_differences["slice"].auroc.value == pytest.approx(
        -differences["slice"].auroc.value
    )


def test_two_alike_have_no_difference(blobs: Dataset, tmp_path: Path) -> None:
    one, two = (bundle(tmp_path / name, blobs, 0.75, 3) for name in "ab")
    assert {d.accuracy.value for d in compare_with_release(one, two).values()} == {0.0}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"split": "paper"}, "no out-of-fold predictions"),
        ({"fingerprint": "0" * 16}, "different data"),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(
    blobs: Dataset, tmp_path: Path, change: dict[str, str], match: str
) -> None:
    good = bundle(tmp_path / "a", blobs, 1.0, 1)
    other = bundle(tmp_path / "b", blobs, 1.0, 1, **change)
    with pytest.raises(EvaluationError, match=match):
        compare_with_release(good, other)


def trained(dataset: Dataset, out: Path) -> Path:
    """A bundle of a logistic regression on a set."""
    alone = {patient: patient for patient in dataset.slices["patient"]}
    recipe = recipe_named("logistic", "paper")
    train_bundle(dataset, patient_split(dataset, alone), recipe, out, report=lambda _: None)
    return out


@pytest.mark.training
def test_bundles_of_different_data_are_measured_on_the_same_patients(
    blobs: Dataset, tmp_path: Path
) -> None:
    """The release was trained with wrong labels, on other patients; it reads the new bundle's set."""
    other = tmp_path / "other"
    for file in blobs.slices["file"]:
        label, patient, name = Path(file).parts
        wrong = "NORMAL" if label == "Hemorrhagic" else "Hemorrhagic"
        target = other / wrong / f"Q{patient}" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(blobs.root / file) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target)
    folders = [
        trained(blobs, tmp_path / "new"),
        trained(open_dataset(other), tmp_path / "release"),
    ]
    with pytest.raises(EvaluationError, match="different data"):
        compare_with_release(*folders)
    differences = measured_with_release(*folders, blobs)
    assert differences["patient"].auroc.value > 0.3
    assert differences["slice"].accuracy.value > 0.2


def test_a_bundle_that_knows_patients_of_the_set_by_another_set_is_not_measured(
    blobs: Dataset, tmp_path: Path
) -> None:
    """The release was trained on the same patients and one more."""
    more = tmp_path / "more"
    shutil.copytree(blobs.root, more)
    shutil.copytree(more / "NORMAL" / "P00", more / "NORMAL" / "P99")
    for number, file in enumerate(sorted((more / "NORMAL" / "P99").iterdir())):
        pixels = np.random.default_rng(number).integers(0, 200, (96, 96)).astype(np.uint8)
        Image.fromarray(pixels).save(file)
    folders = [
        trained(blobs, tmp_path / "new"),
        trained(open_dataset(more), tmp_path / "release"),
    ]
    with pytest.raises(EvaluationError, match=r"12 patients of .* in another set"):
        measured_with_release(*folders, blobs)
