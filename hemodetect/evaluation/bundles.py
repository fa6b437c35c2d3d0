"""A bundle's out-of-fold predictions as figures."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hemodetect.errors import BundleError
from hemodetect.evaluation.metrics import scores
from hemodetect.evaluation.table import Evaluated
from hemodetect.models.bundle import PREDICTIONS, SPLIT, read_card


def evaluated_bundle(folder: Path, fingerprint: str | None = None) -> Evaluated:
    """Figures of the bundle in `folder`, computed anew from its predictions.

    Args:
        folder: a bundle, with or without weights.
        fingerprint: of the data set the predictions must have been made on; None: any.

    Raises:
        BundleError: no whole bundle, or made on another data set.
    """
    card = read_card(folder)
    missing = {PREDICTIONS, SPLIT} - set(card.files)
    if missing:
        raise BundleError(f"{folder}: its card lists no {min(missing)}; it cannot be evaluated.")
    if fingerprint not in (None, card.fingerprint):
        raise BundleError(
            f"{folder}: made on data set {card.fingerprint}, not on this one ({fingerprint})."
        )
    predictions = pd.read_parquet(folder / PREDICTIONS)
    groups = json.loads((folder / SPLIT).read_text())["groups"]
    by_slice, by_patient = (
        scores(predictions, level=level, threshold=card.threshold, groups=groups)
        for level in ("slice", "patient")
    )
    return Evaluated(
        family=card.family,
        recipe=card.recipe,
        split=card.split,
        slice_scores=by_slice,
        patient_scores=by_patient,
        training_seconds=sum(card.seconds.values()),
    )
