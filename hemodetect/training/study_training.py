"""Training models that judge a study, on what a blood network finds in two data sets.

The blood network (the teacher) was trained on another set than the one the model is for, so that all
patients of the latter are new to it. What is fitted here is small: a head, and a scale.

- On the set itself, predictions are out of fold: head and scale of each fold saw other patients only.
- On the teacher's set they are too: network, head and scale of each of the teacher's folds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.evaluation.conformal import undecided_range
from hemodetect.models.blood_model import WEIGHTS, BloodModel, SliceFindings
from hemodetect.models.network_model import loaded_network
from hemodetect.models.recipes import BloodRecipe, StudyRecipe
from hemodetect.models.study_heads import Evidence, Head, HeadSeries, fitted_head
from hemodetect.models.study_model import StudyModel, StudyScale, judged_study
from hemodetect.preprocessing.standard_head import StandardSeries, standard_series
from hemodetect.registry.bundle import (
    PREDICTIONS,
    SPLIT,
    TEACHER_PREDICTIONS,
    TEACHER_SPLIT,
    Card,
    file_sha256,
    read_card,
    write_bundle,
)
from hemodetect.settings import settings
from hemodetect.training.crossfit import ON_ALL, CrossFit
from hemodetect.training.train import bundle_card

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class FoundSeries:
    """A series of a data set: its patient, the rows of its slices, and what was found in them."""

    patient: str
    rows: np.ndarray
    found: SliceFindings


@dataclass(frozen=True, eq=False)
class Sources:
    """What one network found in both sets.

    Attributes:
        home: series of the set the model is for, labelled by folder.
        teachers: series of the teacher's set, labelled by slice.
    """

    home: list[FoundSeries]
    teachers: list[FoundSeries]


def train_study_bundle(
    dataset: Dataset,
    split: Split,
    recipe: StudyRecipe,
    teacher: Path,
    teacher_data: Dataset,
    out: Path,
    *,
    seed: int = 0,
    report: Report = print,
) -> Card:
    """Trains a recipe over the folds of a patient split, then on all, and writes the bundle.

    Args:
        dataset: what the model is for.
        split: a patient split of it.
        teacher: bundle of a CNN of a `BloodRecipe`, with its folds' networks.
        teacher_data: the set that one was trained on.
        out: the bundle's folder; must not exist.
        seed: of everything drawn at random.
        report: takes a line of progress.

    Raises:
        BundleError: `out` exists, the teacher is none, was trained on other data than
            `teacher_data`, or knows the patients of `dataset`.
    """
    if out.exists():
        raise BundleError(f"{out}: exists already; choose another folder or remove it.")
    card = read_card(teacher)
    _check_teacher(card, teacher, dataset, teacher_data, split)
    teacher_split = Split.read(teacher / SPLIT, teacher_data)
    standard = {d.fingerprint: _Standard(d) for d in (dataset, teacher_data)}

    def sources(weights: str) -> Sources:
        home, teachers = (
            found_series(d, standard[d.fingerprint], teacher / weights, report)
            for d in (dataset, teacher_data)
        )
        return Sources(home, teachers)

    fit = _Fitting(recipe, dataset, teacher_data, split.groups, seed)
    whole = sources(WEIGHTS)
    predictions, seconds = _out_of_fold(fit, whole, split, report)
    elsewhere = []
    for number in range(len(teacher_split.folds)):
        of_fold = sources(f"fold-{number}-{WEIGHTS}")
        test = _patients(teacher_data, teacher_split.test_mask(teacher_data.slices, number))
        head, scale = fit.fitted(of_fold, teachers_without=test)
        part = _predictions(teacher_data, of_fold.teachers, test, head, scale)
        elsewhere.append(part.assign(fold=np.int16(number)))
        report(f"{recipe.family}: teacher's fold {number + 1} of {len(teacher_split.folds)} done")
    start = time.monotonic()
    head, scale = fit.fitted(whole)
    seconds[ON_ALL] = time.monotonic() - start
    file = teacher / WEIGHTS
    model = StudyModel(BloodModel(loaded_network(file)), file, file_sha256(file), head, scale)
    patients = _one_a_person(predictions, split.groups)
    cannot_tell = undecided_range(
        patients["label"].to_numpy(), patients["patient_probability"].to_numpy(np.float64)
    )

    def fill(folder: Path) -> None:
        model.save(folder)
        split.write(folder / SPLIT)
        teacher_split.write(folder / TEACHER_SPLIT)
        predictions.to_parquet(folder / PREDICTIONS, index=False, compression="zstd")
        pd.concat(elsewhere, ignore_index=True).to_parquet(
            folder / TEACHER_PREDICTIONS, index=False, compression="zstd"
        )

    def made(files: dict[str, str]) -> Card:
        folds = CrossFit(predictions, pd.DataFrame(), seconds, {})
        plain = bundle_card(dataset, split, recipe, folds, None, seed, files)
        return replace(
            plain,
            epochs=None,
            threshold_reason="the calibrated probability is one half",
            teacher_fingerprint=teacher_data.fingerprint,
            cannot_tell=cannot_tell,
            remarks=(
                *plain.remarks,
                f"Rests on the CNN {card.version}, trained on {teacher_data.root.name}; its"
                " training took"
                f" {card.seconds.get(ON_ALL, 0) / 60:.0f} min and is not in the times above.",
            ),
        )

    written = write_bundle(out, fill, made)
    report(f"{out}: written")
    return written


def out_of_fold(
    dataset: Dataset,
    split: Split,
    recipe: StudyRecipe,
    teacher: Path,
    teacher_data: Dataset,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Predictions over the folds of a patient split alone: patient, slice, label, probability,
    patient_probability, fold. Arguments as `train_study_bundle`.
    """
    _check_teacher(read_card(teacher), teacher, dataset, teacher_data, split)
    home, teachers = (
        found_series(d, _Standard(d), teacher / WEIGHTS, lambda _: None)
        for d in (dataset, teacher_data)
    )
    fit = _Fitting(recipe, dataset, teacher_data, split.groups, seed)
    return _out_of_fold(fit, Sources(home, teachers), split, lambda _: None)[0]


