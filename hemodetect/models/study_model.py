"""A model that judges a study: the blood network's findings, a family's head, and a scale.

The patient's probability is a sigmoid of the study's evidence, fitted to training patients that the
head had not seen. A slice's evidence is mixed with its study's before the same sigmoid: what the
slice shows, in the light of what the rest of the study shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from hemodetect.errors import BundleError
from hemodetect.models.blood_family import BloodModel, SliceFindings
from hemodetect.models.bundle import file_sha256
from hemodetect.models.family import Fit, Run, SeriesPrediction, Shared, TrainingSet
from hemodetect.models.network_family import loaded_network
from hemodetect.models.recipes import Recipe, StudyRecipe
from hemodetect.models.skops_file import read_arrays, write_arrays
from hemodetect.models.study_heads import Head, loaded_head

BLOOD_NETWORK = "blood.keras"
SCALE = "scale.skops"


@dataclass(frozen=True)
class StudyScale:
    """From evidence to probability: 1 / (1 + exp(-(slope * evidence + offset))).

    Attributes:
        slice_share: part of a slice's evidence that is its own; the rest is its study's.
    """

    slope: float
    offset: float
    slice_share: float

    @classmethod
    def fitted(cls, evidence: np.ndarray, labels: np.ndarray, slice_share: float) -> StudyScale:
        """Platt's sigmoid with a weak penalty, for (n,) studies; a slope below 0 is not taken."""
        spread = float(evidence.std()) or 1.0
        found = LogisticRegression(C=1.0).fit(evidence[:, None] / spread, labels)
        slope = max(float(found.coef_[0, 0]) / spread, 1e-3)
        return cls(slope, float(found.intercept_[0]), slice_share)

    def probability(self, evidence: np.ndarray) -> np.ndarray:
        """float32 in [0, 1], of any shape."""
        logit = self.slope * np.asarray(evidence, np.float64) + self.offset
        return (1 / (1 + np.exp(-np.clip(logit, -30, 30)))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class StudyModel:
    """A trained model; `key` is the SHA-256 of its blood network, which models may share."""

    blood: BloodModel
    key: str
    head: Head
    scale: StudyScale

    @property
    def size(self) -> int:
        return self.blood.size

    def findings(self, grey: np.ndarray, shared: Shared) -> SliceFindings:
        """What the blood network finds in a series, worked out once for all that share it."""
        if self.key not in shared:
            shared[self.key] = self.blood.findings(grey)
        return shared[self.key]

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        return judged_study(self.findings(grey, shared), self.head, self.scale)

    def save(self, folder: Path) -> None:
        network = self.blood.keras_model
        keras.Model(network.inputs, network.outputs).save(folder / BLOOD_NETWORK)
        self.head.save(folder)
        scale = self.scale
        write_arrays(
            folder / SCALE,
            {"numbers": np.array([scale.slope, scale.offset, scale.slice_share])},
        )


def judged_study(found: SliceFindings, head: Head, scale: StudyScale) -> SeriesPrediction:
    """Probabilities of one series from the findings in its slices."""
    evidence = head.evidence(found)
    own = scale.slice_share
    mixed = own * evidence.slices.astype(np.float64) + (1 - own) * evidence.study
    return SeriesPrediction(
        slices=scale.probability(mixed),
        patient=float(scale.probability(np.array(evidence.study))),
        slice_attention=evidence.attention,
    )


class StudyFamily:
    """Loads models that judge a study; `training.study` trains them, for it needs two data sets."""

    weights_name = BLOOD_NETWORK

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        raise BundleError(
            f"Recipe {recipe.name} needs a CNN of the recipe blood; give it with --teacher, and the"
            " data it was trained on with --teacher-data."
        )

    def load(self, folder: Path, recipe: Recipe) -> StudyModel:
        assert isinstance(recipe, StudyRecipe)
        key = file_sha256(folder / BLOOD_NETWORK)
        slope, offset, slice_share = (float(x) for x in read_arrays(folder / SCALE)["numbers"])
        scale = StudyScale(slope, offset, slice_share)
        return StudyModel(
            _blood_model(_Same(key, folder / BLOOD_NETWORK)),
            key,
            loaded_head(folder, recipe),
            scale,
        )


@dataclass(frozen=True)
class _Same:
    """A file by its content: equal where the SHA-256 is."""

    key: str
    path: Path = field(compare=False)


@lru_cache(maxsize=2)
def _blood_model(file: _Same) -> BloodModel:
    """One network in memory for all bundles that hold the same file."""
    return BloodModel(loaded_network(file.path))
