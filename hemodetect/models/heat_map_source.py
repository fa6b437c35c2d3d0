"""What a model gives away so that `hemodetect.explain` can show where it looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hemodetect.errors import HemodetectError
from hemodetect.preprocessing.standard_head import StandardSeries

if TYPE_CHECKING:
    import keras


class NoHeatMaps(HemodetectError):
    """A model without convolutions was asked for heat maps."""


@dataclass(frozen=True, eq=False)
class HeatMapSource:
    """A network and the images it sees of one series.

    Attributes:
        network: has convolutions.
        images: (n, ...) float32 as the network takes them.
        feature_layer: name of the layer whose features Grad-CAM weighs.
        score_layer: name of the layer whose first value is the score before the sigmoid; None where
            the network is a chain of layers that ends in a dense layer with a sigmoid.
        standard: the frame that the images are in; None where they are whole slices.
        blood_maps: gives the network's own maps (n, rows, columns) float32 of the probability of
            blood, in the frame of the images; None where it has none.
    """

    network: keras.Model
    images: np.ndarray
    feature_layer: str
    score_layer: str | None = None
    standard: StandardSeries | None = None
    blood_maps: Callable[[], np.ndarray] | None = None
