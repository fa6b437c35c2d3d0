"""Fitting the logistic regression in the row space of the training slices.

The weights of an L2-penalised fit are a combination of the training slices (the representer
theorem), so with L L' the Cholesky factorisation of their Gram matrix, the fit on the n x n features
L has the same penalty and the same decision values as the one on 49,152 features.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.linear_model import LogisticRegression

from hemodetect.models.gram import CHANNELS, PixelScale, gram_matrix
from hemodetect.models.logistic import LogisticModel
from hemodetect.models.recipes import KernelRecipe
from hemodetect.training.calibration import calibrated
from hemodetect.training.fitting import Fit, Run, TrainingSet

RIDGE = 1e-8
"""Added to the Gram matrix, relative to its mean diagonal: identical slices make it singular."""
TOLERANCE = 1e-8
"""lbfgs stops where the largest gradient is below it."""


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


def fit_logistic(training: TrainingSet, recipe: KernelRecipe, run: Run) -> Fit:
    """The logistic regression of a recipe, calibrated by inner folds of the training slices."""
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
