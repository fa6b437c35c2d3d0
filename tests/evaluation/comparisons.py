"""Small comparisons for tests: known labels, folds and probabilities of two or more models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hemodetect.evaluation.comparison import ComparedModel, Comparison, compared

MADE = "2026-11-24"


def model(family: str, origins: dict[str, str], threshold: float = 0.5) -> ComparedModel:
    return ComparedModel(
        key=family,
        family=family,
        recipe="paper",
        version=f"paper-{family}",
        threshold=threshold,
        threshold_reason="as published",
        origins=origins,  # type: ignore[arg-type]
    )


def facts(name: str = "home", patients: int = 10, slices: int = 4, folds: int = 5) -> pd.DataFrame:
    """Every other patient bleeds; slices lie from vertex to base."""
    rows = [
        (name, f"p{p}", f"p{p}/{s}.png", p % 2, f"{name}/p{p}", p // 2 % folds, position)
        for p in range(patients)
        for s, position in zip(range(slices), ["vertex", "mid", "base", ""] * slices, strict=False)
    ]
    columns = ["set", "patient", "slice", "label", "group", "fold", "position"]
    return pd.DataFrame(rows, columns=columns)


def predictions(table: pd.DataFrame, seed: int, skill: float = 1.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    evidence = skill * (table["label"] - 0.5) + random.normal(0, 0.5, len(table))
    probability = (1 / (1 + np.exp(-2 * evidence))).astype(np.float32)
    return table[["set", "patient", "slice", "label"]].assign(probability=probability)


def comparison(families: tuple[str, ...] = ("svm", "cnn"), **shape: int) -> Comparison:
    table = facts(**shape)  # type: ignore[arg-type]
    return compared(
        [model(family, {"home": "out-of-fold"}) for family in families],
        {"home": "f00d"},
        table,
        {family: predictions(table, seed) for seed, family in enumerate(families)},
        MADE,
    )
