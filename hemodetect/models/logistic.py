"""Logistic regression on all pixels, fitted in the row space of the training slices.

The weights of an L2-penalised fit are a combination of the training slices (the representer
theorem), so with L L' the Cholesky factorisation of their Gram matrix, the fit on the n x n features
L has the same penalty and the same decision values as the one on 49,152 features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.linear_model import LogisticRegression

from hemodetect.models.calibration import Sigmoid, calibrated
from hemodetect.models.gram import CHANNELS, PixelScale, gram_matrix
from hemodetect.models.interface import Fit, Run, SeriesPrediction, Shared, TrainingSet, by_mean
from hemodetect.models.recipes import KernelRecipe, Recipe
from hemodetect.models.weight_files import read_arrays, write_arrays

WEIGHTS = "model.skops"
RIDGE = 1e-8
"""Added to the Gram matrix, relative to its mean diagonal: identical slices make it singular."""
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """Weights (pixels,) float32 on standardised grey pixels, the three channels summed."""

    size: int
    pixel_scale: PixelScale
    weights: np.ndarray
    intercept: float
    sigmoid: Sigmoid

    def decisions(self, grey: np.ndarray) -> np.ndarray:
        """(n,) log-odds before calibration, for (n, size, size) uint8."""
        features = self.pixel_scale.standardised(grey)
        return (features @ self.weights).astype(np.float64) + self.intercept

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        return self.sigmoid.probabilities(self.decisions(grey))

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        return by_mean(self.probabilities(grey))

    def save(self, folder: Path) -> None:
        write_arrays(
            folder / WEIGHTS,
            {
                "mean": self.pixel_scale.mean.astype(np.float32),
                "scale": self.pixel_scale.scale.astype(np.float32),
                "weights": self.weights,
                "numbers": np.array([self.intercept, self.sigmoid.slope, self.sigmoid.offset]),
            },
        )


def row_space_fit(
    gram: np.ndarray, labels: np.ndarray, recipe: KernelRecipe, tol: float = TOLERANCE
) -> tuple[np.ndarray, float, int]:
    """Coefficients (n,) of the training slices, the intercept, and the iterations taken.

    Args:
        gram: (n, n) inner products of the training slices.
        labels: (n,) 0 or 1.
        tol: lbfgs stops where the largest gradient is below it.
    """
    ridged = gram + np.diag(np.full(len(gram), RIDGE * np.trace(gram) / len(gram)))
    lower = cholesky(ridged, lower=True, overwrite_a=True, check_finite=False)
    fitted = LogisticRegression(C=recipe.regularisation, max_iter=recipe.max_iter, tol=tol)
    fitted.fit(lower, labels)
    coefficients = solve_triangular(lower, fitted.coef_[0], trans="T", lower=True)
    return coefficients, float(fitted.intercept_[0]), int(fitted.n_iter_[0])


class LogisticFamily:
    """Fits and loads the logistic regression."""

    weights_name = WEIGHTS

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        assert isinstance(recipe, KernelRecipe)
        labels = training.labels
        pixel_scale = PixelScale.of(training.grey)
        standardised = pixel_scale.standardised(training.grey)
        gram = gram_matrix(standardised)
        coefficients, intercept, iterations = row_space_fit(gram, labels, recipe)
        run.report(f"fitted in {iterations} iterations")

        def decide(train: np.ndarray, test: np.ndarray) -> np.ndarray:
            inner, constant, _ = row_space_fit(gram[np.ix_(train, train)], labels[train], recipe)
            return gram[np.ix_(test, train)] @ inner + constant

        sigmoid = calibrated(labels, training.units, decide, run.seed)
        run.report("calibrated")
        weights = CHANNELS * (standardised.T @ coefficients.astype(np.float32))
        model = LogisticModel(recipe.size, pixel_scale, weights, intercept, sigmoid)
        return Fit(model, notes={"iterations": float(iterations)})

    def load(self, folder: Path, recipe: Recipe) -> LogisticModel:
        assert isinstance(recipe, KernelRecipe)
        arrays = read_arrays(folder / WEIGHTS)
        intercept, slope, offset = (float(x) for x in arrays["numbers"])
        pixel_scale = PixelScale(arrays["mean"], arrays["scale"])
        return LogisticModel(
            recipe.size, pixel_scale, arrays["weights"], intercept, Sigmoid(slope, offset)
        )
