"""Training models that judge a study, on what a backbone finds in two data sets.

The backbone was trained on another set than the one the model is for (the target set), so all patients
of the target set are new to it. What is fitted here is small: a head, and a scale.

- On the target set, predictions are out of fold: head and scale of each fold saw other patients only.
- On the backbone's set they are too: network, head and scale of each of the backbone's folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import BundleError
from hemodetect.evaluation.conformal import undecided_range
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.interface import FittedModel
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.study_heads import StudyHead, StudyLogits
from hemodetect.models.study_model import StudyModel, StudyScale, study_prediction
from hemodetect.models.weight_files import read_network
from hemodetect.registry.bundle import BACKBONE_PREDICTIONS, BACKBONE_SPLIT
from hemodetect.storage.digests import file_sha256
from hemodetect.training.backbone import Backbone, SeriesFindings, patients_of, slice_table
from hemodetect.training.crossfit import ON_ALL
from hemodetect.training.fitting import Fit, Report, Run
from hemodetect.training.head_training import HeadSeries, fitted_head, fitted_scale
from hemodetect.training.trainers import BundleExtras


@dataclass(frozen=True, eq=False)
class BothSets:
    """What one network found in both sets.

    Attributes:
        target_set: series of the set the model is for, labelled by folder.
        backbone_set: series of the backbone's set, labelled by slice.
    """

    target_set: list[SeriesFindings]
    backbone_set: list[SeriesFindings]


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
                knows patients of `dataset`; or the split is not by patient.
        """
        self._dataset, self._recipe, self._seed, self._report = dataset, recipe, seed, report
        self._groups: Mapping[str, str] = split.groups
        self._backbone = Backbone(backbone, backbone_data)
        self._backbone.check_unseen(dataset)
        if split.name != "patient":
            raise BundleError("Models that judge a study are trained under the patient split only.")
        self._findings = self._both_sets(self._backbone.weights)

    @property
    def identity(self) -> str | None:
        """Version of the backbone."""
        return self._backbone.card.version

    def fit(self, rows: np.ndarray, run: Run) -> Fit:
        """Head and scale from the patients of `rows`; takes seconds to minutes, and has no epochs."""
        head, scale = self._fitted(self._findings, target=patients_of(self._dataset, rows))
        weights = self._backbone.weights
        network = BloodModel(read_network(weights))
        return Fit(StudyModel(network, weights, file_sha256(weights), head, scale))

    def predict(self, model: FittedModel, rows: np.ndarray) -> pd.DataFrame:
        """What head and scale of a fitted model make of the findings."""
        assert isinstance(model, StudyModel)
        patients = patients_of(self._dataset, rows)
        table = _predictions(
            self._dataset, self._findings.target_set, patients, model.head, model.scale
        )
        return table.loc[self._dataset.slices.index[rows], ["probability", "patient_probability"]]

    def extras(self, out_of_fold: pd.DataFrame, report: Report) -> BundleExtras:
        """Out-of-fold predictions on the backbone's set, and the range where the model cannot tell."""
        backbone, persons = self._backbone, _first_folders(out_of_fold, self._groups)
        cannot_tell = undecided_range(
            persons["label"].to_numpy(), persons["patient_probability"].to_numpy(np.float64)
        )
        minutes = backbone.card.seconds.get(ON_ALL, 0) / 60
        return BundleExtras(
            tables={BACKBONE_PREDICTIONS: self._backbone_predictions(report)},
            splits={BACKBONE_SPLIT: backbone.split},
            card={
                "threshold_reason": "the calibrated probability is one half",
                "backbone_fingerprint": backbone.dataset.fingerprint,
                "cannot_tell": cannot_tell,
            },
            remarks=(
                f"Its backbone is the CNN {backbone.card.version}, trained on"
                f" {backbone.dataset.root.name}; training that took {minutes:.0f} min, which is not in"
                " the times above.",
            ),
        )

    def _both_sets(self, weights: Path) -> BothSets:
        target, other = (
            self._backbone.findings(dataset, weights, self._report)
            for dataset in (self._dataset, self._backbone.dataset)
        )
        return BothSets(target, other)

    def _backbone_predictions(self, report: Report) -> pd.DataFrame:
        backbone, parts = self._backbone, []
        everybody = patients_of(self._dataset, np.ones(len(self._dataset.slices), bool))
        for number in range(len(backbone.split.folds)):
            findings = self._both_sets(backbone.fold_weights(number))
            test_rows = backbone.split.test_mask(backbone.dataset.slices, number)
            test = patients_of(backbone.dataset, test_rows)
            head, scale = self._fitted(findings, target=everybody, backbone_without=test)
            part = _predictions(backbone.dataset, findings.backbone_set, test, head, scale)
            parts.append(part.assign(fold=np.int16(number)))
            report(f"backbone's fold {number + 1} of {len(backbone.split.folds)} done")
        return pd.concat(parts, ignore_index=True)

    def _fitted(
        self,
        findings: BothSets,
        *,
        target: frozenset[str],
        backbone_without: frozenset[str] = frozenset(),
    ) -> tuple[StudyHead, StudyScale]:
        """The head, and a scale from inner folds over the target set's patients.

        Args:
            findings: of one network.
            target: patients of the target set that are trained on.
            backbone_without: patients of the backbone's set that are left out.
        """
        series = [s for s in findings.target_set if s.patient in target]
        of_target = [HeadSeries(s.findings, self._dataset.labels[s.rows], False) for s in series]
        of_backbone = [
            HeadSeries(s.findings, self._backbone.dataset.labels[s.rows], True)
            for s in findings.backbone_set
            if s.patient not in backbone_without
        ]
        labels = np.array([one.label for one in of_target])
        persons = np.array([self._groups[s.patient] for s in series])
        folds = StratifiedGroupKFold(
            self._recipe.inner_folds, shuffle=True, random_state=self._seed
        )
        logits: dict[int, StudyLogits] = {}
        for train, test in folds.split(labels, labels, persons):
            training = [of_target[i] for i in train] + of_backbone
            inner = fitted_head(training, self._recipe, self._seed)
            logits |= {int(i): inner.logits(of_target[i].findings) for i in test}
        scale = fitted_scale(
            [logits[i] for i in range(len(of_target))],
            [one.labels for one in of_target],
            self._recipe.slice_share,
        )
        return fitted_head(of_target + of_backbone, self._recipe, self._seed), scale


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
    series: list[SeriesFindings],
    patients: frozenset[str],
    head: StudyHead,
    scale: StudyScale,
) -> pd.DataFrame:
    """A row a slice of these patients, with the index of the data set's table."""
    parts = []
    for one in series:
        if one.patient in patients:
            prediction = study_prediction(one.findings, head, scale)
            part = slice_table(dataset, one)
            part["probability"] = prediction.slices
            part["patient_probability"] = np.float32(prediction.patient)
            parts.append(part)
    table = pd.concat(parts)
    highest = table.groupby("patient")["patient_probability"].transform("max")
    return table.assign(patient_probability=highest)


def _first_folders(predictions: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """The first patient folder of each patient group, so that nobody counts twice."""
    table = predictions.groupby("patient", as_index=False).agg(
        label=("label", "max"), patient_probability=("patient_probability", "first")
    )
    return table[~table["patient"].map(dict(groups)).duplicated()]
