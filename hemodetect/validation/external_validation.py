"""Predictions of bundles on labelled data sets: out-of-fold on their own set, external on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

Progress = Callable[[str], None]
"""Takes one line of text."""


def compare_bundles(
    folders: Sequence[Path], datasets: Sequence[Dataset], progress: Progress = lambda _: None
) -> Comparison:
    """Predictions of every bundle for every slice of the data sets.

    If the bundle or its backbone was trained on a data set, its out-of-fold predictions are read from
    the bundle, because its model has seen these patients. On any other data set its model predicts
    (external validation).

    Args:
        folders: bundles of the patient split.
        datasets: each is named by its folder; two with the same name are refused.
        progress: called once per bundle and data set.

    Raises:
        BundleError: a bundle is missing, damaged, of the paper split, or has no model for a data set
            that it was not trained on.
        EvaluationError: two data sets or two bundles of one name, bundles with different splits of
            one data set, or a bundle without predictions for some slices.
    """
    sets = {dataset.root.name: dataset for dataset in datasets}
    if len(sets) < len(datasets):
        raise EvaluationError("Two data sets have the same folder name; rename one of them.")
    cards = [_patient_split_card(folder) for folder in folders]
    keys = _model_keys(cards)
    cases: list[pd.DataFrame] = []
    predictions: dict[str, list[pd.DataFrame]] = {key: [] for key in keys}
    for name, dataset in sets.items():
        files = [_out_of_fold_files(card, dataset) for card in cards]
        splits = [
            _split(folder / file.split, file.part, dataset)
            for folder, file in zip(folders, files, strict=True)
            if file
        ]
        cases.append(_case_table(name, dataset, splits, progress))
        for key, folder, file in zip(keys, folders, files, strict=True):
            progress(f"{name}: {key}, {'out-of-fold' if file else 'external validation'}")
            table = (
                _of_part(pd.read_parquet(folder / file.predictions), file.part)
                if file
                else _model_predictions(folder, dataset)
            )
            predictions[key].append(table.assign(set=name))
    models = [
        ComparedModel(
            key=key,
            family=card.family,
            recipe=card.recipe,
            version=card.version,
            threshold=card.threshold,
            threshold_reason=card.threshold_reason,
            slice_threshold=card.slice_threshold,
            origins={name: _origin(card, dataset) for name, dataset in sets.items()},
        )
        for key, card in zip(keys, cards, strict=True)
    ]
    return compared(
        models,
        {name: dataset.fingerprint for name, dataset in sets.items()},
        pd.concat(cases, ignore_index=True),
        {key: pd.concat(tables, ignore_index=True) for key, tables in predictions.items()},
        datetime.now(UTC).date().isoformat(),
    )


def _patient_split_card(folder: Path) -> Card:
    card = read_card(folder)
    if card.split != "patient":
        raise BundleError(
            f"{folder}: the bundle is of the {card.split} split, whose figures leak; give bundles of"
            " the patient split."
        )
    return card


def _model_keys(cards: Sequence[Card]) -> list[str]:
    """The family of each bundle, with its recipe if several bundles are of that family."""
    families = [card.family for card in cards]
    keys = [
        card.family if families.count(card.family) == 1 else f"{card.family} {card.recipe}"
        for card in cards
    ]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise EvaluationError(f"Two bundles are both {repeated[0]}; give one bundle per recipe.")
    return keys


def _origin(card: Card, dataset: Dataset) -> Origin:
    return "out-of-fold" if _out_of_fold_files(card, dataset) else "outside"


@dataclass(frozen=True)
class _OutOfFold:
    """Files of a bundle, and which part of a joined set they are read for; None for the whole."""

    predictions: str
    split: str
    part: str | None = None


def _out_of_fold_files(card: Card, dataset: Dataset) -> _OutOfFold | None:
    """The bundle's predictions and split for a data set it was trained on; else None."""
    if card.fingerprint == dataset.fingerprint:
        return _OutOfFold(PREDICTIONS, SPLIT)
    parts = {fingerprint: name for name, fingerprint in card.backbone_parts.items()}
    if dataset.fingerprint in (card.backbone_fingerprint, *parts):
        # A model without a set of its own has the predictions on its backbone's set as its own.
        return _OutOfFold(
            card.backbone_predictions or PREDICTIONS,
            card.backbone_split or SPLIT,
            parts.get(dataset.fingerprint),
        )
    return None


def _of_part(table: pd.DataFrame, part: str | None) -> pd.DataFrame:
    """The rows of one set from the predictions of a joined set, under the set's own names."""
    if part is None:
        return table
    of_part = table[table["patient"].str.startswith(f"{part}/")]
    names = {column: of_part[column].str[len(part) + 1 :] for column in ("patient", "slice")}
    return of_part.assign(**names)


def _split(path: Path, part: str | None, dataset: Dataset) -> Split:
    """The folds of a data set from its own split, or from that of a set that it was joined into."""
    if part is None:
        return Split.read(path, dataset)
    return Split.read(path).of_part(part, dataset.fingerprint)


def _case_table(
    name: str, dataset: Dataset, splits: Sequence[Split], progress: Progress
) -> pd.DataFrame:
    """One row per slice. Groups and folds are those of the bundles trained on the data set, if any."""
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    fold = np.full(len(table), NO_FOLD, np.int16)
    if splits:
        first = splits[0]
        if any((s.groups, s.folds) != (first.groups, first.folds) for s in splits):
            raise EvaluationError(
                f"The bundles were trained on different splits of {name}; train them on one split"
                " (`train --split BUNDLE/split.json`) to compare them."
            )
        groups = first.groups
        for number in range(len(first.folds)):
            fold[first.test_mask(table, number)] = number
    else:
        progress(f"{name}: looking for folders of the same person")
        groups = patient_groups(dataset)
    facts = case_facts(dataset).reset_index(drop=True)
    table = table.assign(set=name, fold=fold, group=name + "/" + table["patient"].map(groups))
    return pd.concat([table, facts], axis=1)


def _model_predictions(folder: Path, dataset: Dataset) -> pd.DataFrame:
    model = load_bundle(folder)
    grey = dataset.grey(model.fitted.size)
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    return pd.concat(
        [table, predicted_slices(model.fitted, grey, dataset.slices.reset_index())], axis=1
    )
