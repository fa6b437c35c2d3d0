"""Whether a new bundle is better than the release, on patients that neither was trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.evaluation.differences import (
    PairedDifference,
    accuracy_difference,
    auroc_difference,
)
from hemodetect.evaluation.levels import (
    EvaluationError,
    Level,
    by_folder_label,
    called,
    has_folder_labels,
    patient_level,
    slice_level,
)
from hemodetect.evaluation.metrics import group_codes, judged
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.registry.bundle import PREDICTIONS, SPLIT, Card, read_card
from hemodetect.registry.known_slices import KnownSlices
from hemodetect.validation.external_validation import Progress, compare_bundles


@dataclass(frozen=True)
class ReleaseComparison:
    """Figures of a new bundle minus those of the release, by slice or by patient.

    Attributes:
        auroc: difference of the AUROC, -1 to 1.
        accuracy: difference of the accuracy, -1 to 1, each bundle at its own operating point.
    """

    auroc: PairedDifference
    accuracy: PairedDifference


def compare_with_release(new: Path, release: Path) -> dict[Level, ReleaseComparison]:
    """Paired differences of the out-of-fold predictions of two bundles, by level.

    Args:
        new, release: folders of two bundles of the patient split on the same data. Their folds may
            differ, because every prediction is of a patient that the model was not trained on.

    Raises:
        BundleError: a bundle is missing or damaged.
        EvaluationError: the two do not predict the same slices of the same data out-of-fold.
    """
    cards = [read_card(folder) for folder in (new, release)]
    for card in cards:
        if card.split != "patient" or not {PREDICTIONS, SPLIT} <= set(card.files):
            raise EvaluationError(
                f"{card.version} has no out-of-fold predictions of unseen patients (split"
                f" {card.split}), so it cannot be compared."
            )
    if cards[0].fingerprint != cards[1].fingerprint:
        raise EvaluationError(
            f"{cards[0].version} and {cards[1].version} were measured on different data; measure"
            " both on one set with `hemodetect evaluate --data`, and look at the Compare page."
        )
    tables = [pd.read_parquet(folder / PREDICTIONS) for folder in (new, release)]
    groups = json.loads((new / SPLIT).read_text())["groups"]
    return {level: _differences(level, tables, cards, groups) for level in get_args(Level)}


def measured_with_release(
    new: Path, release: Path, dataset: Dataset, progress: Progress = lambda _: None
) -> dict[Level, ReleaseComparison]:
    """The same on one data set for bundles that were trained on different data.

    A bundle that was trained on the set answers out-of-fold, any other by its model.

    Args:
        new, release: folders of two bundles of the patient split.
        dataset: what both are measured on.
        progress: takes a line of text.

    Raises:
        BundleError: a bundle is missing or damaged, or has no model.
        EvaluationError: a bundle was trained on a part of the set's patients, by another set.
    """
    # One at a time: both may be of one family and recipe, which one comparison does not hold twice.
    for folder in (new, release):
        _check_unseen(folder, dataset)
    comparisons = [compare_bundles([folder], [dataset], progress) for folder in (new, release)]
    models = [comparison.models[0] for comparison in comparisons]
    groups = patient_groups(dataset)
    found: dict[Level, ReleaseComparison] = {}
    for level in get_args(Level):
        tables = [comparison.cases(level) for comparison in comparisons]
        cases = tables[0]
        labels = cases["label"].to_numpy()
        codes = group_codes(cases["patient"], groups)
        probabilities = [
            table[model.key].to_numpy() for table, model in zip(tables, models, strict=True)
        ]
        limits = [
            model.threshold
            if level == "patient" or model.slice_threshold is None
            else model.slice_threshold
            for model in models
        ]
        drawn = judged(level, labels, probabilities[0], codes).drawn
        calls = [called(p, limit) for p, limit in zip(probabilities, limits, strict=True)]
        found[level] = ReleaseComparison(
            auroc=auroc_difference(labels, probabilities[0], probabilities[1], codes, drawn),
            accuracy=accuracy_difference(labels, calls[0], calls[1], codes, drawn),
        )
    return found


def _check_unseen(folder: Path, dataset: Dataset) -> None:
    """Raises `EvaluationError` where a bundle of another set knows patients of this one."""
    card = read_card(folder)
    trained_on = (card.fingerprint, card.backbone_fingerprint, *card.backbone_parts.values())
    known = KnownSlices.of(folder, card)
    if dataset.fingerprint in trained_on or known is None:
        return
    hashes = slice_hashes(dataset.grey(HASH_SIDE))
    shared = known.patients_among(hashes, dataset.slices["patient"].to_numpy())
    if shared:
        raise EvaluationError(
            f"{card.version} was trained on {len(shared)} patients of {dataset.root.name} in another"
            " set, so the two cannot be compared on it."
        )


def _differences(
    level: Level, tables: list[pd.DataFrame], cards: list[Card], groups: dict[str, str]
) -> ReleaseComparison:
    thresholds = [card.threshold for card in cards]
    if level == "slice":
        own = [card.slice_threshold for card in cards]
        pairs = list(zip(tables, own, strict=True))
        tables = [table if limit is None else by_folder_label(table) for table, limit in pairs]
        if not has_folder_labels(tables[0]):
            thresholds = [
                card.threshold if o is None else o for card, o in zip(cards, own, strict=True)
            ]
    keys = ["patient", "slice"] if level == "slice" else ["patient"]
    first, second = (
        (slice_level(table) if level == "slice" else patient_level(table, threshold))
        .sort_values(keys)
        .reset_index(drop=True)
        for table, threshold in zip(tables, thresholds, strict=True)
    )
    if not first[[*keys, "label"]].equals(second[[*keys, "label"]]):
        raise EvaluationError(
            f"{cards[0].version} and {cards[1].version} do not predict the same {level}s."
        )
    labels, codes = first["label"].to_numpy(), group_codes(first["patient"], groups)
    probabilities = [table["probability"].to_numpy() for table in (first, second)]
    drawn = judged(level, labels, probabilities[0], codes).drawn
    calls = [called(p, limit) for p, limit in zip(probabilities, thresholds, strict=True)]
    return ReleaseComparison(
        auroc=auroc_difference(labels, probabilities[0], probabilities[1], codes, drawn),
        accuracy=accuracy_difference(labels, calls[0], calls[1], codes, drawn),
    )
