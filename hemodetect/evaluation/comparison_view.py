"""The cases of a comparison at one level, ready for any threshold, and the cases behind a number."""

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
"""Key of a model -> its threshold, or one for every case (n,)."""


@dataclass(frozen=True, eq=False)
class Board:
    """What the Compare page is drawn from.

    Attributes:
        comparison: the slices chosen.
        level: what a case is.
        cases: a row a case (`Comparison.cases`).
        judged: key -> the model's cases, in the same order.
    """

    comparison: Comparison
    level: Level
    cases: pd.DataFrame
    judged: dict[str, Judged]

    @property
    def labels(self) -> np.ndarray:
        """(n,) int8."""
        return self.cases["label"].to_numpy()

    def scores(self, thresholds: Thresholds) -> dict[str, Scores]:
        """Every model's figures."""
        return {key: self.judged[key].at(thresholds[key]) for key in self.judged}

    def cell(self, key: str, cell: Cell, thresholds: Thresholds) -> np.ndarray:
        """Rows of the cases in a cell of the confusion matrix, those the model was surest of first."""
        probability, limit = self.cases[key].to_numpy(), thresholds[key]
        call = called(probability, limit)
        label, wanted = {"tn": (0, False), "fp": (0, True), "fn": (1, False), "tp": (1, True)}[cell]
        rows = np.flatnonzero((self.labels == label) & (call == wanted))
        distance = np.abs(probability - limit)[rows]
        return rows[np.argsort(-distance, kind="stable")]

    def only_right(self, a: str, b: str, thresholds: Thresholds) -> np.ndarray:
        """Rows of the cases that A has right and B wrong, where they lie furthest apart first."""
        calls = self._calls(thresholds)
        rows = np.flatnonzero(cell_mask(self.labels, calls[a], calls[b], "only_a"))
        apart = np.abs(self.cases[a].to_numpy() - self.cases[b].to_numpy())[rows]
        return rows[np.argsort(-apart, kind="stable")]

    def agreements(self, thresholds: Thresholds) -> dict[tuple[str, str], Agreement]:
        """Every ordered pair of models -> their cases."""
        return self._agreements(thresholds, np.ones(len(self.cases), bool))

    def agreements_by_person(self, thresholds: Thresholds) -> dict[tuple[str, str], Agreement]:
        """The same with one case a patient group, its first, so that no person counts twice."""
        return self._agreements(thresholds, ~self.cases["group"].duplicated().to_numpy())

    def slice_of(self, row: int, key: str) -> pd.Series:
        """The slice to show for a case: itself, or the patient's most suspicious to model `key`."""
        case = self.cases.iloc[row]
        if self.level == "slice":
            return case
        slices = self.comparison.slices
        own = slices[(slices["set"] == case["set"]) & (slices["patient"] == case["patient"])]
        return own.loc[own[key].idxmax()]

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


def opened_board(comparison: Comparison, level: Level) -> Board:
    """Prepares a board.

    Raises:
        EvaluationError: all cases have one label.
    """
    return Board(comparison, level, comparison.cases(level), judged_models(comparison, level))
