"""The blood network as a family: it answers slice by slice, from standard heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from hemodetect.models.blood_network import with_mirror
from hemodetect.models.interface import Fit, Run, SeriesPrediction, Shared, TrainingSet
from hemodetect.models.network_model import loaded_network
from hemodetect.models.recipes import BloodRecipe, Recipe
from hemodetect.preprocessing.standard_head import SOURCE_SIDE, StandardSeries, standard_series
from hemodetect.training.blood_training import blood_examples, fit_blood_network

WEIGHTS = "model.keras"
PEAK_SHARE = 0.06
"""Part of a study's counted slices whose mean evidence is the study's: blood shows in a few."""
_BATCH = 32
_STANDARD = "standard series"


@dataclass(frozen=True, eq=False)
class SliceFindings:
    """What the blood network found in the slices of one series.

    Attributes:
        evidence: (n,) float32 log-odds of blood in the slice; that of an empty slice is the lowest.
        embedding: (n, 259) float32, 0 where no head was found.
        seen: (n,) bool, slices with a head.
        counted: (n,) bool, slices that speak for the study.
        maps: (n, 28, 28) float32, probability of blood by place in the standard slice.
    """

    evidence: np.ndarray
    embedding: np.ndarray
    seen: np.ndarray
    counted: np.ndarray
    maps: np.ndarray


def peak(evidence: np.ndarray, counted: np.ndarray) -> float:
    """Mean of the highest evidences (n,) among the counted slices."""
    kept = np.sort(evidence[counted] if counted.any() else evidence)
    return float(kept[-max(1, round(PEAK_SHARE * len(kept))) :].mean())


def shared_standard(grey: np.ndarray, shared: Shared) -> StandardSeries:
    """The standard series of (n, 244, 244) uint8, made once for all that share it."""
    if _STANDARD not in shared:
        shared[_STANDARD] = standard_series(grey)
    return shared[_STANDARD]


@dataclass(frozen=True, eq=False)
class BloodModel:
    """A trained blood network."""

    keras_model: keras.Model

    @property
    def size(self) -> int:
        return SOURCE_SIDE

    def findings(self, series: StandardSeries) -> SliceFindings:
        """What it finds in one series; each slice is asked twice, once mirrored, and the mean taken."""
        rows = np.flatnonzero(series.head_found)
        images = series.normalised()
        n, width = len(images), self.keras_model.output_shape[2][-1]
        probability = np.zeros(n)
        embedding = np.zeros((n, width), np.float32)
        maps = np.zeros((n, *self.keras_model.output_shape[1][1:3]), np.float32)
        size = _BATCH if len(rows) > 1 else 1
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            # Filled up, so that the compiled function meets two shapes only.
            full = np.concatenate([part, np.repeat(part[-1:], size - len(part))])
            asked = with_mirror(images[full])
            (p, m, e), (p_back, m_back, e_back) = (
                tuple(np.asarray(x)[: len(part)] for x in self.keras_model.predict_on_batch(pair))
                for pair in (asked, asked[..., ::-1])
            )
            probability[part] = (p[:, 0] + p_back[:, 0]) / 2
            maps[part] = (m[..., 0] + m_back[:, :, ::-1, 0]) / 2
            embedding[part] = (e + e_back) / 2
        clipped = np.clip(probability, 1e-4, 1 - 1e-4)
        evidence = np.log(clipped / (1 - clipped)).astype(np.float32)
        return SliceFindings(evidence, embedding, series.head_found, series.in_brain, maps)

    def predict(self, grey: np.ndarray, shared: Shared) -> SeriesPrediction:
        """Each slice for itself; the patient's is the mean of the most suspicious."""
        found = self.findings(shared_standard(grey, shared))
        of_study = 1 / (1 + np.exp(-peak(found.evidence, found.counted)))
        return SeriesPrediction(1 / (1 + np.exp(-found.evidence)), float(of_study), seen=found.seen)

    def save(self, folder: Path) -> None:
        keras.Model(self.keras_model.inputs, self.keras_model.outputs).save(folder / WEIGHTS)


class BloodFamily:
    """Fits and loads the blood network."""

    weights_name = WEIGHTS

    def fit(self, training: TrainingSet, recipe: Recipe, run: Run) -> Fit:
        assert isinstance(recipe, BloodRecipe)
        most = run.epochs or recipe.epochs
        table = training.slices[["patient", "series"]].reset_index(drop=True)
        places = table.groupby(["patient", "series"], sort=False, dropna=False).indices.values()
        series = [standard_series(training.grey[rows]) for rows in places]
        labels = [training.labels[rows] for rows in places]
        examples = blood_examples(series, labels, recipe.paintings, run.seed)
        run.report(
            f"{len(examples.normal):,} normal slices, {len(examples.bleeding):,} bleeding,"
            f" {len(examples.painted):,} painted"
        )

        def told(epoch: int, figures: dict[str, float]) -> None:
            run.report(
                f"epoch {epoch + 1}/{most}: loss {figures['loss']:.3f}, of the slice"
                f" {figures['probability_loss']:.3f}, of the map {figures['map_loss']:.4f}"
            )

        model, history = fit_blood_network(
            recipe, examples, epochs=most, seed=run.seed, work=run.work, report=told
        )
        return Fit(BloodModel(model), history, {"painted": float(len(examples.painted))})

    def load(self, folder: Path, recipe: Recipe) -> BloodModel:
        return BloodModel(loaded_network(folder / WEIGHTS))
