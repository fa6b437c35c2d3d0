"""Training models that judge a study, on what a backbone finds in two data sets.

The backbone was trained on another set than the one the model is for (the target set), so all patients
of the target set are new to it. What is fitted here is small: a head, and a scale. Where there is no
set but the backbone's, that is the target set too, and its own folds are those of the model.

- Heads learn from what networks say of patients that they had not seen: of the target set the one
  network in the bundle, of each patient of the backbone's set the network of that patient's fold.
- Predictions on both sets are out of fold: head and scale of each fold saw other patients only. (What
  they saw of the other patients of the backbone's set comes from networks that had seen the tested
  ones, as is usual in stacking; networks were not trained again for each pair of folds.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.joined import SET
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError, DatasetError
from hemodetect.evaluation.conformal import widest_range
from hemodetect.evaluation.levels import EvaluationError, has_folder_labels
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.interface import FittedModel
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.study_heads import StudyHead, StudyLogits
from hemodetect.models.study_model import StudyModel, StudyScale, study_predictions
from hemodetect.preprocessing.head_position import FEWEST_SLICES
from hemodetect.registry.bundle import BACKBONE_PREDICTIONS, BACKBONE_SPLIT, SPLIT
from hemodetect.storage.digests import file_sha256
from hemodetect.training.backbone import Backbone, SeriesFindings, patients_of
from hemodetect.training.crossfit import ON_ALL
from hemodetect.training.fitting import Fit, Report, Run
from hemodetect.training.head_training import (
    HeadSeries,
    fitted_head,
    fitted_scale,
    studies_of_both_kinds,
)
from hemodetect.training.pointing import measured_pointing
from hemodetect.training.trainers import BundleExtras


class StudyTrainer:
    """Fits head and scale of a recipe to the findings of a backbone."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        recipe: StudyRecipe,
        backbone: Path,
        backbone_data: Dataset,
        seed: int = 0,
        report: Report = print,
    ) -> None:
        """Opens the backbone and reads both sets with it, or takes that from the cache.

        Args:
            dataset: the target set.
            split: a patient split of it.
            recipe: of the family.
            backbone: bundle of the recipe ``blood``.
            backbone_data: the set that it was trained on.
            seed: of everything drawn; the same for every fold.
            report: takes a line of progress.

        Raises:
            BundleError: the backbone is none, was trained on other data than `backbone_data`, or
                knows patients of `dataset`; or the split is not by patient, or for the backbone's own
                set not the backbone's.
        """
        self._dataset, self._recipe, self._seed, self._report = dataset, recipe, seed, report
        self._groups: Mapping[str, str] = split.groups
        self._backbone = Backbone(backbone, backbone_data)
        if split.name != "patient":
            raise BundleError("Models that judge a study are trained under the patient split only.")
        out_of_fold = _head_series(backbone_data, self._backbone.out_of_fold(report))
        self._has_own_set = dataset.fingerprint != backbone_data.fingerprint
        if self._has_own_set:
            self._backbone.check_unseen(dataset)
            target = self._backbone.findings(dataset, self._backbone.weights, report)
            self._target, self._others = _head_series(dataset, target), out_of_fold
        else:
            if split != self._backbone.split:
                raise BundleError(
                    f"{backbone}: its networks know patients of other folds than this split's; give"
                    f" its own split (--split {backbone / SPLIT})."
                )
            self._target, self._others = out_of_fold, []
        if not studies_of_both_kinds([one.series for one in (*self._target, *self._others)]):
            raise DatasetError(
                f"{dataset.root.name}: has no whole studies ({FEWEST_SLICES} slices or more) of"
                " patients with and without a hemorrhage, and these models judge studies; add a set of"
                " such."
            )

    @property
    def identity(self) -> str | None:
        """Version of the backbone."""
        return self._backbone.card.version

    def fit(self, rows: np.ndarray, run: Run) -> Fit:
        """Head and scale from the patients of `rows`; takes seconds to minutes, and has no epochs."""
        head, scale = self._fitted(target=patients_of(self._dataset, rows))
        weights = self._backbone.weights
        network = BloodModel.read(weights)
        return Fit(StudyModel(network, weights, file_sha256(weights), head, scale))

    def predict(self, model: FittedModel, rows: np.ndarray) -> pd.DataFrame:
        """What head and scale of a fitted model make of the findings."""
        assert isinstance(model, StudyModel)
        patients = patients_of(self._dataset, rows)
        table = _predictions(self._dataset, self._target, patients, model.head, model.scale)
        return table.loc[self._dataset.slices.index[rows], ["probability", "patient_probability"]]

    def extras(self, out_of_fold: pd.DataFrame, report: Report) -> BundleExtras:
        """Out-of-fold predictions on the backbone's set, and the range where the model cannot tell."""
        backbone = self._backbone
        tables: dict[str, pd.DataFrame] = {}
        if self._has_own_set:
            others = self._backbone_predictions(report)
            tables = {BACKBONE_PREDICTIONS: others}
            persons = pd.concat(
                [
                    _first_folders(out_of_fold.assign(set=self._dataset.root.name), self._groups),
                    _first_folders(_whole_studies(others, backbone.dataset), backbone.split.groups),
                ]
            )
        else:
            whole = _whole_studies(out_of_fold, backbone.dataset)
            persons = _first_folders(whole, backbone.split.groups)
        remarks = [
            f"Its backbone is the CNN {backbone.card.version}, trained on"
            f" {_names(backbone.dataset)}; training that took"
            f" {backbone.card.seconds.get(ON_ALL, 0) / 60:.0f} min, which is not in the times above."
        ]
        cannot_tell = None
        try:
            cannot_tell = widest_range(
                persons["label"].to_numpy(),
                persons["patient_probability"].to_numpy(np.float64),
                persons["set"].to_numpy(str),
            )
        except EvaluationError as error:
            remarks.append(f"It never says that it cannot tell: {error}")
        pointing = {}
        if self._recipe.family == "cnn":
            report("looking where the maps of the backbone's folds point")
            pointing = {n: asdict(found) for n, found in measured_pointing(backbone).items()}
        return BundleExtras(
            tables=tables,
            splits={BACKBONE_SPLIT: backbone.split} if tables else {},
            card={
                "threshold_reason": "the calibrated probability is one half",
                "backbone_fingerprint": backbone.dataset.fingerprint,
                "backbone_parts": {
                    part.root.name: part.fingerprint for part in backbone.dataset.parts
                },
                "cannot_tell": cannot_tell,
                "pointing": pointing,
            },
            remarks=tuple(remarks),
        )

    def _backbone_predictions(self, report: Report) -> pd.DataFrame:
        backbone, parts = self._backbone, []
        everybody = patients_of(self._dataset, np.ones(len(self._dataset.slices), bool))
        for number in range(len(backbone.split.folds)):
            test = patients_of(
                backbone.dataset, backbone.split.test_mask(backbone.dataset.slices, number)
            )
            head, scale = self._fitted(target=everybody, without=test)
            part = _predictions(backbone.dataset, self._others, test, head, scale)
            parts.append(part.assign(fold=np.int16(number)))
            report(f"backbone's fold {number + 1} of {len(backbone.split.folds)} done")
        return pd.concat(parts, ignore_index=True)

    def _fitted(
        self, *, target: frozenset[str], without: frozenset[str] = frozenset()
    ) -> tuple[StudyHead, StudyScale]:
        """The head, and a scale from inner folds over all its patients.

        Args:
            target: patients of the target set that are trained on.
            without: patients of the backbone's set that are left out.
        """
        chosen = [
            *((one, self._groups[one.patient]) for one in self._target if one.patient in target),
            *(
                (one, self._backbone.split.groups[one.patient])
                for one in self._others
                if one.patient not in without
            ),
        ]
        training = [one.series for one, _ in chosen]
        persons = np.array([f"{one.series.set}/{group}" for one, group in chosen])
        strata = np.array([f"{one.set}/{one.label}" for one in training])
        folds = StratifiedGroupKFold(
            self._recipe.inner_folds, shuffle=True, random_state=self._seed
        )
        if max(Counter(strata).values(), default=0) < self._recipe.inner_folds:
            raise DatasetError(
                f"{self._dataset.root.name}: too few patients to train on; each fold needs at least"
                f" {self._recipe.inner_folds} with and {self._recipe.inner_folds} without a hemorrhage."
            )
        logits: dict[int, StudyLogits] = {}
        for train, test in folds.split(strata, strata, persons):
            inner = fitted_head([training[i] for i in train], self._recipe, self._seed)
            answers = inner.all_logits([training[i].findings for i in test])
            logits |= dict(zip(map(int, test), answers, strict=True))
        scale = fitted_scale(training, [logits[i] for i in range(len(training))])
        return fitted_head(training, self._recipe, self._seed), scale


