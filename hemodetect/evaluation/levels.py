"""Predictions by slice and by patient, checked before anything is counted."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from hemodetect.errors import HemodetectError

Level = Literal["slice", "patient"]
LEVELS: tuple[Level, ...] = get_args(Level)

COLUMNS = ["patient", "slice", "label", "probability"]


PATIENT_PROBABILITY = "patient_probability"
"""Column of a model's own probability for the patient, the same in all the patient's rows."""


class EvaluationError(HemodetectError):
    """The predictions are invalid, so no figure can be computed."""


def slice_level(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a slice: patient, slice, label (int8, 1 is hemorrhage), probability (float32).

    Args:
        predictions: at least these columns, in any order, as in a bundle's
            ``predictions.parquet``. Several folds together make out-of-fold predictions.

    Raises:
        EvaluationError: a column is missing or not of numbers, there is no row, a patient or slice
            has no name, a slice occurs twice, a label is not 0 or 1, or a probability is not in
            [0, 1].
    """
    missing = [column for column in COLUMNS if column not in predictions.columns]
    if missing:
        raise EvaluationError(
            f"The predictions lack the column {missing[0]!r}; they need {', '.join(COLUMNS)}."
        )
    if predictions.empty:
        raise EvaluationError(
            "The predictions are empty; predict at least one slice of each class."
        )
    table = predictions[COLUMNS].reset_index(drop=True)
    _check_types(table)
    _check_names(table)
    table = table.astype({"patient": str, "slice": str})
    _check_values(table)
    return table.astype({"label": np.int8, "probability": np.float32})


def patient_level(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row a patient: patient, label, probability, call, slices; sorted by patient.

    The label (int8) is 1 where any slice's is; the probability (float32) is the model's own for the
    patient (column `PATIENT_PROBABILITY`), without one the mean of the slices'; the call (bool) is
    hemorrhage where it reaches the threshold; slices is their number.

    Raises:
        EvaluationError: as `slice_level`, or the threshold is not in [0, 1].
    """
    table = slice_level(predictions)
    has_patient_probability = PATIENT_PROBABILITY in predictions.columns
    if has_patient_probability:
        table[PATIENT_PROBABILITY] = patient_probabilities(predictions)
    patients = table.astype({"probability": np.float64}).groupby("patient", sort=True)
    result = patients.agg(
        label=("label", "max"),
        probability=(PATIENT_PROBABILITY, "first")
        if has_patient_probability
        else ("probability", "mean"),
        slices=("label", "size"),
    ).reset_index()
    result["probability"] = result["probability"].astype(np.float32)
    result["call"] = called(result["probability"].to_numpy(), threshold)
    return result[["patient", "label", "probability", "call", "slices"]]


def has_folder_labels(slices: pd.DataFrame) -> bool:
    """Whether slices carry the label of their patient's folder rather than their own.

    Then no patient has slices of both labels, though patients have several slices. Whether a slice
    bleeds is not known in such a set.

    Args:
        slices: patient and label of every slice.
    """
    by_patient = slices.groupby("patient")["label"]
    return bool((by_patient.nunique() == 1).all() and by_patient.size().median() > 1)


def by_folder_label(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions of a model whose slices answer for themselves, as the labels of the set ask.

    Where slices carry the label of their folder, every slice gets its patient's probability. Other
    predictions stay as they are.
    """
    if not has_folder_labels(predictions):
        return predictions
    return predictions.assign(probability=predictions[PATIENT_PROBABILITY])


def patient_probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """(n,) float64, the checked column `PATIENT_PROBABILITY`.

    Raises:
        EvaluationError: it holds no numbers, one out of [0, 1], or two for one patient.
    """
    column = predictions[PATIENT_PROBABILITY]
    if not is_numeric_dtype(column.dtype) or is_complex_dtype(column.dtype):
        raise EvaluationError(f"The patients' probabilities hold {column.dtype}; expected numbers.")
    values = column.to_numpy(np.float64, na_value=np.nan)
    table = pd.DataFrame({"patient": predictions["patient"].to_numpy(), "p": values})
    wrong = ~table["p"].between(0.0, 1.0) | (table.groupby("patient")["p"].transform("nunique") > 1)
    if wrong.any():
        row = table[wrong].iloc[0]
        raise EvaluationError(
            f"Patient {row['patient']} has the probability {row['p']}; expected one number from 0"
            " to 1 for each patient."
        )
    return values


def called(probability: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """(n,) bool: hemorrhage is called where the probability (n,) reaches its threshold.

    Both are compared as float32, so that a probability of 0.7 reaches a threshold of 0.7. The
    threshold is one for all, or one for every probability (n,).
    """
    thresholds = np.asarray(threshold, dtype=np.float64)
    wrong = ~((thresholds >= 0) & (thresholds <= 1))
    if wrong.any():
        first_wrong = thresholds[wrong].flat[0]
        raise EvaluationError(f"The threshold is {first_wrong}; expected a number from 0 to 1.")
    return probability.astype(np.float32) >= thresholds.astype(np.float32)


def _check_types(table: pd.DataFrame) -> None:
    for column in ("label", "probability"):
        kind = table[column].dtype
        if not is_numeric_dtype(kind) or is_complex_dtype(kind):
            raise EvaluationError(
                f"The column {column!r} of the predictions holds {kind}; expected numbers."
            )


def _check_names(table: pd.DataFrame) -> None:
    for column in ("patient", "slice"):
        unnamed = table[column].isna()
        if unnamed.any():
            raise EvaluationError(
                f"Row {unnamed.argmax()} of the predictions has no {column}; name every {column}."
            )


def _check_values(table: pd.DataFrame) -> None:
    _refuse_first(
        table,
        table.duplicated(["patient", "slice"]),
        "is predicted twice; out-of-fold predictions have every slice once, so evaluate one run "
        "at a time.",
    )
    _refuse_first(
        table,
        ~table["label"].isin([0, 1]),
        "has the label {label}; expected 0 (no hemorrhage) or 1 (hemorrhage).",
    )
    _refuse_first(
        table,
        ~table["probability"].between(0.0, 1.0).fillna(False).astype(bool),
        "has the probability {probability}; expected a number from 0 to 1.",
    )


def _refuse_first(table: pd.DataFrame, wrong: pd.Series, what: str) -> None:
    """Raises for the first wrong row; `what` may name its columns in braces."""
    if wrong.any():
        row = table[wrong].iloc[0].to_dict()
        where = "Slice {slice} of patient {patient} "
        raise EvaluationError((where + what).format_map(row))
