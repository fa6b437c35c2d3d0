"""Bundles on labelled sets: out-of-fold where they were trained on a set, else put to the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.facts import case_facts
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.evaluation.comparison import (
    NO_FOLD,
    ComparedModel,
    Comparison,
    Origin,
    compared,
)
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.models.interface import predicted_slices
from hemodetect.registry.bundle import (
    PREDICTIONS,
    SPLIT,
    Card,
    read_card,
)
from hemodetect.registry.releases import load_bundle

Report = Callable[[str], None]


def compare_bundles(
    folders: Sequence[Path], datasets: Sequence[Dataset], report: Report = lambda _: None
) -> Comparison:
    """Predictions of every bundle for every slice of the sets.

    On a set a bundle was trained on, or its backbone, these are its out-of-fold predictions; its
    model, which knows those patients, is not asked. On any other set it is.

    Args:
        folders: bundles made under the patient split.
        datasets: named by their folder; no two of one name.
        report: takes a line of progress.

    Raises:
        BundleError: a bundle is missing, altered, made under the paper split, or has no model and
            was not trained on a set.
        EvaluationError: two sets of one name, or a bundle that misses slices of its own set.
    """
    sets = {dataset.root.name: dataset for dataset in datasets}
    if len(sets) < len(datasets):
        raise EvaluationError("Two data sets have the same folder name; rename one of them.")
    cards = [_judgeable(folder) for folder in folders]
    keys = _keys(cards)
    facts: list[pd.DataFrame] = []
    parts: dict[str, list[pd.DataFrame]] = {key: [] for key in keys}
    for name, dataset in sets.items():
        files = [_out_of_fold(card, dataset) for card in cards]
        splits = [
            Split.read(folder / file[1], dataset)
            for folder, file in zip(folders, files, strict=True)
            if file
        ]
        facts.append(_facts(name, dataset, splits, report))
        for key, folder, file in zip(keys, folders, files, strict=True):
            report(f"{name}: {key}, {'out-of-fold' if file else 'outside test'}")
            found = pd.read_parquet(folder / file[0]) if file else _predicted(folder, dataset)
            parts[key].append(found.assign(set=name))
    models = [
        ComparedModel(
            key=key,
            family=card.family,
            recipe=card.recipe,
            version=card.version,
            threshold=card.threshold,
            threshold_reason=card.threshold_reason,
            origins={name: _origin(card, dataset) for name, dataset in sets.items()},
        )
        for key, card in zip(keys, cards, strict=True)
    ]
    return compared(
        models,
        {name: dataset.fingerprint for name, dataset in sets.items()},
        pd.concat(facts, ignore_index=True),
        {key: pd.concat(tables, ignore_index=True) for key, tables in parts.items()},
        datetime.now(UTC).date().isoformat(),
    )


def _judgeable(folder: Path) -> Card:
    card = read_card(folder)
    if card.split != "patient":
        raise BundleError(
            f"{folder}: made under the {card.split} split, whose figures leak; give bundles of the"
            " patient split."
        )
    return card


def _keys(cards: Sequence[Card]) -> list[str]:
    """The family, or family and recipe where a family stands twice."""
    families = [card.family for card in cards]
    keys = [
        card.family if families.count(card.family) == 1 else f"{card.family} {card.recipe}"
        for card in cards
    ]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise EvaluationError(f"Two bundles are both {twice[0]}; give one bundle a recipe.")
    return keys


def _origin(card: Card, dataset: Dataset) -> Origin:
    return "out-of-fold" if _out_of_fold(card, dataset) else "outside"


def _out_of_fold(card: Card, dataset: Dataset) -> tuple[str, str] | None:
    """Files of the predictions and the split of a set a bundle was trained on; None of any other."""
    if card.fingerprint == dataset.fingerprint:
        return PREDICTIONS, SPLIT
    if card.backbone_fingerprint == dataset.fingerprint:
        assert card.backbone_predictions is not None
        assert card.backbone_split is not None
        return card.backbone_predictions, card.backbone_split
    return None


def _facts(name: str, dataset: Dataset, splits: Sequence[Split], report: Report) -> pd.DataFrame:
    """A row a slice; groups and folds are those of the bundles trained on the set, if any."""
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    fold = np.full(len(table), NO_FOLD, np.int16)
    if splits:
        first = splits[0]
        if any((s.groups, s.folds) != (first.groups, first.folds) for s in splits):
            raise EvaluationError(
                f"The bundles were trained on unlike splits of {name}; train them on one split"
                " (`train --split BUNDLE/split.json`) to compare them."
            )
        groups = first.groups
        for number in range(len(first.folds)):
            fold[first.test_mask(table, number)] = number
    else:
        report(f"{name}: looking for folders of one person")
        groups = patient_groups(dataset)
    facts = case_facts(dataset).reset_index(drop=True)
    table = table.assign(set=name, fold=fold, group=name + "/" + table["patient"].map(groups))
    return pd.concat([table, facts], axis=1)


def _predicted(folder: Path, dataset: Dataset) -> pd.DataFrame:
    model = load_bundle(folder)
    grey = dataset.grey(model.fitted.size)
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    return pd.concat(
        [table, predicted_slices(model.fitted, grey, dataset.slices.reset_index())], axis=1
    )
