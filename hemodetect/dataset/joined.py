"""Several labelled sets as one: a text file whose name ends in ``.sets`` and holds a folder a line.

A relative folder starts from the file's own. Patients, series and slices keep their names, after the
name of their set: ``ct-ich/049``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.dataset.slice_tables import BOXES, SUBTYPES
from hemodetect.errors import DatasetError

SUFFIX = ".sets"
SET = "set"
"""Column of a joined table: name of the set that a slice comes from."""
UNKNOWN = -1
"""Value of a kind of hemorrhage in a set that does not say."""


def folders_of(file: Path) -> list[Path]:
    """The folders that a file of sets names.

    Raises:
        DatasetError: it cannot be read, or names fewer than two sets, or two of one name.
    """
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file}: not a list of sets ({error}).") from error
    folders = [file.parent / line for line in lines if line and not line.startswith("#")]
    names = {folder.name for folder in folders}
    if len(folders) < 2 or len(names) < len(folders):
        raise DatasetError(f"{file}: name two sets or more, a folder a line, each once.")
    return folders


def joined_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of several sets under one another, by name of the set."""
    parts = []
    for name, table in tables.items():
        part = table.assign(**{SET: name})
        for column in ("file", "slice", "patient"):
            part[column] = name + "/" + part[column].astype(str)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    for kind in SUBTYPES:
        values = table[kind] if kind in table.columns else pd.Series(np.nan, index=table.index)
        table[kind] = values.fillna(UNKNOWN).astype("int8")
    boxes = table[BOXES] if BOXES in table.columns else pd.Series("", index=table.index)
    table[BOXES] = boxes.fillna("")
    return table


def joined_fingerprint(fingerprints: list[str]) -> str:
    """Digest of the sets' fingerprints, in any order: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(fingerprints)).encode()).hexdigest()[:16]


def joined_groups(groups: dict[str, dict[str, str]]) -> dict[str, str]:
    """Patient groups of a joined set from those of its sets.

    Whether a person is in two of the sets is not looked for here (`groups.patient_groups`).
    """
    return {
        f"{name}/{patient}": f"{name}/{group}"
        for name, of_set in groups.items()
        for patient, group in of_set.items()
    }
