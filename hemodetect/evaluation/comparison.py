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
    has_folder_labels,
    patient_probabilities,
    slice_level,
)
from hemodetect.evaluation.metrics import Judged, judged
from hemodetect.models.families import FAMILY_NAMES

Origin = Literal["out-of-fold", "outside"]

NO_FOLD = -1
FACTS = ("position", "subtype", "age", "sex")
"""Optional text columns of a case, "" where the value is unknown."""


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Attributes:
        key: name of its column: the family's key, with the recipe if a family occurs twice.
        family, recipe, version: those of its bundle.
        threshold, threshold_reason: its operating point.
        slice_threshold: of single slices; None where it is the same.
        origins: data set -> "out-of-fold", or "outside" for a set it was not trained on.
    """

    key: str
    family: str
    recipe: str
    version: str
    threshold: float
    threshold_reason: str
    origins: dict[str, Origin]
    slice_threshold: float | None = None

    @property
    def name(self) -> str:
        """E.g. ``CNN``, or ``CNN (paper)`` if the key contains the recipe."""
        name = FAMILY_NAMES[self.family]
        return name if self.key == self.family else f"{name} ({self.recipe})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models on the same cases.

    Attributes:
        models: in the usual order of families.
        fingerprints: data set -> fingerprint of its data.
        slices: one row per slice: set, patient, slice, label (int8), group, fold (int16, `NO_FOLD`
            on outside sets), the columns of `FACTS`, and for each model a probability (float32) in
            the column of its key. If a model predicts patients itself, the column `patient_column`
            has its probability of the patient.
        date: day of the comparison, ISO 8601.
    """

    models: tuple[ComparedModel, ...]
    fingerprints: dict[str, str]
    slices: pd.DataFrame
    date: str

    def model(self, key: str) -> ComparedModel:
        """The model with this key; raises `StopIteration` if there is none."""
        return next(model for model in self.models if model.key == key)

    def only(self, rows: np.ndarray) -> Comparison:
        """The comparison of some slices, (n,) bool.

        Raises:
            EvaluationError: no slice is selected.
        """
        if not rows.any():
            raise EvaluationError("No case is left; choose other sets or a wider filter.")
        slices = self.slices[rows].reset_index(drop=True)
        sets = set(slices["set"])
        fingerprints = {
            name: fingerprint for name, fingerprint in self.fingerprints.items() if name in sets
        }
        return Comparison(self.models, fingerprints, slices, self.date)

    def cases(self, level: Level) -> pd.DataFrame:
        """One row per case, columns as in `slices`.

        Slices of a set that labels folders have their patient's probability from models whose slices
        answer for themselves, as that label asks. A patient's probability is the one that the model
        predicts for the patient, or else the mean of its slices. The label is 1 if any slice has
        label 1. The slice name is empty, and so is a fact in which the slices differ.
        """
        if level == "slice":
            return self._slices_as_labelled()
        by_patient = self.slices.groupby(["set", "patient"], sort=False)
        keys = [model.key for model in self.models]
        table = by_patient[keys].mean()
        patient_models = [key for key in keys if patient_column(key) in self.slices]
        for key in patient_models:
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

    def folder_labelled(self) -> tuple[str, ...]:
        """Names of the sets whose slices carry the label of their folder."""
        by_set = self.slices.groupby("set", sort=False)
        return tuple(str(name) for name, rows in by_set if has_folder_labels(rows))

    def released_thresholds(self, level: Level) -> dict[str, float | np.ndarray]:
        """Key of a model -> its operating point; one a case, (n,), where sets need different ones."""
        thresholds: dict[str, float | np.ndarray] = {}
        names, by_folder = self.slices["set"], self.folder_labelled()
        for model in self.models:
            own = model.slice_threshold
            if level == "patient" or own is None or set(names) <= set(by_folder):
                thresholds[model.key] = model.threshold
            elif not by_folder:
                thresholds[model.key] = own
            else:
                of_case = np.where(names.isin(by_folder), model.threshold, own)
                thresholds[model.key] = of_case.astype(np.float32)
        return thresholds

    def _slices_as_labelled(self) -> pd.DataFrame:
        rows = self.slices["set"].isin(self.folder_labelled())
        columns = {
            model.key: self.slices[model.key].where(~rows, self.slices[patient_column(model.key)])
            for model in self.models
            if model.slice_threshold is not None and patient_column(model.key) in self.slices
        }
        return self.slices.assign(**columns)


