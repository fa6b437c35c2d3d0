"""From decision values or logits to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LARGEST_LOGIT = 30.0  # beyond it float32 has no probability but 0 and 1


@dataclass(frozen=True)
class Sigmoid:
    """Platt scaling (Platt 1999): probability = 1 / (1 + exp(-(slope * decision + offset)))."""

    slope: float
    offset: float

    def probabilities(self, decisions: np.ndarray) -> np.ndarray:
        """float32 in [0, 1] of decision values or logits of any shape."""
        logits = self.slope * np.asarray(decisions, np.float64) + self.offset
        bounded = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        return (1 / (1 + np.exp(-bounded))).astype(np.float32)
