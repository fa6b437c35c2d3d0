"""Whether the models in use were trained on a patient: then what they say of them is no test."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from hemodetect.families import FAMILY_NAMES
from hemodetect.models.bundle import PREDICTIONS, TEACHER_PREDICTIONS
from hemodetect.models.promotion import RELEASES

log = logging.getLogger(__name__)


def trained_on(artifacts: Path, patient: str, slices: Collection[str]) -> tuple[str, ...]:
    """Families whose release under `artifacts`, or the network beneath it, has seen this patient.

    A bundle lists the slices of its training as their set names them; a patient of another set may
    have the same name, hardly the same slices.

    Args:
        artifacts: folder of the releases.
        patient: as the set names it.
        slices: names of the patient's slices in the set.
    """
    wanted = set(slices)
    return tuple(
        family
        for family in FAMILY_NAMES
        if wanted
        and any(
            wanted <= _slices(artifacts / RELEASES / family / name, patient)
            for name in (PREDICTIONS, TEACHER_PREDICTIONS)
        )
    )


def _slices(predictions: Path, patient: str) -> set[str]:
    if not predictions.is_file():
        return set()
    try:
        rows = pd.read_parquet(predictions, columns=["slice"], filters=[("patient", "==", patient)])
    except (OSError, ValueError) as error:  # a release whose files do not fit is not loaded either
        log.warning("what %s was trained on is not known: %s", predictions.parent.name, error)
        return set()
    return set(rows["slice"])
