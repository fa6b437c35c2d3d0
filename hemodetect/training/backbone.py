"""What a trained blood network, the backbone, finds in whole data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.models.blood_model import WEIGHTS, BloodModel
from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import BloodRecipe
from hemodetect.models.weight_files import read_network
from hemodetect.preprocessing.standard_head import StandardSeries, standard_series
from hemodetect.registry.bundle import SPLIT, Card, read_card
from hemodetect.settings import settings
from hemodetect.storage.digests import file_sha256
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.fitting import Report

_CACHED = ("logits", "embedding", "head_found", "in_brain")
_CACHE_VERSION = "findings-3"


@dataclass(frozen=True, eq=False)
class SeriesFindings:
    """A series of a data set.

    Attributes:
        patient: whose it is.
        rows: (n,) row numbers of its slices in the data set.
        findings: in its slices, without maps.
    """

    patient: str
    rows: np.ndarray
    findings: SliceFindings


class Backbone:
    """The bundle of a blood network, and the set it was trained on."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        """Opens the bundle.

        Args:
            folder: of a bundle of the recipe ``blood``, with the network of every fold.
            dataset: the set that it was trained on.

        Raises:
            BundleError: the bundle is no such bundle, or was trained on another set.
        """
        self.folder, self.dataset, self.card = folder, dataset, read_card(folder)
        _check_bundle(self.card, folder, dataset)
        self.split = Split.read(folder / SPLIT, dataset)
        self._standard: dict[tuple[str, int], StandardSeries] = {}

    @property
    def weights(self) -> Path:
        """The network trained on all patients of the set."""
        return self.folder / WEIGHTS

    def fold_weights(self, number: int) -> Path:
        """The network that saw no test patient of a fold, counted from 0."""
        return self.folder / f"fold-{number}-{WEIGHTS}"

    def check_unseen(self, dataset: Dataset) -> None:
        """Raises `BundleError` where the backbone was trained on patients of `dataset`."""
        if self.card.fingerprint == dataset.fingerprint:
            raise BundleError(
                f"{self.folder}: was trained on these patients; a model built on it would be judged"
                " on patients it knows. Train it on another set."
            )
        shared = set(dataset.slices["sha256"]) & set(self.dataset.slices["sha256"])
        if shared:
            raise BundleError(
                f"{dataset.root} and {self.dataset.root} share {len(shared)} files; the network would"
                " be judged on patients it knows. Use sets of different patients."
            )

    def findings(self, dataset: Dataset, weights: Path, report: Report) -> list[SeriesFindings]:
        """What a network finds in every series of a data set; kept in the cache.

        Args:
            dataset: any labelled set.
            weights: `weights`, or `fold_weights` of a fold.
            report: takes a line of progress.
        """
        table = dataset.slices[["patient", "series"]].reset_index(drop=True)
        by_series = table.groupby(["patient", "series"], sort=False, dropna=False)
        all_rows = [np.asarray(rows) for rows in by_series.indices.values()]
        file = _cache_file(dataset, weights)
        if not file.is_file():
            report(f"{dataset.root.name}: reading it with {weights.name}")
            self._write_findings(file, dataset, weights, all_rows)
        with np.load(file) as arrays:
            values = {name: arrays[name] for name in _CACHED}
        no_maps = np.zeros((0, 0, 0), np.float32)
        return [
            SeriesFindings(
                str(table["patient"].iloc[rows[0]]),
                rows,
                SliceFindings(**{name: values[name][rows] for name in _CACHED}, maps=no_maps),
            )
            for rows in all_rows
        ]

    def _write_findings(
        self, file: Path, dataset: Dataset, weights: Path, all_rows: list[np.ndarray]
    ) -> None:
        model, slices = BloodModel(read_network(weights)), len(dataset.slices)
        values: dict[str, np.ndarray] = {}
        for rows in all_rows:
            findings = model.findings(self._standard_series(dataset, rows, model.size))
            for name in _CACHED:
                array = getattr(findings, name)
                values.setdefault(name, np.zeros((slices, *array.shape[1:]), array.dtype))
                values[name][rows] = array
        with whole_file(file) as partial:
            np.savez(
                partial,
                logits=values["logits"],
                embedding=values["embedding"],
                head_found=values["head_found"],
                in_brain=values["in_brain"],
            )

    def _standard_series(self, dataset: Dataset, rows: np.ndarray, size: int) -> StandardSeries:
        """Made once a series: several networks look at each."""
        key = (dataset.fingerprint, int(rows[0]))
        if key not in self._standard:
            grey = dataset.grey(size)
            self._standard[key] = standard_series(np.ascontiguousarray(grey[rows]))
        return self._standard[key]


def patients_of(dataset: Dataset, rows: np.ndarray) -> frozenset[str]:
    """The patients of the slices of `rows`, (n,) bool."""
    return frozenset(dataset.slices.loc[rows, "patient"].astype(str))


def slice_table(dataset: Dataset, series: SeriesFindings) -> pd.DataFrame:
    """Patient, slice and label of a series' slices."""
    return dataset.slices.iloc[series.rows][["patient", "slice", "label"]].copy()


def _cache_file(dataset: Dataset, weights: Path) -> Path:
    name = f"{dataset.fingerprint}-{file_sha256(weights)[:16]}.npz"
    return settings().cache / _CACHE_VERSION / name


def _check_bundle(card: Card, folder: Path, dataset: Dataset) -> None:
    if not isinstance(card.recipe_settings, BloodRecipe):
        raise BundleError(
            f"{folder}: recipe {card.recipe} finds no blood; give a CNN of the recipe blood."
        )
    folds = {f"fold-{n}-{WEIGHTS}" for n in range(len(card.seconds) - 1)}
    if card.split != "patient" or not folds <= set(card.files):
        raise BundleError(
            f"{folder}: lacks the networks of its folds; train it under the patient split."
        )
    if card.fingerprint != dataset.fingerprint:
        raise BundleError(
            f"{folder}: was not trained on {dataset.root}; give that set with --backbone-data."
        )
