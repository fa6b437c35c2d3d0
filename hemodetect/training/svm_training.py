"""Fitting the support vector machine, from one Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import eigsh
from sklearn.svm import SVC

from hemodetect.models.calibration import Sigmoid
from hemodetect.models.gram import CHANNELS, PixelScale, gram_matrix, kernel_values, scale_gamma
from hemodetect.models.recipes import KernelRecipe
from hemodetect.models.svm import SvmModel
from hemodetect.training.calibration import calibrated
from hemodetect.training.fitting import Fit, Run, TrainingSet


@dataclass(frozen=True, eq=False)
class ExactSvm:
    """The fit itself: what `SVC` on all 49,152 features gives, without its support vectors.

    Attributes:
        gram: (n, n) inner products of the training slices.
        support: (m,) row numbers of the support vectors.
    """

    gram: np.ndarray
    pixel_scale: PixelScale
    standardised: np.ndarray
    kernel: str
    gamma: float
    support: np.ndarray
    dual: np.ndarray
    intercept: float

    def decisions(self, grey: np.ndarray) -> np.ndarray:
        """(n,) decision values of (n, size, size) uint8, equal to the direct SVC's."""
        features = self.pixel_scale.standardised(grey)
        inner = CHANNELS * (features @ self.standardised[self.support].T).astype(np.float64)
        norms = CHANNELS * np.einsum("ij,ij->i", features, features, dtype=np.float64)
        support_norms = np.diag(self.gram)[self.support]
        values = kernel_values(self.kernel, inner, norms, support_norms, self.gamma)
        return values @ self.dual + self.intercept


def exact_svm(
    grey: np.ndarray, labels: np.ndarray, kernel: str, regularisation: float, tol: float = 1e-3
) -> ExactSvm:
    """Fits on (n, size, size) uint8 slices with labels (n,) of 0 and 1."""
    pixel_scale = PixelScale.of(grey)
    standardised = pixel_scale.standardised(grey)
    gram = gram_matrix(standardised)
    gamma = scale_gamma(gram, standardised.shape[1])
    support, dual, intercept = _solved(_kernel(kernel, gram, gamma), labels, regularisation, tol)
    return ExactSvm(gram, pixel_scale, standardised, kernel, gamma, support, dual, intercept)


def projected(exact: ExactSvm, components: int, sigmoid: Sigmoid, size: int) -> SvmModel:
    """The fit with its support vectors in the first principal components."""
    count = min(components, len(exact.gram) - 1)
    variances, directions = eigsh(exact.gram / CHANNELS, k=count, v0=np.ones(len(exact.gram)))
    positive = variances > variances.max() * 1e-9
    coordinates = directions[:, positive] * np.sqrt(variances[positive])
    axes = exact.standardised.T @ (directions[:, positive] / np.sqrt(variances[positive])).astype(
        np.float32
    )
    return SvmModel(
        size=size,
        kernel=exact.kernel,
        gamma=exact.gamma,
        pixel_scale=exact.pixel_scale,
        components=axes.astype(np.float16),
        support=coordinates[exact.support].astype(np.float32),
        support_norms=np.diag(exact.gram)[exact.support].copy(),
        dual=exact.dual,
        intercept=exact.intercept,
        sigmoid=sigmoid,
    )


def fit_svm(training: TrainingSet, recipe: KernelRecipe, run: Run) -> Fit:
    """The SVM of a recipe, calibrated by inner folds of the training slices."""
    labels = training.labels
    exact = exact_svm(training.grey, labels, recipe.kernel, recipe.regularisation)
    run.report(f"{len(exact.support)} of {len(labels)} slices are support vectors")
    values = _kernel(exact.kernel, exact.gram, exact.gamma)

    def decide(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        support, dual, intercept = _solved(
            values[np.ix_(train, train)], labels[train], recipe.regularisation
        )
        return values[np.ix_(test, train[support])] @ dual + intercept

    sigmoid = calibrated(labels, training.units, decide, run.seed)
    run.report("calibrated")
    model = projected(exact, recipe.components, sigmoid, recipe.size)
    return Fit(model, notes={"support_vectors": float(len(exact.support))})


def _kernel(kernel: str, gram: np.ndarray, gamma: float) -> np.ndarray:
    norms = np.diag(gram)
    return kernel_values(kernel, gram, norms, norms, gamma)


def _solved(
    values: np.ndarray, labels: np.ndarray, regularisation: float, tol: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows of the support vectors, their dual coefficients, and the intercept."""
    fitted = SVC(kernel="precomputed", C=regularisation, tol=tol, cache_size=1000)
    fitted.fit(values, labels)
    return fitted.support_, fitted.dual_coef_[0], float(fitted.intercept_[0])
