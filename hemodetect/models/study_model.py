"""A model that judges a study: the blood network's findings, a family's head, and a scale.

The patient's probability is a sigmoid of the study's evidence, fitted to training patients that the
head had not seen. A slice's evidence is mixed with its study's before a sigmoid of its own: what the
slice shows, in the light of what the rest of the study shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from hemodetect.errors import BundleError
from hemodetect.models.blood_model import BloodModel, SliceFindings, shared_standard
from hemodetect.models.interface import Fit, Run, SeriesPrediction, Shared, TrainingSet
from hemodetect.models.network_model import loaded_network
from hemodetect.models.recipes import Recipe, StudyRecipe
from hemodetect.models.study_heads import Evidence, Head, loaded_head
from hemodetect.models.weight_files import read_arrays, write_arrays
from hemodetect.registry.bundle import file_sha256

BLOOD_NETWORK = "blood.keras"
SCALE = "scale.skops"


@dataclass(frozen=True)
class Line:
    """From evidence to probability: 1 / (1 + exp(-(slope * evidence + offset))), Platt's sigmoid."""

    slope: float
    offset: float

    @classmethod
    def fitted(cls, evidence: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Line:
        """Fitted with a weak penalty to (n,) cases; a slope below 0 is not taken."""
        spread = float(evidence.std()) or 1.0
        found = LogisticRegression(C=1.0).fit(evidence[:, None] / spread, labels, weights)
        return cls(max(float(found.coef_[0, 0]) / spread, 1e-3), float(found.intercept_[0]))

    def probability(self, evidence: np.ndarray) -> np.ndarray:
        """float32 in [0, 1], of any shape."""
        logit = self.slope * np.asarray(evidence, np.float64) + self.offset
        return (1 / (1 + np.exp(-np.clip(logit, -30, 30)))).astype(np.float32)


@dataclass(frozen=True)
class StudyScale:
    """What evidence is worth.

    Attributes:
        study: for the study's evidence.
        slices: for a slice's, mixed with its study's.
        slice_share: part of the mixture that is the slice's own.
    """

    study: Line
    slices: Line
    slice_share: float

    @classmethod
    def fitted(
        cls, evidence: Sequence[Evidence], labels: Sequence[np.ndarray], slice_share: float
    ) -> StudyScale:
        """From studies that the head had not seen.

        Args:
            evidence: one a study.
            labels: (n,) 0 or 1 of its slices. All slices of a study together weigh as one study.
            slice_share: see above.
        """
        of_studies = np.array([e.study for e in evidence])
        study = Line.fitted(
            of_studies, np.array([y.max() for y in labels]), np.ones(len(of_studies))
        )
        mixed = np.concatenate([_mixed(e, slice_share) for e in evidence])
        # The sum of all weights is the number of studies' slices; a penalty acts on their sum.
        weights = np.concatenate([np.full(len(y), 1 / len(y)) for y in labels])
        weights *= len(weights) / weights.sum()
        return cls(study, Line.fitted(mixed, np.concatenate(labels), weights), slice_share)


def _mixed(evidence: Evidence, slice_share: float) -> np.ndarray:
    own = evidence.slices.astype(np.float64)
    return slice_share * own + (1 - slice_share) * evidence.study


@dataclass(frozen=True, eq=False)
class StudyModel:
    """A trained model.

    Attributes:
        blood: its blood network.
        blood_file: where that lies; models may share a network, and do where the files are equal.
        key: SHA-256 of that file.
    """

    blood: BloodModel
    blood_file: Path
    key: str
    head: Head
    scale: StudyScale

    @property
    def size(self) -> int:
        return self.blood.size

    def findings(self, grey: np.ndarray, shared: Shared) -> SliceFindings:
        """What the blood network finds in a series, worked out once for all that share it."""
        if self.key not in shared:
            shared[self.key] = self.blood.findings(shared_standard(grey, shared))
        return shared[self.key]

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        return judged_study(self.findings(grey, shared), self.head, self.scale)

    def save(self, folder: Path) -> None:
        # Copied, not saved anew: a new file has other bytes, and would be taken for another network.
        shutil.copyfile(self.blood_file, folder / BLOOD_NETWORK)
        self.head.save(folder)
        scale = self.scale
        write_arrays(
            folder / SCALE,
            {
                "study": np.array([scale.study.slope, scale.study.offset]),
                "slices": np.array([scale.slices.slope, scale.slices.offset]),
                "slice_share": np.array(scale.slice_share),
            },
        )


def judged_study(found: SliceFindings, head: Head, scale: StudyScale) -> SeriesPrediction:
    """Probabilities of one series from the findings in its slices.

    A slice without a head is as suspicious as the least suspicious one with a head. Of a series without
    any, nothing can be said: all is one half.
    """
    if not found.seen.any():
        return SeriesPrediction(np.full(len(found.seen), 0.5, np.float32), 0.5, seen=found.seen)
    evidence = head.evidence(found)
    own = np.where(found.seen, evidence.slices, evidence.slices[found.seen].min())
    evidence = replace(evidence, slices=own)
    return SeriesPrediction(
        slices=scale.slices.probability(_mixed(evidence, scale.slice_share)),
        patient=float(scale.study.probability(np.array(evidence.study))),
        slice_attention=evidence.attention,
        seen=found.seen,
    )


class StudyFamily:
    """Loads models that judge a study; `training.study` trains them, for it needs two data sets."""

    weights_name = BLOOD_NETWORK

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        raise BundleError(
            f"Recipe {recipe.name} needs a CNN of the recipe blood; give it with --backbone, and the"
            " data it was trained on with --backbone-data."
        )

    def load(self, folder: Path, recipe: Recipe) -> StudyModel:
        assert isinstance(recipe, StudyRecipe)
        file = folder / BLOOD_NETWORK
        key = file_sha256(file)
        arrays = read_arrays(folder / SCALE)
        try:
            study, slices = (Line(*map(float, arrays[name])) for name in ("study", "slices"))
            scale = StudyScale(study, slices, float(arrays["slice_share"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder / SCALE}: holds no scale ({error}).") from error
        return StudyModel(
            _blood_model(_Same(key, file)),
            file,
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
