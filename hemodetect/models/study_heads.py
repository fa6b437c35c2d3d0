"""What each family makes of the blood network's findings: logits by slice and for the study.

Logits are log-odds of no fixed scale; `study_model` makes probabilities of them.

- CNN: the blood network's own logits.
- Logistic regression, SVM: fitted to slices, in the network's ten features of each.
- RNN, attention RNN: read the network's logits of a study's slices in order (`recurrent_head`).

The first three judge the study by its most suspicious slices. All but the CNN, which says the same as
the network, add the network's word on the study (`StudySum`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hemodetect.errors import BundleError
from hemodetect.models.findings import SliceFindings, top_fraction_mean
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.weight_files import read_arrays, read_network, write_arrays

HEAD_ARRAYS = "head.skops"
HEAD_NETWORK = "head.keras"
_OLDER = "It is damaged, or an older version trained it; train the model again."
_STUDY = "study_"  # begins the names of a study sum's arrays


@dataclass(frozen=True, eq=False)
class StudyLogits:
    """Log-odds of hemorrhage in one series.

    Attributes:
        slices: (n,) float32.
        study: of the whole series.
        slice_attention: (n,) float32 weights of the slices, summing to 1; None where the head weighs
            no slices.
    """

    slices: np.ndarray
    study: float
    slice_attention: np.ndarray | None = None


class StudyHead(Protocol):
    """One family's reading of the findings."""

    @property
    def weighs_slices(self) -> bool:
        """Whether its logits come with weights of the slices."""
        ...

    @property
    def reads_in_order(self) -> bool:
        """Whether it reads the slices as a sequence."""
        ...

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Of one series."""
        ...

    def all_logits(self, series: Sequence[SliceFindings]) -> list[StudyLogits]:
        """Of many series, in order."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what is needed to load it again; nothing for a head without weights."""
        ...


@dataclass(frozen=True, eq=False)
class Scaling:
    """Values at mean 0 and deviation 1: mean and deviation are (k,)."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Scaling:
        """From values (m, k)."""
        deviation = features.std(axis=0) + 1e-6
        return cls(features.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that a bundle keeps."""
        return {"mean": self.mean, "deviation": self.deviation}

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(m, k) float32 of values (m, k)."""
        return (features - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class StudySum:
    """Log-odds of a study from what the family says and what the blood network says by itself.

    Both weigh the same. The network's word is the mean of its highest logits; without it, families that
    were fitted to other hospitals' slices know less of a new patient than the network does.

    Attributes:
        scaling: of both (2,) over training studies.
    """

    scaling: Scaling

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> StudySum:
        """From the arrays of a bundle; raises `KeyError` where it has none, as older ones."""
        return cls(Scaling(arrays[_STUDY + "mean"], arrays[_STUDY + "deviation"]))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that a bundle keeps."""
        return {_STUDY + name: array for name, array in self.scaling.arrays().items()}

    def __call__(self, own: float, findings: SliceFindings) -> float:
        """The log-odds, where `own` are the family's."""
        return float(self.scaling(both_words(own, findings)).sum())


def both_words(own: float, findings: SliceFindings) -> np.ndarray:
    """(2,) float32, log-odds of a study: the family's, and the network's."""
    return np.array([own, top_fraction_mean(findings.logits, findings.in_brain)], np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class SliceHead(ABC):
    """A head that looks at each slice by itself.

    Attributes:
        study: adds the network's word on a study; None where the logits are the network's.
    """

    study: StudySum | None = None

    weighs_slices = False
    reads_in_order = False

    @abstractmethod
    def slice_logits(self, findings: SliceFindings) -> np.ndarray:
        """(n,) log-odds of the slices of one series."""

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Of one series; the study's rest on its most suspicious slices."""
        values = self.slice_logits(findings)
        study = top_fraction_mean(values, findings.in_brain)
        if self.study is not None:
            study = self.study(study, findings)
        return StudyLogits(values.astype(np.float32), study)

    def all_logits(self, series: Sequence[SliceFindings]) -> list[StudyLogits]:
        """Of many series, in order."""
        return [self.logits(findings) for findings in series]

    def slice_arrays(self) -> dict[str, np.ndarray]:
        """What `slice_logits` rests on."""
        return {}

    def save(self, folder: Path) -> None:
        """Writes the arrays into an existing folder; nothing where there are none."""
        arrays = self.slice_arrays() | (self.study.arrays() if self.study else {})
        if arrays:
            write_arrays(folder / HEAD_ARRAYS, arrays)


@dataclass(frozen=True, eq=False)
class NetworkLogitHead(SliceHead):
    """The blood network's logits of the slices, unchanged."""

    def slice_logits(self, findings: SliceFindings) -> np.ndarray:
        """(n,) log-odds of the slices of one series."""
        return findings.logits


@dataclass(frozen=True, eq=False)
class LinearHead(SliceHead):
    """Logistic regression: weights (10,) and an intercept."""

    scaling: Scaling
    weights: np.ndarray
    intercept: float

    def slice_logits(self, findings: SliceFindings) -> np.ndarray:
        """(n,) log-odds of the slices of one series."""
        return self.scaling(findings.features) @ self.weights + self.intercept

    def slice_arrays(self) -> dict[str, np.ndarray]:
        """What `slice_logits` rests on."""
        return {
            **self.scaling.arrays(),
            "weights": self.weights,
            "intercept": np.array(self.intercept),
        }


@dataclass(frozen=True, eq=False)
class KernelHead(SliceHead):
    """SVM with an RBF kernel: support vectors (m, 10) and their dual coefficients (m,)."""

    scaling: Scaling
    support: np.ndarray
    dual: np.ndarray
    intercept: float
    gamma: float

    def slice_logits(self, findings: SliceFindings) -> np.ndarray:
        """(n,) decision values of the slices of one series."""
        x = self.scaling(findings.features).astype(np.float64)
        norms = (x**2).sum(axis=1)[:, None] + (self.support**2).sum(axis=1)[None]
        squared_distances = np.maximum(norms - 2 * x @ self.support.T, 0)
        return np.exp(-self.gamma * squared_distances) @ self.dual + self.intercept

    def slice_arrays(self) -> dict[str, np.ndarray]:
        """What `slice_logits` rests on."""
        return {
            **self.scaling.arrays(),
            "support": self.support,
            "dual": self.dual,
            "numbers": np.array([self.intercept, self.gamma]),
        }


def load_head(folder: Path, recipe: StudyRecipe) -> StudyHead:
    """The head that `save` wrote; raises `BundleError` where it is unsafe or damaged."""
    file = folder / HEAD_ARRAYS
    if recipe.family == "cnn":
        if file.is_file():
            raise BundleError(f"{file}: {_OLDER}")
        return NetworkLogitHead()
    arrays = read_arrays(file)
    try:
        study = StudySum.of(arrays)
        scaling = Scaling(arrays["mean"], arrays["deviation"])
        if recipe.family == "logistic":
            weights, constant = arrays["weights"], float(arrays["intercept"])
            return LinearHead(scaling, weights, constant, study=study)
        if recipe.family == "svm":
            constant, gamma = (float(x) for x in arrays["numbers"])
            return KernelHead(
                scaling, arrays["support"], arrays["dual"], constant, gamma, study=study
            )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{file}: holds no head ({error}). {_OLDER}") from error
    from hemodetect.models.recurrent_head import RecurrentHead

    network = read_network(folder / HEAD_NETWORK)
    return RecurrentHead(scaling, network, study, recipe.family == "attention_rnn")
