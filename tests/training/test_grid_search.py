"""The search finds what separates the classes; no fold's choice or figures use its own labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import Split, paper_split, patient_split
from hemodetect.reports.search import search_text
from hemodetect.training.grid_search import (
    GAMMAS,
    KERNELS,
    PENALTIES,
    _search_fold,
    grid_of,
    search,
)
from hemodetect.training.search_results import KernelSetting, SearchError

POINTS = (
    KernelSetting("rbf", 1.0, 1.0),
    KernelSetting("rbf", 10.0, 0.1),
    KernelSetting("linear", 0.01),
)


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


@pytest.fixture(scope="module")
def split(blobs: Dataset) -> Split:
    return patient_split(blobs, {p: p for p in blobs.slices["patient"]}, folds=2)


def quiet(line: str) -> None:
    pass


def test_the_grid_has_every_kernel_penalty_and_gamma() -> None:
    grid = grid_of("svm")
    assert len(set(grid)) == len(grid) == 2 * len(PENALTIES) * len(GAMMAS) + len(PENALTIES)
    assert {s.kernel for s in grid} == set(KERNELS)
    assert len(grid_of("logistic")) == len(PENALTIES)
    with pytest.raises(SearchError, match="only the SVM"):
        grid_of("cnn")


@pytest.mark.parametrize("family", ["svm", "logistic"])
def test_a_search_finds_what_separates_and_writes_it_down(
    family: str, blobs: Dataset, split: Split, tmp_path: Path
) -> None:
    grid = (
        POINTS if family == "svm" else (KernelSetting("linear", 0.01), KernelSetting("linear", 1.0))
    )
    result = search(blobs, split, family, grid=grid, workers=1, report=quiet)
    assert result.auroc_patient.value > 0.9
    assert [s.setting for s in result.grid] == list(grid)
    assert len(result.chosen) == 2
    assert result.fits == 2 * len(grid) * 5
    result.write(tmp_path / "search.json")
    assert json.loads((tmp_path / "search.json").read_text())["fits"] == result.fits
    assert f"{result.fits} fits" in search_text(result)


def test_labels_of_a_fold_s_patients_change_neither_its_choice_nor_its_figures(
    blobs: Dataset, split: Split
) -> None:
    test = split.test_mask(blobs.slices, 0)
    table = blobs.slices.copy()
    table.loc[test, "label"] = 1 - table.loc[test, "label"]
    original = _search_fold(blobs, split, "svm", POINTS, 0)
    changed = _search_fold(replace(blobs, slices=table), split, "svm", POINTS, 0)
    assert original.chosen == changed.chosen
    np.testing.assert_array_equal(original.ranks, changed.ranks)


def test_a_split_that_leaks_is_refused(blobs: Dataset) -> None:
    leaky = paper_split(blobs, {p: p for p in blobs.slices["patient"]}, "svm")
    with pytest.raises(SearchError, match="patient split"):
        search(blobs, leaky, "svm", grid=POINTS, workers=1, report=quiet)