def _out_of_fold(
    fit: _Fitting, whole: Sources, split: Split, report: Report
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predictions of every fold's patients, and seconds of training by fold name."""
    seconds, parts = {}, []
    for number in range(len(split.folds)):
        start = time.monotonic()
        test = _patients(fit.dataset, split.test_mask(fit.dataset.slices, number))
        head, scale = fit.fitted(whole, home_without=test)
        part = _predictions(fit.dataset, whole.home, test, head, scale)
        parts.append(part.assign(fold=np.int16(number)))
        seconds[f"fold-{number}"] = time.monotonic() - start
        report(f"{fit.recipe.family}: fold {number + 1} of {len(split.folds)} done")
    return pd.concat(parts, ignore_index=True), seconds


class _Standard:
    """The standard slices of a data set's series, made when first asked for and kept."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._made = dataset, dict[tuple[int, ...], StandardSeries]()

    def of(self, rows: np.ndarray, size: int) -> StandardSeries:
        key = (int(rows[0]), len(rows))
        if key not in self._made:
            grey = self._dataset.grey(size)
            self._made[key] = standard_series(np.ascontiguousarray(grey[rows]))
        return self._made[key]


def found_series(
    dataset: Dataset, standard: _Standard, network: Path, report: Report
) -> list[FoundSeries]:
    """What the network in a file finds in every series; kept in the cache."""
    table = dataset.slices[["patient", "series"]].reset_index(drop=True)
    by_series = table.groupby(["patient", "series"], sort=False, dropna=False)
    groups = [np.asarray(rows) for rows in by_series.indices.values()]
    kept = _cache_file(dataset, network)
    if not kept.is_file():
        report(f"{dataset.root.name}: what {network.name} finds")
        model = BloodModel(loaded_network(network))
        whole: dict[str, np.ndarray] = {}
        for rows in groups:
            found = model.findings(standard.of(rows, model.size))
            for name in ("evidence", "embedding", "seen", "counted"):
                values = getattr(found, name)
                shape = (len(table), *values.shape[1:])
                whole.setdefault(name, np.zeros(shape, values.dtype))[rows] = values
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(kept.stem + ".partial.npz")
        np.savez(
            partial,
            evidence=whole["evidence"],
            embedding=whole["embedding"],
            seen=whole["seen"],
            counted=whole["counted"],
        )
        partial.replace(kept)
    with np.load(kept) as arrays:
        evidence, embedding = arrays["evidence"], arrays["embedding"]
        seen, counted = arrays["seen"], arrays["counted"]
    nothing = np.zeros((0, 0, 0), np.float32)
    return [
        FoundSeries(
            str(table["patient"].iloc[rows[0]]),
            rows,
            SliceFindings(evidence[rows], embedding[rows], seen[rows], counted[rows], nothing),
        )
        for rows in groups
    ]


@dataclass(frozen=True)
class _Fitting:
    """Fits head and scale to both sets without some patients."""

    recipe: StudyRecipe
    dataset: Dataset
    teacher_data: Dataset
    groups: Mapping[str, str]
    seed: int

    def fitted(
        self,
        of: Sources,
        home_without: frozenset[str] = frozenset(),
        teachers_without: frozenset[str] = frozenset(),
    ) -> tuple[Head, StudyScale]:
        """The head, and a scale from inner folds over the set's own patients."""
        home = [s for s in of.home if s.patient not in home_without]
        teachers = [
            HeadSeries(s.found, self.teacher_data.labels[s.rows], True)
            for s in of.teachers
            if s.patient not in teachers_without
        ]
        own = [HeadSeries(s.found, self.dataset.labels[s.rows], False) for s in home]
        labels = np.array([series.label for series in own])
        persons = np.array([self.groups[s.patient] for s in home])
        folds = StratifiedGroupKFold(self.recipe.inner_folds, shuffle=True, random_state=self.seed)
        evidence: dict[int, Evidence] = {}
        for train, test in folds.split(labels, labels, persons):
            inner = fitted_head([own[i] for i in train] + teachers, self.recipe, self.seed)
            evidence |= {int(i): inner.evidence(own[i].found) for i in test}
        scale = StudyScale.fitted(
            [evidence[i] for i in range(len(own))],
            [series.labels for series in own],
            self.recipe.slice_share,
        )
        return fitted_head(own + teachers, self.recipe, self.seed), scale


def _predictions(
    dataset: Dataset,
    series: list[FoundSeries],
    patients: frozenset[str],
    head: Head,
    scale: StudyScale,
) -> pd.DataFrame:
    """A row a slice of these patients."""
    parts = []
    for one in series:
        if one.patient in patients:
            told = judged_study(one.found, head, scale)
            part = dataset.slices.iloc[one.rows][["patient", "slice", "label"]].copy()
            part["probability"] = told.slices
            part["patient_probability"] = np.float32(told.patient)
            parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    highest = table.groupby("patient")["patient_probability"].transform("max")
    return table.assign(patient_probability=highest)


def _one_a_person(predictions: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """The first patient folder of each patient group, so that nobody counts twice."""
    table = predictions.groupby("patient", as_index=False).agg(
        label=("label", "max"), patient_probability=("patient_probability", "first")
    )
    return table[~table["patient"].map(dict(groups)).duplicated()]


def _patients(dataset: Dataset, rows: np.ndarray) -> frozenset[str]:
    return frozenset(dataset.slices.loc[rows, "patient"].astype(str))


def _cache_file(dataset: Dataset, network: Path) -> Path:
    name = f"{dataset.fingerprint}-{file_sha256(network)[:16]}.npz"
    return settings().cache / "findings-2" / name


def _check_teacher(
    card: Card, teacher: Path, dataset: Dataset, teacher_data: Dataset, split: Split
) -> None:
    if not isinstance(card.recipe_settings, BloodRecipe):
        raise BundleError(
            f"{teacher}: recipe {card.recipe} finds no blood; give a CNN of the recipe blood."
        )
    folds = {f"fold-{n}-{WEIGHTS}" for n in range(len(card.seconds) - 1)}
    if card.split != "patient" or not folds <= set(card.files):
        raise BundleError(
            f"{teacher}: lacks the networks of its folds; train it under the patient split."
        )
    if card.fingerprint != teacher_data.fingerprint:
        raise BundleError(
            f"{teacher}: was not trained on {teacher_data.root}; give that set with --backbone-data."
        )
    if card.fingerprint == dataset.fingerprint:
        raise BundleError(
            f"{teacher}: was trained on these patients; a model built on it would be judged on"
            " patients it knows. Train it on another set."
        )
    both = set(dataset.slices["sha256"]) & set(teacher_data.slices["sha256"])
    if both:
        raise BundleError(
            f"{dataset.root} and {teacher_data.root} share {len(both)} files; the network would be"
            " judged on patients it knows. Use sets of different patients."
        )
    if split.name != "patient":
        raise BundleError("Models that judge a study are trained under the patient split only.")
