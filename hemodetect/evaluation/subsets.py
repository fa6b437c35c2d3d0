"""Figures by parts of the data: position in the head, patient, set, subtype, age, sex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hemodetect.evaluation.levels import called

Dimension = Literal["position", "patient", "set", "subtype", "age", "sex"]
DIMENSIONS: tuple[Dimension, ...] = ("position", "patient", "set", "subtype", "age", "sex")
FEWEST = 20
"""Cases below which a part's figures say too little to be read."""
UNKNOWN = "not known"


@dataclass(frozen=True)
class Subset:
    """One part of the cases.

    Attributes:
        name: of the part, e.g. "vertex".
        n, positives, groups: cases, those labelled hemorrhage, and patient groups.
        sensitivity, specificity, accuracy: key of a model -> share; NaN where a part lacks the
            class. Without intervals: most parts hold few patients.
    """

    name: str
    n: int
    positives: int
    groups: int
    sensitivity: dict[str, float]
    specificity: dict[str, float]
    accuracy: dict[str, float]

    @property
    def too_few(self) -> bool:
        """Whether the subset has fewer than `FEWEST` cases."""
        return self.n < FEWEST


def known_dimensions(cases: pd.DataFrame) -> list[Dimension]:
    """Those in which the cases differ and are at least partly known."""
    return [d for d in DIMENSIONS if cases[d].ne("").any() and cases[d].nunique() > 1]


def subsets(
    cases: pd.DataFrame, thresholds: Mapping[str, float | np.ndarray], by: Dimension
) -> list[Subset]:
    """The parts of cases (as `Comparison.cases`) by one dimension, in the order they first occur.

    A slice with several subtypes counts in each. Parts by subtype hold hemorrhages only, so they
    have a sensitivity and nothing else.

    Args:
        thresholds: key of a model -> threshold, or one for every case (n,).
    """
    labels = cases["label"].to_numpy() == 1
    calls = {key: called(cases[key].to_numpy(), limit) for key, limit in thresholds.items()}
    values = cases[by].replace("", UNKNOWN)
    if by == "subtype":
        values = values.where(labels, "")
    parts: dict[str, np.ndarray] = {}
    for value in pd.unique(values):
        for name in value.split(" + ") if by == "subtype" else [value]:
            if name:
                rows = (values == value).to_numpy()
                parts[name] = parts.get(name, np.zeros(len(cases), bool)) | rows
    groups = cases["group"].to_numpy()
    return [
        Subset(
            name=name,
            n=int(rows.sum()),
            positives=int(labels[rows].sum()),
            groups=len(np.unique(groups[rows])),
            sensitivity={key: _share(call[rows & labels]) for key, call in calls.items()},
            specificity={key: _share(~call[rows & ~labels]) for key, call in calls.items()},
            accuracy={key: _share((call == labels)[rows]) for key, call in calls.items()},
        )
        for name, rows in parts.items()
    ]


def _share(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else float("nan")
