"""What several models work out of one series, each of it once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hemodetect.models.findings import SliceFindings
from hemodetect.preprocessing.standard_head import StandardSeries, standard_series


class SeriesCache:
    """The standard slices of one series, and the findings of blood networks in them.

    One cache belongs to one series: models that are asked about the same slices share it.
    """

    def __init__(self) -> None:
        self._standard: StandardSeries | None = None
        self._findings: dict[str, SliceFindings] = {}

    def standard(self, grey: np.ndarray) -> StandardSeries:
        """The series in the standard frame, from (n, 244, 244) uint8."""
        if self._standard is None:
            self._standard = standard_series(grey)
        return self._standard

    def findings(self, network: str, find: Callable[[], SliceFindings]) -> SliceFindings:
        """The findings of a network, by the SHA-256 of its file; `find` is called at most once."""
        if network not in self._findings:
            self._findings[network] = find()
        return self._findings[network]
