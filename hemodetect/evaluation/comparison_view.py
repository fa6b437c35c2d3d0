"""A comparison at one level: figures at any threshold, and the cases behind a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
import pandas as pd

from hemodetect.evaluation.comparison import Comparison, judged_models
from hemodetect.evaluation.differences import Agreement, agreement, cell_mask
from hemodetect.evaluation.levels import Level, called
from hemodetect.evaluation.metrics import Judged, Scores

Cell = Literal["tn", "fp", "fn", "tp"]
Thresholds = Mapping[str, float | np.ndarray]
"""Model key -> its threshold in [0, 1], or one threshold per case, (n,)."""


@dataclass(frozen=True, eq=False)
class ComparisonView:
    """A comparison at one level; the Compare page and its exports are drawn from it.

    Attributes:
        comparison: the selected slices.
        level: whether a case is a slice or a patient.
        cases: one row per case (`Comparison.cases`).
        judged: model key -> the model's cases, in the order of `cases`.
    """

    comparison: Comparison
    level: Level
    cases: pd.DataFrame
    judged: dict[str, Judged]

    @property
    def labels(self) -> np.ndarray:
        """(n,) int8, 1 is hemorrhage."""
        return self.cases["label"].to_numpy()

    def scores(self, thresholds: Thresholds) -> dict[str, Scores]:
        """Model key -> its figures at these thresholds."""
        return {key: self.judged[key].at(thresholds[key]) for key in self.judged}

    def cell(self, key: str, cell: Cell, thresholds: Thresholds) -> np.ndarray:
        """Row numbers (int64) of the cases in a cell of the confusion matrix, most confident first."""
        probability, limit = self.cases[key].to_numpy(), thresholds[key]
        call = called(probability, limit)
        cells = {"tn": (0, False), "fp": (0, True), "fn": (1, False), "tp": (1, True)}
        label, is_called = cells[cell]
        rows = np.flatnonzero((self.labels == label) & (call == is_called))
        distance = np.abs(probability - limit)[rows]
        return rows[np.argsort(-distance, kind="stable")]

    def only_right(self, a: str, b: str, thresholds: Thresholds) -> np.ndarray:
        """Row numbers (int64) of the cases where A is right and B wrong, largest difference first."""
        calls = self._calls(thresholds)
        rows = np.flatnonzero(cell_mask(self.labels, calls[a], calls[b], "only_a"))
        difference = np.abs(self.cases[a].to_numpy() - self.cases[b].to_numpy())[rows]
        return rows[np.argsort(-difference, kind="stable")]

    def agreements(self, thresholds: Thresholds) -> dict[tuple[str, str], Agreement]:
        """Every ordered pair of model keys -> how many cases each of the two has right."""
        return self._agreements(thresholds, np.ones(len(self.cases), bool))

    def agreements_by_person(self, thresholds: Thresholds) -> dict[tuple[str, str], Agreement]:
        """`agreements` over the first case of each patient group, so that no person counts twice."""
        return self._agreements(thresholds, ~self.cases["group"].duplicated().to_numpy())

    def slice_of(self, row: int, key: str) -> pd.Series:
        """The slice that represents a case: the slice itself, or the patient's slice with the highest
        probability of model `key`.
        """
        case = self.cases.iloc[row]
        if self.level == "slice":
            return case
        slices = self.comparison.slices
        of_patient = slices[(slices["set"] == case["set"]) & (slices["patient"] == case["patient"])]
        return of_patient.loc[of_patient[key].idxmax()]

    def _agreements(
        self, thresholds: Thresholds, rows: np.ndarray
    ) -> dict[tuple[str, str], Agreement]:
        calls = self._calls(thresholds)
        return {
            (a, b): agreement(self.labels[rows], calls[a][rows], calls[b][rows])
            for a, b in permutations(calls, 2)
        }

    def _calls(self, thresholds: Thresholds) -> dict[str, np.ndarray]:
        return {key: called(self.cases[key].to_numpy(), thresholds[key]) for key in self.judged}


def comparison_view(comparison: Comparison, level: Level) -> ComparisonView:
    """Prepares a comparison at one level for any threshold.

    Raises:
        EvaluationError: all cases have one label.
    """
    return ComparisonView(
        comparison, level, comparison.cases(level), judged_models(comparison, level)
    )
