"""What a trained blood network, the backbone, finds in whole data sets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.models.blood_model import WEIGHTS, BloodModel
from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import BloodRecipe
from hemodetect.models.weight_files import network_file
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.preprocessing.standard_head import standard_series
from hemodetect.registry.bundle import SPLIT, Card, read_card
from hemodetect.registry.known_slices import KnownSlices
from hemodetect.settings import settings
from hemodetect.storage.digests import file_sha256
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.fitting import Report

_CACHED = ("logits", "features", "head_found", "in_brain")
_CACHE_VERSION = "findings-4"


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

    @property
    def weights(self) -> Path:
        """The network trained on all patients of the set."""
        return network_file(self.folder, WEIGHTS)

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
        known = KnownSlices.of(self.folder, self.card)
        if known is None:
            raise BundleError(
                f"{self.folder}: does not say what it was trained on; train it again."
            )
        hashes = slice_hashes(dataset.grey(HASH_SIDE))
        patients = dataset.slices["patient"].astype(str).to_numpy()
        shared = known.patients_among(hashes, patients)
        if shared:
            raise BundleError(
                f"{dataset.root}: {len(shared)} patients, {shared[0]} among them, are also in"
                f" {self.dataset.root}; the network would be judged on patients it knows. Use sets of"
                " different patients."
            )

    def findings(
        self,
        dataset: Dataset,
        weights: Path,
        report: Report,
        wanted: np.ndarray | None = None,
    ) -> list[SeriesFindings]:
        """What a network finds in every series of a data set; kept in the cache.

        Args:
            dataset: any labelled set.
            weights: `weights`, or `fold_weights` of a fold.
            report: takes a line of progress.
            wanted: (n,) bool, slices of the patients to look at; all if not given.
        """
        table = dataset.slices[["patient", "series"]].reset_index(drop=True)
        by_series = table.groupby(["patient", "series"], sort=False, dropna=False)
        all_rows = [np.asarray(rows) for rows in by_series.indices.values()]
        if wanted is not None:
            all_rows = [rows for rows in all_rows if wanted[rows[0]]]
        file = _cache_file(dataset, weights, wanted)
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

    def out_of_fold(self, report: Report) -> list[SeriesFindings]:
        """What the network of each fold finds in the patients that it had not seen."""
        found = []
        for number in range(len(self.split.folds)):
            test = self.split.test_mask(self.dataset.slices, number)
            found += self.findings(self.dataset, self.fold_weights(number), report, test)
        return found

    def _write_findings(
        self, file: Path, dataset: Dataset, weights: Path, all_rows: list[np.ndarray]
    ) -> None:
        model, slices = BloodModel.read(weights), len(dataset.slices)
        values: dict[str, np.ndarray] = {}
        grey = dataset.grey(model.size)
        for rows in all_rows:
            findings = model.findings(standard_series(np.ascontiguousarray(grey[rows])))
            for name in _CACHED:
                array = getattr(findings, name)
                values.setdefault(name, np.zeros((slices, *array.shape[1:]), array.dtype))
                values[name][rows] = array
        with whole_file(file) as partial:
            np.savez(
                partial,
                logits=values["logits"],
                features=values["features"],
                head_found=values["head_found"],
                in_brain=values["in_brain"],
            )


def patients_of(dataset: Dataset, rows: np.ndarray) -> frozenset[str]:
    """The patients of the slices of `rows`, (n,) bool."""
    return frozenset(dataset.slices.loc[rows, "patient"].astype(str))


def _cache_file(dataset: Dataset, weights: Path, wanted: np.ndarray | None) -> Path:
    part = "" if wanted is None else f"-{hashlib.sha256(wanted.tobytes()).hexdigest()[:8]}"
    name = f"{dataset.fingerprint}-{file_sha256(weights)[:16]}{part}.npz"
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
