"""Figures of bundles from their out-of-fold predictions, and of the models of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hemodetect.errors import BundleError
from hemodetect.evaluation.comparison import Comparison, judged_models
from hemodetect.evaluation.levels import LEVELS, has_folder_labels
from hemodetect.evaluation.metrics import level_scores
from hemodetect.evaluation.table import Evaluated
from hemodetect.registry.bundle import PREDICTIONS, SPLIT, read_card


def evaluated_bundle(folder: Path) -> Evaluated:
    """Figures of the bundle in `folder`, computed from its out-of-fold predictions.

    Args:
        folder: a bundle, with or without weights.

    Raises:
        BundleError: the bundle is missing or damaged, or holds no predictions or no split.
        EvaluationError: its predictions are of one class only, or are invalid.
    """
    card = read_card(folder)
    missing = {PREDICTIONS, SPLIT} - set(card.files)
    if missing:
        raise BundleError(f"{folder}: the card lists no {min(missing)}, so it cannot be evaluated.")
    predictions = pd.read_parquet(folder / PREDICTIONS)
    groups = json.loads((folder / SPLIT).read_text())["groups"]
    by_slice, by_patient = (
        level_scores(
            predictions,
            level,
            threshold=card.threshold,
            slice_threshold=card.slice_threshold,
            groups=groups,
        )
        for level in LEVELS
    )
    return Evaluated(
        family=card.family,
        recipe=card.recipe,
        split=card.split,
        slice_scores=by_slice,
        patient_scores=by_patient,
        folder_label=has_folder_labels(predictions),
        training_seconds=sum(card.seconds.values()),
    )


def evaluated_models(comparison: Comparison) -> list[Evaluated]:
    """Figures of every model on every data set of a comparison, at the model's operating point.

    Raises:
        EvaluationError: a data set has one class only.
    """
    rows = []
    for name in comparison.fingerprints:
        of_set = comparison.only((comparison.slices["set"] == name).to_numpy())
        by_slice, by_patient = (judged_models(of_set, level) for level in LEVELS)
        of_slices = of_set.released_thresholds("slice")
        rows += [
            Evaluated(
                family=model.family,
                recipe=model.recipe,
                split="patient" if model.origins[name] == "out-of-fold" else f"external: {name}",
                slice_scores=by_slice[model.key].at(of_slices[model.key]),
                patient_scores=by_patient[model.key].at(model.threshold),
                folder_label=bool(of_set.folder_labelled()),
                training_seconds=None,
            )
            for model in of_set.models
        ]
    return rows
