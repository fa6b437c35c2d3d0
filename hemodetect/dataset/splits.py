"""Splits of a data set into training and test slices, as JSON a person can read.

- ``patient``: five folds; a fold's test slices are all slices of its patient groups. Classes are
  balanced over the folds by patient group.
- ``paper``: slices drawn at random within each class, as in the study: neighbouring slices of one
  patient are on both sides, so a model's figures include leakage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from hemodetect.dataset.cache import Dataset
from hemodetect.errors import SplitError

PAPER_TEST_SHARE = {"rnn": 0.2}
"""The study held out 30 % of the slices, for its RNN 20 %."""
DEFAULT_PAPER_TEST_SHARE = 0.3
"""Test share of every family that is not in `PAPER_TEST_SHARE`."""


_READABLE = 1000  # patients of a split that anyone would read line by line


@dataclass(frozen=True)
class Fold:
    """The test slices of one fold; all others are training slices.

    Attributes:
        test_groups: patient groups (``patient`` split), or empty.
        test_slices: names of slices (``paper`` split), or empty.
    """

    test_groups: tuple[str, ...] = ()
    test_slices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Folds over one data set.

    Attributes:
        name: "patient" or "paper".
        fingerprint: of its data set.
        seed: of the shuffle.
        groups: patient group of every patient.
        folds: in order.
    """

    name: str
    fingerprint: str
    seed: int
    groups: dict[str, str]
    folds: tuple[Fold, ...]

    def test_mask(self, slices: pd.DataFrame, fold: int) -> np.ndarray:
        """(n,) bool: the slices that are tested in fold number `fold`."""
        chosen = self.folds[fold]
        groups = slices["patient"].map(self.groups)
        return (
            groups.isin(chosen.test_groups) | slices["slice"].isin(chosen.test_slices)
        ).to_numpy()

    def write(self, path: Path) -> None:
        """Writes the split as JSON; a long one on a single line."""
        indent = 1 if len(self.groups) <= _READABLE else None
        path.write_text(json.dumps(asdict(self), indent=indent, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path, dataset: Dataset | None = None) -> Split:
        """The split in `path`; raises `SplitError` where it is of another data set than given."""
        try:
            raw = json.loads(path.read_text())
            folds = tuple(
                Fold(tuple(f["test_groups"]), tuple(f["test_slices"])) for f in raw["folds"]
            )
            split = cls(raw["name"], raw["fingerprint"], raw["seed"], raw["groups"], folds)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SplitError(f"{path}: not a split ({error}); make it with `train`.") from error
        if dataset is not None and split.fingerprint != dataset.fingerprint:
            raise SplitError(
                f"{path}: is of data set {split.fingerprint}, this one is {dataset.fingerprint};"
                " make a new split."
            )
        return split

    def of_part(self, part: str, fingerprint: str) -> Split:
        """The folds of one set of a joined set, under its own names.

        Args:
            part: name of the set.
            fingerprint: of the set.
        """
        start = f"{part}/"
        groups = {
            patient.removeprefix(start): group.removeprefix(start)
            for patient, group in self.groups.items()
            if patient.startswith(start)
        }
        folds = tuple(
            Fold(
                tuple(g.removeprefix(start) for g in fold.test_groups if g.startswith(start)),
                tuple(s.removeprefix(start) for s in fold.test_slices if s.startswith(start)),
            )
            for fold in self.folds
        )
        return Split(self.name, fingerprint, self.seed, groups, folds)


def patient_split(
    dataset: Dataset, groups: Mapping[str, str], folds: int = 5, seed: int = 0
) -> Split:
    """Folds over patient groups; a group with any hemorrhagic slice counts as hemorrhagic.

    Raises:
        SplitError: a patient has no group, or a class has fewer groups than there are folds.
    """
    positive = group_labels(dataset.slices, groups)
    fewest = positive.value_counts().min()
    if positive.nunique() < 2 or fewest < folds:
        raise SplitError(
            f"{dataset.root}: {folds} folds need {folds} patients of each class, found {fewest}."
        )
    names = positive.index.to_numpy()
    partition = StratifiedKFold(folds, shuffle=True, random_state=seed).split(names, positive)
    return Split(
        name="patient",
        fingerprint=dataset.fingerprint,
        seed=seed,
        groups=dict(groups),
        folds=tuple(Fold(test_groups=tuple(names[test])) for _, test in partition),
    )


def paper_split(dataset: Dataset, groups: Mapping[str, str], family: str, seed: int = 0) -> Split:
    """The study's split of slices for `family`: 70/30, and 80/20 for the RNN."""
    share = PAPER_TEST_SHARE.get(family, DEFAULT_PAPER_TEST_SHARE)
    names = dataset.slices["slice"].to_numpy()
    _, test = train_test_split(
        names, test_size=share, stratify=dataset.labels, random_state=seed, shuffle=True
    )
    return Split(
        name="paper",
        fingerprint=dataset.fingerprint,
        seed=seed,
        groups=dict(groups),
        folds=(Fold(test_slices=tuple(sorted(test))),),
    )


def group_labels(slices: pd.DataFrame, groups: Mapping[str, str]) -> pd.Series:
    """Label (any hemorrhagic slice) of every patient group, by group name in order.

    Raises:
        SplitError: a patient belongs to no group.
    """
    ungrouped = sorted(set(slices["patient"]) - set(groups))
    if ungrouped:
        raise SplitError(f"patient {ungrouped[0]} belongs to no patient group.")
    return slices.groupby(slices["patient"].map(groups))["label"].max().sort_index()


def inner_validation(
    slices: pd.DataFrame, groups: Mapping[str, str] | None, share: float, seed: int
) -> np.ndarray:
    """(n,) bool: training slices held out for validation during a training.

    Whole patient groups of both classes where `groups` is given; else slices drawn at random within
    each class, as in the paper split.

    Raises:
        SplitError: fewer than two patient groups in a class.
    """
    if groups is None:
        units, labels = slices["slice"], slices.set_index("slice")["label"]
    else:
        units, labels = slices["patient"].map(groups), group_labels(slices, groups)
    if labels.value_counts().min() < 2:
        raise SplitError("Training needs at least two patients of each class.")
    validation_count = max(2, round(share * len(labels)))
    _, validation = train_test_split(
        labels.index.to_numpy(), test_size=validation_count, stratify=labels, random_state=seed
    )
    return units.isin(validation).to_numpy()
