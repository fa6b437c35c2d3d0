"""Whether the models in use were trained on a patient: then what they say of them is no test."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import PREDICTIONS, TEACHER_PREDICTIONS, read_card
from hemodetect.registry.promotion import RELEASES

log = logging.getLogger(__name__)


def trained_on(artifacts: Path, patient: str, slices: Collection[str]) -> dict[str, bool]:
    """Version -> whether that model in use, or the network beneath it, has seen this patient.

    A bundle lists the slices of its training as their set names them. Half of the patient's are
    enough, for pictures come and go; a patient of another set may have the same name, hardly the same
    slices. A release that cannot be read is left out.

    Args:
        artifacts: folder of the releases.
        patient: as the set names it.
        slices: names of the patient's slices in the set; none of whom no set knows.
    """
    wanted, found = set(slices), {}
    for family in FAMILY_NAMES:
        folder = artifacts / RELEASES / family
        try:
            version = read_card(folder).version
            shared = max(
                len(wanted & _slices(folder / name, patient))
                for name in (PREDICTIONS, TEACHER_PREDICTIONS)
            )
        except (BundleError, OSError, ValueError) as error:
            log.warning("what %s was trained on is not known: %s", family, error)
            continue
        found[version] = 0 < len(wanted) <= 2 * shared
    return found


def _slices(predictions: Path, patient: str) -> set[str]:
    if not predictions.is_file():
        return set()
    of_patient = [("patient", "==", patient)]
    return set(pd.read_parquet(predictions, columns=["slice"], filters=of_patient)["slice"])
