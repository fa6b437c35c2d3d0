"""Several models on the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hemodetect.evaluation.levels import (
    PATIENT_PROBABILITY,
    EvaluationError,
    Level,
    patient_probabilities,
    slice_level,
)
from hemodetect.evaluation.metrics import Judged, judged
from hemodetect.models.families import FAMILY_NAMES

Origin = Literal["out-of-fold", "outside"]

NO_FOLD = -1
FACTS = ("position", "subtype", "age", "sex")
"""Columns a case may have beside its label; text, "" where it is not known."""


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Attributes:
        key: names its column; the family's key, with the recipe where a family stands twice.
        family, recipe, version: of its bundle.
        threshold, threshold_reason: its operating point.
        origins: set -> whether its predictions there are out-of-fold or of a set it never saw.
    """

    key: str
    family: str
    recipe: str
    version: str
    threshold: float
    threshold_reason: str
    origins: dict[str, Origin]

    @property
    def name(self) -> str:
        """E.g. ``CNN``, or ``CNN (paper)`` where the key holds the recipe."""
        name = FAMILY_NAMES[self.family]
        return name if self.key == self.family else f"{name} ({self.recipe})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models on the same cases.

    Attributes:
        models: in the usual order of families.
        fingerprints: set -> fingerprint of its data.
        slices: a row a slice: set, patient, slice, label (int8), group, fold (int16, `NO_FOLD`
            outside), the columns of `FACTS`, and a probability (float32) a model, named by its key;
            beside it, named by `patient_column`, the model's own for the patient where it has one.
        made: day, ISO 8601.
    """

    models: tuple[ComparedModel, ...]
    fingerprints: dict[str, str]
    slices: pd.DataFrame
    made: str

    def model(self, key: str) -> ComparedModel:
        """The model with this key; raises `StopIteration` where there is none."""
        return next(model for model in self.models if model.key == key)

    def only(self, rows: np.ndarray) -> Comparison:
        """The comparison of some slices, (n,) bool.

        Raises:
            EvaluationError: none is left.
        """
        if not rows.any():
            raise EvaluationError("No case is left; choose other sets or a wider filter.")
        kept = self.slices[rows].reset_index(drop=True)
        sets = set(kept["set"])
        prints = {name: found for name, found in self.fingerprints.items() if name in sets}
        return Comparison(self.models, prints, kept, self.made)

    def cases(self, level: Level) -> pd.DataFrame:
        """A row a case, columns as in `slices`.

        A patient's probability is the model's own, without one the mean of its slices'; the label is
        1 where any slice's is; there is no slice name, and a fact only where all slices share it.
        """
        if level == "slice":
            return self.slices
        by_patient = self.slices.groupby(["set", "patient"], sort=False)
        keys = [model.key for model in self.models]
        table = by_patient[keys].mean()
        own = [key for key in keys if patient_column(key) in self.slices]
        for key in own:
            table[key] = by_patient[patient_column(key)].first()
            table[patient_column(key)] = table[key]
        table = table.astype(np.float32)
        table["label"] = by_patient["label"].max()
        for column in ("group", "fold"):
            table[column] = by_patient[column].first()
        for fact in FACTS:
            shared = by_patient[fact].nunique() == 1
            table[fact] = by_patient[fact].first().where(shared, "")
        table["slice"] = ""
        return table.reset_index()[list(self.slices.columns)]


def patient_column(key: str) -> str:
    """Column of model `key`'s own probability for the patient."""
    return f"{key} (patient)"


def judged_models(
    comparison: Comparison, level: Level, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Judged]:
    """Every model's cases, prepared for figures at any threshold; rows as in `Comparison.cases`.

    All models are resampled alike, so that their differences are paired.

    Raises:
        EvaluationError: all labels are alike.
    """
    cases = comparison.cases(level)
    codes = np.unique(cases["group"].to_numpy(dtype=str), return_inverse=True)[1]
    return {
        model.key: judged(
            level,
            cases["label"].to_numpy(),
            cases[model.key].to_numpy(),
            codes,
            resamples=resamples,
            seed=seed,
        )
        for model in comparison.models
    }


def compared(
    models: Sequence[ComparedModel],
    fingerprints: Mapping[str, str],
    facts: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame],
    made: str,
) -> Comparison:
    """Joins predictions of the same slices.

    Args:
        models: at least one.
        fingerprints: set -> fingerprint.
        facts: a row a slice: set, patient, slice, label, group, fold, and columns of `FACTS`.
        predictions: key of a model -> table with set, patient, slice, label, probability, and
            patient_probability where the model has its own in all sets.
        made: day, ISO 8601.

    Raises:
        EvaluationError: a model predicts a slice that is not among the facts, leaves one out, or
            has another label for it; or values that `slice_level` refuses.
    """
    if not models:
        raise EvaluationError("There is nothing to compare; give at least one bundle.")
    table = facts.reset_index(drop=True)
    for fact in FACTS:
        table[fact] = table[fact].fillna("").astype(str) if fact in table else ""
    index = pd.MultiIndex.from_frame(table[["set", "patient", "slice"]])
    columns = ["set", "patient", "slice", "label", "group", "fold", *FACTS]
    for model in models:
        found = predictions[model.key].reset_index(drop=True)
        _check(found, model.name)
        rows = index.get_indexer(pd.MultiIndex.from_frame(found[["set", "patient", "slice"]]))
        _check_same_cases(found, rows, table, model.name)
        told = [("probability", model.key)]
        if PATIENT_PROBABILITY in found and found[PATIENT_PROBABILITY].notna().all():
            told.append((PATIENT_PROBABILITY, patient_column(model.key)))
        for source, target in told:
            column = np.empty(len(table), np.float32)
            column[rows] = found[source].to_numpy()
            table[target] = column
            columns.append(target)
    table = table[columns]
    types = {"label": np.int8, "fold": np.int16, "group": str}
    return Comparison(tuple(models), dict(fingerprints), table.astype(types), made)


def _check(predictions: pd.DataFrame, who: str) -> None:
    named = predictions.assign(patient=predictions["set"] + "/" + predictions["patient"])
    try:
        slice_level(named)
        if PATIENT_PROBABILITY in named and named[PATIENT_PROBABILITY].notna().all():
            patient_probabilities(named)
    except EvaluationError as error:
        raise EvaluationError(f"{who}: {error}") from error


def _check_same_cases(found: pd.DataFrame, rows: np.ndarray, table: pd.DataFrame, who: str) -> None:
    unknown = rows < 0
    if unknown.any():
        first = found[unknown].iloc[0]
        raise EvaluationError(
            f"{who} has predictions of {first['slice']} of patient {first['patient']}, which the "
            f"set {first['set']} does not hold; evaluate it on the same data as the others."
        )
    if len(found) != len(table):
        lost = np.setdiff1d(np.arange(len(table)), rows)
        first = table.iloc[lost[0]]
        raise EvaluationError(
            f"{who} lacks predictions of {len(lost)} of {len(table)} slices, {first['slice']} of "
            f"patient {first['patient']} among them; evaluate it on the same data as the others."
        )
    other = found["label"].to_numpy() != table["label"].to_numpy()[rows]
    if other.any():
        first = found[other].iloc[0]
        raise EvaluationError(
            f"{who}: {first['slice']} of patient {first['patient']} is labelled {first['label']}, "
            "and the set says otherwise; evaluate it anew on this data."
        )
