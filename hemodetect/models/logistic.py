"""Logistic regression on all pixels of a slice; `training.logistic_training` fits it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hemodetect.models.calibration import Sigmoid
from hemodetect.models.gram import PixelScale
from hemodetect.models.pixel_model import PixelModel
from hemodetect.models.recipes import KernelRecipe
from hemodetect.models.weight_files import read_arrays, write_arrays

WEIGHTS = "model.skops"


@dataclass(frozen=True, eq=False)
class LogisticModel(PixelModel):
    """Weights (pixels,) float32 on standardised grey pixels, the three channels summed."""

    size: int
    pixel_scale: PixelScale
    weights: np.ndarray
    intercept: float
    sigmoid: Sigmoid

    @classmethod
    def load(cls, folder: Path, recipe: KernelRecipe) -> LogisticModel:
        """What `save` wrote; raises `BundleError` where the file holds anything but arrays."""
        arrays = read_arrays(folder / WEIGHTS)
        intercept, slope, offset = (float(x) for x in arrays["numbers"])
        pixel_scale = PixelScale(arrays["mean"], arrays["scale"])
        return cls(recipe.size, pixel_scale, arrays["weights"], intercept, Sigmoid(slope, offset))

    def decisions(self, grey: np.ndarray) -> np.ndarray:
        """(n,) log-odds before calibration, for (n, size, size) uint8."""
        features = self.pixel_scale.standardised(grey)
        return (features @ self.weights).astype(np.float64) + self.intercept

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_arrays(
            folder / WEIGHTS,
            {
                "mean": self.pixel_scale.mean.astype(np.float32),
                "scale": self.pixel_scale.scale.astype(np.float32),
                "weights": self.weights,
                "numbers": np.array([self.intercept, self.sigmoid.slope, self.sigmoid.offset]),
            },
        )
