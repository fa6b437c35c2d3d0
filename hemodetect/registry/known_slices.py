"""The slices a bundle was trained on, and what models said of them that had not seen the patient.

A study is known by what its slices show, not by names: the same pictures come as folder, zip, renamed
and compressed again. At least 60 % of its slices must be alike those of one patient. On near-east and
ct-ich two scans of one person reach 97 %, different persons 25 % at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.imaging.sampling import evenly_spaced
from hemodetect.preprocessing.slice_hash import differing_bits
from hemodetect.registry.bundle import PREDICTIONS, Card

HASH_COLUMN = "pixel_hash"
"""Column of the tables of predictions: `slice_hashes` of each slice."""

_ALIKE_BITS = 2
_KNOWN_SHARE = 0.6
_FEWEST_SLICES = 5
_LOOKED_AT = 64


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers of models that had not seen the patient.

    Attributes:
        slices: (n,) float32, in the order of the study.
        patient: probability for the patient.
    """

    slices: np.ndarray
    patient: float


@dataclass(frozen=True, eq=False)
class KnownSlices:
    """Hashes of the training slices with their out-of-fold answers.

    Attributes:
        hashes: (m,) uint64, grouped by patient.
        starts: (k,) int64, the first row of each patient.
        probability, patient_probability: (m,) float32.
    """

    hashes: np.ndarray
    starts: np.ndarray
    probability: np.ndarray
    patient_probability: np.ndarray

    @classmethod
    def of(cls, folder: Path, card: Card) -> KnownSlices | None:
        """Of a bundle; None where it has no hashes, as those made before them."""
        columns = ["patient", "probability", "patient_probability", HASH_COLUMN]
        tables = []
        for number, file in enumerate((PREDICTIONS, card.backbone_predictions)):
            if file in card.files:
                table = pd.read_parquet(folder / file)
                if set(columns) <= set(table.columns):
                    tables.append(table[columns].assign(part=number))
        if not tables:
            return None
        rows = pd.concat(tables, ignore_index=True).sort_values(["part", "patient"], kind="stable")
        person = rows["part"].astype(str) + "/" + rows["patient"].astype(str)
        starts = np.flatnonzero(person.ne(person.shift()).to_numpy())
        return cls(
            rows[HASH_COLUMN].to_numpy(np.uint64),
            starts,
            rows["probability"].to_numpy(np.float32),
            rows["patient_probability"].to_numpy(np.float32),
        )

    def patients_among(self, hashes: np.ndarray, patients: np.ndarray) -> list[str]:
        """The patients of a data set that are known.

        Args:
            hashes: (n,) uint64 of its slices.
            patients: (n,) whose slice each is.
        """
        return [
            str(patient)
            for patient in np.unique(patients)
            if self.out_of_fold(hashes[patients == patient])
        ]

    def out_of_fold(self, hashes: np.ndarray) -> OutOfFold | None:
        """The out-of-fold answers for a study of these hashes; None where its patient is not known.

        A slice that is not among the patient's gets the answer of the one most like it.
        """
        best = self._patient_of(hashes[looked_at(len(hashes))])
        if best is None:
            return None
        ends = [*self.starts[1:], len(self.hashes)]
        rows = np.arange(self.starts[best], ends[best])
        nearest = rows[np.argmin(differing_bits(hashes, self.hashes[rows]), axis=1)]
        return OutOfFold(self.probability[nearest], float(self.patient_probability[rows[0]]))

    def knows(self, hashes: np.ndarray) -> bool:
        """Whether a study is of a known patient, by the hashes of its slices `looked_at`."""
        return self._patient_of(hashes) is not None

    def _patient_of(self, hashes: np.ndarray) -> int | None:
        """Which patient has slices alike, counted from 0."""
        if len(hashes) < _FEWEST_SLICES:
            return None
        alike = differing_bits(hashes, self.hashes) <= _ALIKE_BITS
        share = np.logical_or.reduceat(alike, self.starts, axis=1).mean(axis=0)
        best = int(np.argmax(share))
        return best if share[best] >= _KNOWN_SHARE else None


def looked_at(count: int) -> np.ndarray:
    """Indices of the slices by which a study of `count` slices is known: some of many suffice."""
    return evenly_spaced(count, _LOOKED_AT)
