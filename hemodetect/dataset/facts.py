"""Facts about every slice other than its label: position, kind of hemorrhage, age and sex."""

from __future__ import annotations

import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.position import slice_positions
from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import DatasetError

_DEMOGRAPHICS = "patient_demographics.csv"
_AGES = ((18, "under 18"), (40, "18 to 39"), (65, "40 to 64"), (200, "65 and over"))


def case_facts(dataset: Dataset) -> pd.DataFrame:
    """Rows as in `dataset.slices`, columns position, subtype, age, sex; "" where unknown.

    A slice with several subtypes is named after all of them, joined by " + ". Ages are in bands.
    Age and sex come from ct-ich's table of patients.
    """
    slices = dataset.slices
    facts = pd.DataFrame({"position": slice_positions(dataset)}, index=slices.index)
    facts["position"] = facts["position"].replace("unknown", "")
    facts["subtype"] = _subtypes(slices)
    people = _people(dataset)
    for column in ("age", "sex"):
        facts[column] = [people[column].get(patient, "") for patient in slices["patient"]]
    return facts


def _subtypes(slices: pd.DataFrame) -> pd.Series:
    if not set(SUBTYPES) <= set(slices.columns):
        return pd.Series("", index=slices.index)
    rows = slices[list(SUBTYPES)].to_numpy() > 0
    names = [
        " + ".join(n.lower() for n, present in zip(SUBTYPES, row, strict=True) if present)
        for row in rows
    ]
    return pd.Series(names, index=slices.index)


def _people(dataset: Dataset) -> pd.DataFrame:
    path = dataset.root / _DEMOGRAPHICS
    if not path.is_file():
        return pd.DataFrame({"age": [], "sex": []}, dtype=str)
    table = pd.read_csv(path)
    needed = ("Patient Number", "Age\n(years)", "Gender")
    missing = [column for column in needed if column not in table]
    if missing:
        raise DatasetError(f"{path}: column {missing[0]!r} is missing.")
    number, age, sex = (table[column] for column in needed)
    people = pd.DataFrame({"age": age.map(_age_band), "sex": sex.fillna("").str.lower()})
    return people.set_index(number.astype(int).astype(str).str.zfill(3))


def _age_band(years: float) -> str:
    return next((name for below, name in _AGES if years < below), "")
