"""How well labels can be predicted from properties that are not anatomy (shortcuts).

From each property alone, a small model predicts the labels of patients it was not trained on. Where
it is better than chance, an image model may learn this property instead of disease.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.encoding import encodings
from hemodetect.dataset.heads import spread_rows
from hemodetect.dataset.splits import group_labels
from hemodetect.preprocessing.head import MASK_SIDE, head_mask

CHANCE = 0.5
"""AUROC of a random prediction."""
_PER_PATIENT = 40
_FOLDS = 5
_SHUFFLES = 2
_BORDER = 4  # pixels of 128
_TILE = 8  # pixels of 128: the grid on which border and head-rest are averaged


@dataclass(frozen=True)
class Shortcut:
    """How well one property that is not anatomy predicts the labels.

    Attributes:
        source: the property.
        auroc_slice: mean over folds of held-out patient groups.
        auroc_patient: the same for a patient group's mean.
        chance_patient: (lowest, highest) AUROC by patient that 95 % of random predictions reach.
        slices, patients: how many were predicted.
        sentence: what it means, in words.
    """

    source: str
    auroc_slice: float
    auroc_patient: float
    chance_patient: tuple[float, float]
    slices: int
    patients: int
    sentence: str


def shortcuts(dataset: Dataset, groups: Mapping[str, str]) -> tuple[Shortcut, ...]:
    """One entry a source, on evenly spread slices; empty where a class has fewer than two patients."""
    rows = np.sort(np.concatenate(list(spread_rows(dataset.slices, _PER_PATIENT).values())))
    table = dataset.slices.iloc[rows].reset_index(drop=True)
    labels, row_groups = table["label"].to_numpy(), table["patient"].map(groups).to_numpy()
    by_group = group_labels(table, groups)
    positive, negative = int(by_group.sum()), int((by_group == 0).sum())
    if min(positive, negative) < 2:
        return ()
    # Standard error of AUROC without any effect: Hanley and McNeil, Radiology 1982, 143(1), 29-36.
    error = math.sqrt((positive + negative + 1) / (12 * positive * negative))
    chance = (max(0.0, CHANCE - 1.96 * error), min(1.0, CHANCE + 1.96 * error))
    grey = np.asarray(dataset.grey(MASK_SIDE)[rows])
    sources = {
        "image border": _border(grey),
        "head-rest": _head_rest(grey),
        "file size": np.log(table[["size"]].to_numpy(float)),
        "slice order": _order(dataset.slices, rows, dataset.grey(MASK_SIDE)),
        "image shape": table[["rows", "columns"]].to_numpy(float),
        "file encoding": encodings(dataset.root, table["file"]),
    }
    folds = min(_FOLDS, positive, negative)
    results = []
    for source, features in sources.items():
        # Trees this small gain nothing from more threads. While a training used the same cores, several
        # threads took over ten minutes where one thread takes seconds.
        with threadpool_limits(1):
            by_slice, by_patient = _predicted_auroc(features, labels, row_groups, folds)
        sentence = _sentence(source, by_patient, chance)
        results.append(
            Shortcut(source, by_slice, by_patient, chance, len(rows), len(by_group), sentence)
        )
    return tuple(results)


def _predicted_auroc(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int
) -> tuple[float, float]:
    """AUROC by slice and by patient group, each taken within a fold and averaged over folds.

    Pooled over folds, a constant prediction would score below chance: a fold with fewer bleeds leaves
    more of them for training, so its predictions are higher.
    """
    if (features == features[0]).all():
        return CHANCE, CHANCE  # no tree can split a constant
    by_slice, by_patient = [], []
    for seed in range(_SHUFFLES):
        cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for train, test in cut.split(features, labels, groups):
            if min(len(set(labels[train])), len(set(labels[test]))) < 2:
                continue
            model = HistGradientBoostingClassifier(
                max_iter=60, max_depth=3, early_stopping=False, random_state=0
            )
            probability = model.fit(features[train], labels[train]).predict_proba(features[test])[
                :, 1
            ]
            # Equal probabilities must stay equal when averaged.
            probability = probability.round(6)
            by_slice.append(roc_auc_score(labels[test], probability))
            table = pd.DataFrame(
                {"group": groups[test], "label": labels[test], "probability": probability}
            )
            means = (
                table.groupby("group")
                .agg(label=("label", "max"), probability=("probability", "mean"))
                .round(6)
            )
            if means["label"].nunique() == 2:
                by_patient.append(roc_auc_score(means["label"], means["probability"]))
    return _mean(by_slice), _mean(by_patient)


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 3) if values else CHANCE


def _border(grey: np.ndarray) -> np.ndarray:
    """(n, 64): the four outer edges, averaged in tiles."""
    edges = (
        grey[:, :_BORDER],
        grey[:, -_BORDER:],
        grey[:, :, :_BORDER].transpose(0, 2, 1),
        grey[:, :, -_BORDER:].transpose(0, 2, 1),
    )
    tiles = [e.reshape(len(grey), _BORDER, -1, _TILE).mean(axis=(1, 3)) for e in edges]
    return np.concatenate(tiles, axis=1)


def _head_rest(grey: np.ndarray) -> np.ndarray:
    """(n, 128): the lower half in tiles; the head and its margin are black."""
    outside = np.stack([_without_head(g) for g in grey])[:, MASK_SIDE // 2 :]
    tall, wide = MASK_SIDE // 2 // _TILE, MASK_SIDE // _TILE
    tiles = outside.reshape(len(grey), tall, _TILE, wide, _TILE).mean(axis=(2, 4))
    return np.asarray(tiles.reshape(len(grey), -1))


def _without_head(grey: np.ndarray) -> np.ndarray:
    mask = head_mask(grey)
    if mask is None:
        return np.zeros_like(grey)
    return np.where(ndimage.binary_dilation(mask, iterations=4), 0, grey)


def _order(slices: pd.DataFrame, rows: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """(n, 4): place in the folder from 0 to 1, number, first number, and scan direction.

    The direction is the rank correlation of place and bright area: a skull's top is a small bright
    disc, its base and the face are large and broken up.
    """
    features = np.zeros((len(slices), 4))
    for of_patient in slices.groupby("patient", sort=False).indices.values():
        numbers = slices["number"].to_numpy()[of_patient]
        place = np.linspace(0, 1, len(of_patient))
        sampled = np.unique(np.linspace(0, len(of_patient) - 1, _PER_PATIENT).astype(int))
        tissue = (np.asarray(grey[of_patient[sampled]]) > 45).mean(axis=(1, 2))
        direction = 0.0
        if len(sampled) > 2 and np.ptp(tissue) > 0:
            direction = float(spearmanr(place[sampled], tissue).statistic)
        features[of_patient] = np.column_stack(
            [place, numbers, np.full_like(place, numbers[0]), np.full_like(place, direction)]
        )
    return features[rows]


def _sentence(source: str, by_patient: float, chance: tuple[float, float]) -> str:
    """What the AUROC means for a reader who does not know the term."""
    pairs = round(100 * by_patient)
    sentence = (
        f"Shown one patient of each class, the {source} alone picks the bleeding one in {pairs} of"
        " 100 pairs"
    )
    if by_patient > chance[1]:
        return f"{sentence} (chance: 50): a model may learn this instead of disease."
    return f"{sentence}: not more than chance (50) can give with this number of patients."
