"""Standardised pixels of grey slices, and what a kernel model needs of them: inner products.

The study flattens 128 x 128 x 3 slices to 49,152 features and standardises them. Its three channels
are one grey image, so an inner product of two such vectors is three times that of the grey ones; and
with fewer slices than pixels everything a kernel model needs is in the n x n matrix of inner
products (the Gram matrix), one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler

CHANNELS = 3


@dataclass(frozen=True, eq=False)
class PixelScale:
    """Mean and standard deviation of every pixel over training slices.

    Attributes:
        mean, scale: (pixels,) float64; scale is 1 where a pixel never changes, as in scikit-learn.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, grey: np.ndarray) -> PixelScale:
        """From (n, size, size) uint8 training slices."""
        scaler = StandardScaler()
        # In parts: all of it in float64 would be eight times the images.
        for start in range(0, len(grey), 512):
            scaler.partial_fit(_flat(grey[start : start + 512]))
        return cls(scaler.mean_, scaler.scale_)

    def standardised(self, grey: np.ndarray) -> np.ndarray:
        """(n, pixels) float32 of (n, size, size) uint8."""
        flat = _flat(grey).astype(np.float32)
        flat -= self.mean.astype(np.float32)
        flat /= self.scale.astype(np.float32)
        return flat


def gram_matrix(standardised: np.ndarray) -> np.ndarray:
    """(n, n) float64 inner products of the three-channel features of (n, pixels) float32.

    Summed in float64: float32 sums leave eigenvalues below zero, which no Cholesky factor takes.
    """
    gram = np.zeros((len(standardised), len(standardised)))
    for start in range(0, standardised.shape[1], 2048):
        part = standardised[:, start : start + 2048].astype(np.float64)
        gram += part @ part.T
    return CHANNELS * gram


def scale_gamma(gram: np.ndarray, pixels: int) -> float:
    """scikit-learn's ``gamma="scale"``: 1 / (features * variance of all of them).

    Standardised training features have mean 0, so their variance is the mean of their squares.
    """
    features = CHANNELS * pixels
    variance = np.trace(gram) / (len(gram) * features)
    return 1.0 / (features * variance)


def kernel_values(
    kernel: str, inner: np.ndarray, norms_a: np.ndarray, norms_b: np.ndarray, gamma: float
) -> np.ndarray:
    """Kernel of every pair, from inner products (a, b) and squared norms (a,) and (b,).

    rbf: exp(-gamma * distance squared); poly: (gamma * inner)^3, scikit-learn's default degree and
    coef0; linear: inner.
    """
    if kernel == "rbf":
        squared = norms_a[:, None] + norms_b[None, :] - 2 * inner
        return np.exp(-gamma * np.maximum(squared, 0))
    if kernel == "poly":
        return (gamma * inner) ** 3
    return inner


def _flat(grey: np.ndarray) -> np.ndarray:
    return grey.reshape(len(grey), -1)
