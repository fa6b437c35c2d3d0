"""What each family makes of the blood network's findings: logits by slice and for the study.

Logits are log-odds of no fixed scale; `study_model` makes probabilities of them.

- CNN: the blood network's own logits.
- Logistic regression, SVM: fitted to slices, in principal components of the network's embedding.
- RNN, attention RNN: read the slices of a study in order (`recurrent_head`).
"""

from __future__ import annotations

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

    def save(self, folder: Path) -> None:
        """Writes what is needed to load it again; nothing for a head without weights."""
        ...


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of unit variance: (x - mean) @ matrix, (259,) and (259, components)."""

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, embedding: np.ndarray, components: int) -> Components:
        """From embeddings (m, 259), each of its values scaled to unit variance first."""
        mean, scale = embedding.mean(axis=0), embedding.std(axis=0) + 1e-6
        standard = (embedding - mean) / scale
        _, axes = np.linalg.eigh(standard.T @ standard / len(standard))
        axes = axes[:, ::-1][:, :components]
        spread = (standard @ axes).std(axis=0) + 1e-6
        return cls(mean.astype(np.float32), (axes / spread / scale[:, None]).astype(np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that a bundle keeps."""
        return {"mean": self.mean, "matrix": self.matrix}

    def __call__(self, embedding: np.ndarray) -> np.ndarray:
        """(m, components) float32 of embeddings (m, 259)."""
        return (embedding - self.mean) @ self.matrix


class NetworkLogitHead:
    """The blood network's logits, unchanged."""

    weighs_slices = False
    reads_in_order = False

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Of one series."""
        study = top_fraction_mean(findings.logits, findings.in_brain)
        return StudyLogits(findings.logits, study)

    def save(self, folder: Path) -> None:
        """Nothing: it has no weights."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logistic regression: weights (components,) and an intercept."""

    components: Components
    weights: np.ndarray
    intercept: float
    weighs_slices = False
    reads_in_order = False

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Of one series."""
        values = self.components(findings.embedding) @ self.weights + self.intercept
        study = top_fraction_mean(values, findings.in_brain)
        return StudyLogits(values.astype(np.float32), study)

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_arrays(
            folder / HEAD_ARRAYS,
            {
                **self.components.arrays(),
                "weights": self.weights,
                "intercept": np.array(self.intercept),
            },
        )


@dataclass(frozen=True, eq=False)
class KernelHead:
    """SVM with an RBF kernel: support vectors (m, components) and their dual coefficients (m,)."""

    components: Components
    support: np.ndarray
    dual: np.ndarray
    intercept: float
    gamma: float
    weighs_slices = False
    reads_in_order = False

    def logits(self, findings: SliceFindings) -> StudyLogits:
        """Of one series."""
        x = self.components(findings.embedding).astype(np.float64)
        norms = (x**2).sum(axis=1)[:, None] + (self.support**2).sum(axis=1)[None]
        squared_distances = np.maximum(norms - 2 * x @ self.support.T, 0)
        values = np.exp(-self.gamma * squared_distances) @ self.dual + self.intercept
        study = top_fraction_mean(values, findings.in_brain)
        return StudyLogits(values.astype(np.float32), study)

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_arrays(
            folder / HEAD_ARRAYS,
            {
                **self.components.arrays(),
                "support": self.support,
                "dual": self.dual,
                "numbers": np.array([self.intercept, self.gamma]),
            },
        )


def load_head(folder: Path, recipe: StudyRecipe) -> StudyHead:
    """The head that `save` wrote; raises `BundleError` where it is unsafe or damaged."""
    if recipe.family == "cnn":
        return NetworkLogitHead()
    arrays = read_arrays(folder / HEAD_ARRAYS)
    try:
        components = Components(arrays["mean"], arrays["matrix"])
        if recipe.family == "logistic":
            return LinearHead(components, arrays["weights"], float(arrays["intercept"]))
        if recipe.family == "svm":
            intercept, gamma = (float(x) for x in arrays["numbers"])
            return KernelHead(components, arrays["support"], arrays["dual"], intercept, gamma)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / HEAD_ARRAYS}: holds no head ({error}).") from error
    from hemodetect.models.recurrent_head import RecurrentHead

    network = read_network(folder / HEAD_NETWORK)
    return RecurrentHead(components, network, recipe.family == "attention_rnn")
