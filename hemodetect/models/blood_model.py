"""The blood network as a model: it answers slice by slice, from standard heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from hemodetect.models.blood_network import FEATURES, LOGITS, blood_network
from hemodetect.models.findings import SliceFindings, top_fraction_mean
from hemodetect.models.heat_map_source import HeatMapSource
from hemodetect.models.interface import BLOOD_MAP, GRADIENT_METHODS, Abilities, SeriesPrediction
from hemodetect.models.recipes import BloodRecipe
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.weight_files import network_file, read_half, write_half
from hemodetect.preprocessing.standard_head import SOURCE_SIDE, StandardSeries

WEIGHTS = "model.skops"
_BATCH = 32
_LOWEST = -9.0  # log-odds of a slice without a head; those of others are bounded by it
_LOWEST_PLACE = 1e-4  # probability of blood at a place; keeps its log-odds finite
_TOP_PLACES = 12  # places of a map whose mean is a feature: about 10 cm2


@dataclass(frozen=True, eq=False)
class BloodModel:
    """A trained blood network."""

    keras_model: keras.Model

    @classmethod
    def load(cls, folder: Path, recipe: BloodRecipe) -> BloodModel:
        """What `save` wrote; raises `BundleError` where it is unsafe or damaged."""
        return cls.read(network_file(folder, WEIGHTS))

    @classmethod
    def read(cls, file: Path) -> BloodModel:
        """The network in a file of weights; raises `BundleError` where they are damaged."""
        return cls(read_half(file, blood_network()))

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        return SOURCE_SIDE

    @property
    def abilities(self) -> Abilities:
        """What it can show besides probabilities."""
        return Abilities((BLOOD_MAP, *GRADIENT_METHODS))

    def findings(self, series: StandardSeries) -> SliceFindings:
        """Findings in one series.

        Each slice is read once. Reading its mirror image too and taking the mean brought 0.004 of
        AUROC (ct-ich, one fold) for twice the time.
        """
        rows = np.flatnonzero(series.head_found)
        images = series.normalised()[..., None]
        (_, outputs), (_, *map_shape, _) = self.keras_model.output_shape
        logits = np.full((len(images), outputs), _LOWEST, np.float32)
        maps = np.zeros((len(images), *map_shape), np.float32)
        size = _BATCH if len(rows) > 1 else 1
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            # Filled up, so that the compiled function meets two shapes only.
            full = images[np.concatenate([part, np.repeat(part[-1:], size - len(part))])]
            found, places = self.keras_model.predict_on_batch(full)
            logits[part] = np.asarray(found)[: len(part)]
            maps[part] = np.asarray(places)[: len(part), ..., 0]
        logits = np.clip(logits, _LOWEST, -_LOWEST)
        return SliceFindings(
            logits[:, 0],
            slice_features(logits, maps),
            series.head_found,
            series.in_brain,
            maps,
        )

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
            standard.normalised()[..., None],
            FEATURES,
            score_layer=LOGITS,
            standard=standard,
            blood_maps=lambda: self.findings(standard).maps,
        )

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        write_half(folder / WEIGHTS, self.keras_model)


def slice_features(logits: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """(n, 10) float32: what heads judge slices by.

    Each has one meaning whatever network it comes from, so that a head fitted to the findings of
    several networks can be used with another: log-odds of any blood and of its five kinds; of the map's
    maximum, of its highest mean over 3 x 3 places, and of the mean of its twelve highest places; and
    the logarithm of the area that it marks.

    Args:
        logits: (n, 6) log-odds.
        maps: (n, rows, rows) probability of blood by place.
    """
    n = len(maps)
    flat = np.sort(maps.reshape(n, -1), axis=1)
    highest, top = flat[:, -1], flat[:, -_TOP_PLACES:].mean(axis=1)
    means = ndimage.uniform_filter(maps, (0, 3, 3), mode="constant").reshape(n, -1).max(axis=1)
    marked = np.log(flat.sum(axis=1) + 0.1)
    of_maps = (_log_odds(highest), _log_odds(means), _log_odds(top), marked)
    return np.column_stack([logits, *of_maps]).astype(np.float32)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    bounded = np.clip(probability, _LOWEST_PLACE, 1 - _LOWEST_PLACE)
    return np.log(bounded / (1 - bounded))