@dataclass(frozen=True, eq=False)
class _PatientSeries:
    """A series with its patient and its rows in the data set."""

    patient: str
    rows: np.ndarray
    series: HeadSeries


def _head_series(dataset: Dataset, found: list[SeriesFindings]) -> list[_PatientSeries]:
    slice_labels = not has_folder_labels(dataset.slices)
    table = dataset.slices
    sets = table[SET] if SET in table.columns else pd.Series(dataset.root.name, index=table.index)
    return [
        _PatientSeries(
            one.patient,
            one.rows,
            HeadSeries(
                one.findings,
                dataset.labels[one.rows],
                slice_labels,
                len(one.rows) >= FEWEST_SLICES,
                str(sets.iloc[one.rows[0]]),
            ),
        )
        for one in found
    ]


def _whole_studies(predictions: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Rows of patients that are seen whole, from the sets that have such patients of both kinds, with
    their set.
    """
    table = dataset.slices[["patient", "label"]].assign(
        set=dataset.slices[SET] if SET in dataset.slices.columns else dataset.root.name
    )
    patients = table.groupby("patient").agg(
        set=("set", "first"), label=("label", "max"), slices=("label", "size")
    )
    whole = patients[patients["slices"] >= FEWEST_SLICES]
    kinds = whole.groupby("set")["label"].nunique()
    chosen = whole.index[whole["set"].isin(kinds.index[kinds == 2])]
    kept = predictions[predictions["patient"].isin(chosen)]
    return kept.assign(set=kept["patient"].map(patients["set"]))


def _names(dataset: Dataset) -> str:
    return ", ".join(part.root.name for part in dataset.parts or (dataset,))


def out_of_fold(trainer: StudyTrainer, dataset: Dataset, split: Split, run: Run) -> pd.DataFrame:
    """Predictions over the folds of a patient split alone, without a bundle: patient, slice, label,
    probability, patient_probability, fold.
    """
    parts = []
    for number in range(len(split.folds)):
        test = split.test_mask(dataset.slices, number)
        answers = trainer.predict(trainer.fit(~test, run).model, test)
        tested = dataset.slices.loc[test, ["patient", "slice", "label"]]
        parts.append(pd.concat([tested, answers], axis=1).assign(fold=np.int16(number)))
    return pd.concat(parts, ignore_index=True)


def _predictions(
    dataset: Dataset,
    series: list[_PatientSeries],
    patients: frozenset[str],
    head: StudyHead,
    scale: StudyScale,
) -> pd.DataFrame:
    """A row a slice of these patients, with the index of the data set's table."""
    parts = []
    chosen = [one for one in series if one.patient in patients]
    answers = study_predictions([one.series.findings for one in chosen], head, scale)
    for one, prediction in zip(chosen, answers, strict=True):
        part = dataset.slices.iloc[one.rows][["patient", "slice", "label"]].copy()
        part["probability"] = prediction.slices
        part["patient_probability"] = np.float32(prediction.patient)
        parts.append(part)
    table = pd.concat(parts)
    highest = table.groupby("patient")["patient_probability"].transform("max")
    return table.assign(patient_probability=highest)


def _first_folders(predictions: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """The first patient folder of each patient group, so that nobody counts twice."""
    table = predictions.groupby("patient", as_index=False).agg(
        label=("label", "max"),
        patient_probability=("patient_probability", "first"),
        set=("set", "first"),
    )
    return table[~table["patient"].map(dict(groups)).duplicated()]