def patient_column(key: str) -> str:
    """Column of the probability that model `key` predicts for the patient."""
    return f"{key} (patient)"


def judged_models(
    comparison: Comparison, level: Level, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Judged]:
    """Every model's cases, prepared for figures at any threshold; rows as in `Comparison.cases`.

    All models use the same resamples, so their differences are paired.

    Raises:
        EvaluationError: all cases have one label.
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
    date: str,
) -> Comparison:
    """Joins predictions of the same slices.

    Args:
        models: at least one.
        fingerprints: data set -> fingerprint.
        facts: one row per slice: set, patient, slice, label, group, fold, and columns of `FACTS`.
        predictions: key of a model -> table with set, patient, slice, label, probability, and
            patient_probability if the model predicts patients itself in all sets.
        date: day of the comparison, ISO 8601.

    Raises:
        EvaluationError: a model predicts a slice that is not among the facts, lacks one of them, or
            has a different label for it; or `slice_level` refuses its values.
    """
    if not models:
        raise EvaluationError("There is nothing to compare; give at least one bundle.")
    table = facts.reset_index(drop=True)
    for fact in FACTS:
        table[fact] = table[fact].fillna("").astype(str) if fact in table else ""
    index = pd.MultiIndex.from_frame(table[["set", "patient", "slice"]])
    columns = ["set", "patient", "slice", "label", "group", "fold", *FACTS]
    for model in models:
        model_table = predictions[model.key].reset_index(drop=True)
        _check(model_table, model.name)
        rows = index.get_indexer(pd.MultiIndex.from_frame(model_table[["set", "patient", "slice"]]))
        _check_same_cases(model_table, rows, table, model.name)
        column_pairs = [("probability", model.key)]
        if PATIENT_PROBABILITY in model_table and model_table[PATIENT_PROBABILITY].notna().all():
            column_pairs.append((PATIENT_PROBABILITY, patient_column(model.key)))
        for source, target in column_pairs:
            column = np.empty(len(table), np.float32)
            column[rows] = model_table[source].to_numpy()
            table[target] = column
            columns.append(target)
    table = table[columns]
    types = {"label": np.int8, "fold": np.int16, "group": str}
    return Comparison(tuple(models), dict(fingerprints), table.astype(types), date)


def _check(predictions: pd.DataFrame, name: str) -> None:
    named = predictions.assign(patient=predictions["set"] + "/" + predictions["patient"])
    try:
        slice_level(named)
        if PATIENT_PROBABILITY in named and named[PATIENT_PROBABILITY].notna().all():
            patient_probabilities(named)
    except EvaluationError as error:
        raise EvaluationError(f"{name}: {error}") from error


def _check_same_cases(
    predictions: pd.DataFrame, rows: np.ndarray, table: pd.DataFrame, name: str
) -> None:
    unknown = rows < 0
    if unknown.any():
        first = predictions[unknown].iloc[0]
        raise EvaluationError(
            f"{name} has predictions of {first['slice']} of patient {first['patient']}, which the "
            f"set {first['set']} does not contain; evaluate it on the same data as the others."
        )
    if len(predictions) != len(table):
        missing = np.setdiff1d(np.arange(len(table)), rows)
        first = table.iloc[missing[0]]
        raise EvaluationError(
            f"{name} lacks predictions of {len(missing)} of {len(table)} slices, {first['slice']} of "
            f"patient {first['patient']} among them; evaluate it on the same data as the others."
        )
    differs = predictions["label"].to_numpy() != table["label"].to_numpy()[rows]
    if differs.any():
        first = predictions[differs].iloc[0]
        raise EvaluationError(
            f"{name}: {first['slice']} of patient {first['patient']} is labelled {first['label']}, "
            "but the set has another label; evaluate it again on this data."
        )
