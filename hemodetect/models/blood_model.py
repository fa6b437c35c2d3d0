"""The blood network as a model: it answers slice by slice, from standard heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from hemodetect.models.blood_network import LOGIT, with_mirror
from hemodetect.models.findings import SliceFindings, top_fraction_mean
from hemodetect.models.heat_map_source import HeatMapSource
from hemodetect.models.interface import GRADIENT_METHODS, Abilities, SeriesPrediction
from hemodetect.models.recipes import BloodRecipe
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.weight_files import read_network, write_network
from hemodetect.preprocessing.standard_head import SOURCE_SIDE, StandardSeries

WEIGHTS = "model.keras"
_BATCH = 32
_LOWEST_PROBABILITY = 1e-4  # that of a slice without a head; keeps logits finite


@dataclass(frozen=True, eq=False)
class BloodModel:
    """A trained blood network."""

    keras_model: keras.Model

    @classmethod
    def load(cls, folder: Path, recipe: BloodRecipe) -> BloodModel:
        """What `save` wrote; raises `BundleError` where it is unsafe or damaged."""
        return cls(read_network(folder / WEIGHTS))

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        return SOURCE_SIDE

    @property
    def abilities(self) -> Abilities:
        """What it can show besides probabilities."""
        return Abilities((GRADIENT_METHODS[0], "Blood map", *GRADIENT_METHODS[1:]))

    def findings(self, series: StandardSeries) -> SliceFindings:
        """Findings in one series: each slice is read twice, once mirrored, and the mean is taken."""
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
            batch = with_mirror(images[full])
            (p, m, e), (p_back, m_back, e_back) = (
                tuple(np.asarray(x)[: len(part)] for x in self.keras_model.predict_on_batch(pair))
                for pair in (batch, batch[..., ::-1])
            )
            probability[part] = (p[:, 0] + p_back[:, 0]) / 2
            maps[part] = (m[..., 0] + m_back[:, :, ::-1, 0]) / 2
            embedding[part] = (e + e_back) / 2
        clipped = np.clip(probability, _LOWEST_PROBABILITY, 1 - _LOWEST_PROBABILITY)
        logits = np.log(clipped / (1 - clipped)).astype(np.float32)
        return SliceFindings(logits, embedding, series.head_found, series.in_brain, maps)

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        """Each slice by itself; the patient's is the mean of the most suspicious."""
        findings = self.findings((cache or SeriesCache()).standard(grey))
        study_logit = top_fraction_mean(findings.logits, findings.in_brain)
        return SeriesPrediction(
            1 / (1 + np.exp(-findings.logits)),
            float(1 / (1 + np.exp(-study_logit))),
            head_found=findings.head_found,
        )

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        """The network and the images it sees; see `FittedModel`."""
        standard = (cache or SeriesCache()).standard(grey)
        return HeatMapSource(
            self.keras_model,
            with_mirror(standard.normalised()),
            score_layer=LOGIT,
            standard=standard,
            blood_maps=lambda: self.findings(standard).maps,
        )

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_network(folder / WEIGHTS, self.keras_model)
