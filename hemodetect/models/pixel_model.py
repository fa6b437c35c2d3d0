"""What the SVM and the logistic regression on pixels have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from hemodetect.models.calibration import Sigmoid
from hemodetect.models.heat_map_source import HeatMapSource, NoHeatMaps
from hemodetect.models.interface import Abilities, SeriesPrediction, mean_prediction
from hemodetect.models.series_cache import SeriesCache


class PixelModel(ABC):
    """A model with a decision value for every slice, and a sigmoid that makes it a probability."""

    sigmoid: Sigmoid

    @abstractmethod
    def decisions(self, grey: np.ndarray) -> np.ndarray:
        """(n,) decision values of (n, size, size) uint8 slices; positive is hemorrhage."""

    @property
    def abilities(self) -> Abilities:
        """None."""
        return Abilities()

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        """(n,) float32 in [0, 1] for (n, size, size) uint8."""
        return self.sigmoid.probabilities(self.decisions(grey))

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        """The patient's probability is the mean of the slices'."""
        return mean_prediction(self.probabilities(grey))

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        """Raises `NoHeatMaps`."""
        raise NoHeatMaps("A model on pixels has no convolutions; heat maps need a CNN.")
