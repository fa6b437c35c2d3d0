"""SVM and logistic regression by Gram matrix against scikit-learn on all 49,152 features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hemodetect.models.calibration import Sigmoid
from hemodetect.models.gram import CHANNELS, PixelScale, gram_matrix
from hemodetect.models.loading import load_model
from hemodetect.models.recipes import KernelRecipe, recipe_named
from hemodetect.training.calibration import calibrated
from hemodetect.training.fitting import Run, TrainingSet
from hemodetect.training.logistic_training import row_space_fit
from hemodetect.training.svm_training import exact_svm, projected
from hemodetect.training.trainers import fit_slices

SIZE = 128


@pytest.fixture(scope="module")
def slices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training slices, their labels, and unseen slices: smooth noise, labels hard to tell."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (190, 16, 16))
    grey = np.kron(coarse, np.ones((8, 8))) + random.normal(0, 12, (190, SIZE, SIZE))
    grey[:, :4] = 0  # pixels that never change, as in the border of every scan
    grey = np.clip(grey, 0, 255).astype(np.uint8)
    labels = (coarse[:, 4:9, 4:9].mean(axis=(1, 2)) + random.normal(0, 8, 190) > 127).astype(int)
    return grey[:150], labels[:150], grey[150:]


@pytest.fixture(scope="module")
def direct(slices: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The study's standardised features of training and unseen slices."""
    train, _, test = slices
    scaler = StandardScaler().fit(_flattened(train))
    return scaler.transform(_flattened(train)), scaler.transform(_flattened(test))


def _flattened(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.reshape(len(grey), -1, 1) / 255, CHANNELS, axis=2).reshape(len(grey), -1)


@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear"])
def test_svm_equals_the_direct_fit(slices, direct, kernel: str) -> None:
    train, labels, test = slices
    expected = SVC(kernel=kernel, tol=1e-6).fit(direct[0], labels).decision_function(direct[1])
    decisions = exact_svm(train, labels, kernel, 1.0, tol=1e-6).decisions(test)
    np.testing.assert_allclose(decisions, expected, atol=1e-3)
    np.testing.assert_array_equal(decisions > 0, expected > 0)


def test_logistic_regression_equals_the_direct_fit(slices, direct) -> None:
    train, labels, test = slices
    reference = LogisticRegression(max_iter=50_000, tol=1e-10).fit(direct[0], labels)
    expected = reference.decision_function(direct[1])
    scale = PixelScale.of(train)
    standardised = scale.standardised(train)
    recipe = replace(recipe_named("logistic", "paper"), max_iter=50_000)
    coefficients, intercept, _ = row_space_fit(gram_matrix(standardised), labels, recipe, tol=1e-10)
    weights = CHANNELS * (standardised.T @ coefficients)
    decisions = scale.standardised(test) @ weights + intercept
    np.testing.assert_allclose(decisions, expected, atol=1e-3)
    np.testing.assert_array_equal(decisions > 0, expected > 0)


def test_all_components_lose_nothing(slices) -> None:
    train, labels, _ = slices
    exact = exact_svm(train, labels, "rbf", 1.0)
    model = projected(exact, len(train), Sigmoid(1, 0), SIZE)
    np.testing.assert_allclose(model.decisions(train), exact.decisions(train), atol=5e-3)


@pytest.mark.parametrize("family", ["svm", "logistic"])
def test_a_saved_model_predicts_what_it_did_before(slices, tmp_path: Path, family: str) -> None:
    train, labels, test = slices
    table = pd.DataFrame(
        {
            "slice": [f"{i}.png" for i in range(150)],
            "patient": [str(i // 5) for i in range(150)],
            "label": labels,
        }
    )
    training = TrainingSet(train, table, {p: p for p in table["patient"]})
    settings = recipe_named(family, "paper")
    assert isinstance(settings, KernelRecipe)
    fit = fit_slices(training, settings, Run(tmp_path, report=lambda _: None))
    fit.model.save(tmp_path)
    again = load_model(tmp_path, settings)
    probabilities = again.predict(test).slices
    assert probabilities.dtype == np.float32
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    np.testing.assert_allclose(probabilities, fit.model.predict(test).slices, atol=1e-5)


def test_calibration_never_mixes_units_and_never_turns_a_model_round() -> None:
    labels = np.tile([0, 1], 30)
    units = np.repeat(np.arange(15), 4)
    splits: list[tuple[set[int], set[int]]] = []

    def worse_than_chance(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        splits.append((set(units[train]), set(units[test])))
        return 1.0 - 2.0 * labels[test]

    sigmoid = calibrated(labels, units, worse_than_chance, seed=0)
    assert splits
    assert all(not train & test for train, test in splits)
    assert sigmoid.slope > 0
    np.testing.assert_allclose(sigmoid.probabilities(np.zeros(1)), 0.5, atol=0.01)
