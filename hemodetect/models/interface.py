"""What every model offers, so that nobody has to ask which family it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd

from hemodetect.models.series_cache import SeriesCache

if TYPE_CHECKING:
    from hemodetect.models.heat_map_source import HeatMapSource

HeatMapMethod = Literal["Grad-CAM", "Blood map", "Grad-CAM++", "Score-CAM", "SmoothGrad"]
BLOOD_MAP: HeatMapMethod = "Blood map"
GRADIENT_METHODS: tuple[HeatMapMethod, ...] = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "SmoothGrad")
"""Heat maps of any network with convolutions."""


@dataclass(frozen=True)
class Abilities:
    """What a model can show besides probabilities.

    Attributes:
        heat_maps: methods that show where in a slice it looked, the default first; may be empty.
        row_attention: it weighs the rows of a slice.
        slice_attention: it weighs the slices of a study.
        needs_order: it reads the slices as a sequence, so that their order counts.
    """

    heat_maps: tuple[HeatMapMethod, ...] = ()
    row_attention: bool = False
    slice_attention: bool = False
    needs_order: bool = False


@dataclass(frozen=True, eq=False)
class SeriesPrediction:
    """One model's answer for one series.

    Attributes:
        slices: (n,) float32 probability of hemorrhage, in the order of the series.
        patient: probability for the patient.
        row_attention: (n, steps) float32 weights of the image rows, each row of it summing to 1;
            None where the model weighs no rows.
        slice_attention: (n,) float32 weights of the slices, summing to 1; None where the model
            weighs no slices.
        head_found: (n,) bool; None where the model does not look for a head.
    """

    slices: np.ndarray
    patient: float
    row_attention: np.ndarray | None = None
    slice_attention: np.ndarray | None = None
    head_found: np.ndarray | None = None


def mean_prediction(
    probabilities: np.ndarray, row_attention: np.ndarray | None = None
) -> SeriesPrediction:
    """The prediction of a model that knows slices only: the patient's is the mean of (n,)."""
    return SeriesPrediction(probabilities, float(probabilities.mean()), row_attention)


class FittedModel(Protocol):
    """A trained model of any family."""

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        ...

    @property
    def abilities(self) -> Abilities:
        """What it can show besides probabilities."""
        ...

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        """Probabilities of one series.

        Args:
            grey: (n, size, size) uint8 slices, in order.
            cache: of this series; what several models need is worked out once in it.
        """
        ...

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        """What heat maps of a series are made from; arguments as for `predict`.

        Raises:
            NoHeatMaps: `abilities` lists none.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        ...


def predicted_slices(model: FittedModel, grey: np.ndarray, slices: pd.DataFrame) -> pd.DataFrame:
    """A model's answers for many series.

    Args:
        model: of any family.
        grey: (n, size, size) uint8.
        slices: (n) rows with patient and series, the slices of a series in order.

    Returns:
        The index of `slices`, with probability and patient_probability (float32). A patient with
        several series has the highest of their probabilities.
    """
    table = slices[["patient", "series"]].reset_index(drop=True)
    by_slice, by_series = np.empty(len(table), np.float32), np.empty(len(table), np.float32)
    for rows in table.groupby(["patient", "series"], sort=False, dropna=False).indices.values():
        prediction = model.predict(np.ascontiguousarray(grey[rows]))
        by_slice[rows], by_series[rows] = prediction.slices, prediction.patient
    patients = pd.Series(by_series).groupby(table["patient"]).transform("max")
    return pd.DataFrame(
        {"probability": by_slice, "patient_probability": patients.to_numpy(np.float32)},
        index=slices.index,
    )
