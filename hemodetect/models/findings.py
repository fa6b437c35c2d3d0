"""What the blood network finds in a series; the families judge studies by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOP_FRACTION = 0.1
"""Part of a study's slices in the brain whose mean logit is the study's: blood shows in a few."""


@dataclass(frozen=True, eq=False)
class SliceFindings:
    """Findings in the slices of one series.

    Attributes:
        logits: (n,) float32 log-odds of blood in the slice; a slice without a head has the lowest.
        features: (n, 10) float32, see `blood_model.slice_features`.
        head_found: (n,) bool.
        in_brain: (n,) bool, slices that count for the study: not neck, face or skull base.
        maps: (n, 24, 24) float32, probability of blood by place in the standard slice.
    """

    logits: np.ndarray
    features: np.ndarray
    head_found: np.ndarray
    in_brain: np.ndarray
    maps: np.ndarray


def top_fraction_mean(logits: np.ndarray, in_brain: np.ndarray) -> float:
    """Mean of the highest logits among the slices in the brain; of all slices where none is.

    Args:
        logits: (n,) float.
        in_brain: (n,) bool.
    """
    ascending = np.sort(logits[in_brain] if in_brain.any() else logits)
    return float(ascending[-max(1, round(TOP_FRACTION * len(ascending))) :].mean())
