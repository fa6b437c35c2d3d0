"""Whether the models in use were trained on a patient: then their answers are no test."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd

from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import PREDICTIONS, read_card
from hemodetect.registry.promotion import RELEASES

log = logging.getLogger(__name__)


def trained_on(artifacts: Path, patient: str, slices: Collection[str]) -> dict[str, bool]:
    """Version -> whether that model in use, or its backbone, was trained on this patient.

    A bundle lists the slices of its training as their set names them. Half of the patient's slices are
    enough, because files are added and removed; a patient of another set may have the same name, but
    rarely the same slices. A release that cannot be read is left out.

    Args:
        artifacts: folder of the releases.
        patient: as the set names it.
        slices: names of the patient's slices in the set; empty for a patient that no set has.
    """
    names, known = set(slices), {}
    for family in FAMILY_NAMES:
        folder = artifacts / RELEASES / family
        try:
            card = read_card(folder)
            shared = max(
                len(names & listed)
                for file in (PREDICTIONS, card.backbone_predictions)
                if file in card.files
                for listed in _slices(folder / file, patient, ["", *card.backbone_parts])
            )
        except (BundleError, OSError, ValueError) as error:
            log.warning("what %s was trained on is not known: %s", family, error)
            continue
        known[card.version] = 0 < len(names) <= 2 * shared
    return known


def _slices(predictions: Path, patient: str, parts: Sequence[str]) -> Iterator[set[str]]:
    """Slices of a patient of this name in each set that may have been joined, as the set names them."""
    names = {f"{part}/{patient}" if part else patient: part for part in parts}
    chosen = [("patient", "in", list(names))]
    table = pd.read_parquet(predictions, columns=["patient", "slice"], filters=chosen)
    yield set()
    for name, rows in table.groupby("patient"):
        start = f"{names[str(name)]}/" if names[str(name)] else ""
        yield {str(one).removeprefix(start) for one in rows["slice"]}
