"""A model that judges a study: the blood network's findings, a family's head, and a scale.

The patient's probability is a sigmoid of the study's logit, a slice's is a sigmoid of its own logit.
Each is fitted to training patients that the head had not seen, the slices' to patients labelled slice
by slice.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from hemodetect.errors import BundleError
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.calibration import Sigmoid
from hemodetect.models.findings import SliceFindings
from hemodetect.models.heat_map_source import HeatMapSource, NoHeatMaps
from hemodetect.models.interface import Abilities, SeriesPrediction
from hemodetect.models.recipes import StudyRecipe
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.study_heads import NetworkLogitHead, StudyHead, StudyLogits, load_head
from hemodetect.models.weight_files import (
    BLOOD_NETWORK,
    network_file,
    read_arrays,
    write_arrays,
)
from hemodetect.storage.digests import file_sha256

SCALE = "scale.skops"


@dataclass(frozen=True)
class StudyScale:
    """From logits to probabilities.

    Attributes:
        study: for the study's logit.
        slices: for a slice's logit.
    """

    study: Sigmoid
    slices: Sigmoid


@dataclass(frozen=True, eq=False)
class StudyModel:
    """A trained model.

    Attributes:
        blood: its blood network.
        blood_file: where that lies; models share a network where their files are equal.
        key: SHA-256 of that file.
        head: of its family.
        scale: of the head's logits.
    """

    blood: BloodModel
    blood_file: Path
    key: str
    head: StudyHead
    scale: StudyScale

    @classmethod
    def load(cls, folder: Path, recipe: StudyRecipe) -> StudyModel:
        """What `save` wrote; raises `BundleError` where it is unsafe or damaged."""
        file = network_file(folder, BLOOD_NETWORK)
        key = file_sha256(file)
        arrays = read_arrays(folder / SCALE)
        try:
            study, slices = (Sigmoid(*map(float, arrays[name])) for name in ("study", "slices"))
            scale = StudyScale(study, slices)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder / SCALE}: holds no scale ({error}).") from error
        blood = _blood_model(_NetworkFile(key, file))
        return cls(blood, file, key, load_head(folder, recipe), scale)

    @property
    def size(self) -> int:
        """Side of the square slices it takes, in pixels."""
        return self.blood.size

    @property
    def abilities(self) -> Abilities:
        """What it can show besides probabilities."""
        # Heat maps explain the blood network: the family that answers with its logits, and no other.
        explained = isinstance(self.head, NetworkLogitHead)
        return Abilities(
            heat_maps=self.blood.abilities.heat_maps if explained else (),
            slice_attention=self.head.weighs_slices,
            needs_order=self.head.reads_in_order,
        )

    def findings(self, grey: np.ndarray, cache: SeriesCache) -> SliceFindings:
        """What the blood network finds in a series, worked out once in its cache."""
        return cache.findings(self.key, lambda: self.blood.findings(cache.standard(grey)))

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        """Probabilities of one series; see `study_predictions`."""
        findings = self.findings(grey, cache or SeriesCache())
        return _study_prediction(findings, self.head.logits(findings), self.scale)

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        """The network and the images it sees; see `FittedModel`."""
        if not self.abilities.heat_maps:
            raise NoHeatMaps(
                "This model does not answer with a CNN's logits; heat maps need a CNN."
            )
        cache = cache or SeriesCache()
        source = self.blood.heat_map_source(grey, cache)
        return replace(source, blood_maps=lambda: self.findings(grey, cache).maps)

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        # Copied, not saved again: a new file has other bytes, and would count as another network.
        shutil.copyfile(self.blood_file, folder / BLOOD_NETWORK)
        self.head.save(folder)
        scale = self.scale
        write_arrays(
            folder / SCALE,
            {
                "study": np.array([scale.study.slope, scale.study.offset]),
                "slices": np.array([scale.slices.slope, scale.slices.offset]),
            },
        )


def study_predictions(
    series: Sequence[SliceFindings], head: StudyHead, scale: StudyScale
) -> list[SeriesPrediction]:
    """Probabilities of many series from the findings in their slices.

    A slice without a head is as suspicious as the least suspicious one with a head. A series without
    any head gets one half everywhere: nothing can be known of it.
    """
    return [
        _study_prediction(findings, logits, scale)
        for findings, logits in zip(series, head.all_logits(series), strict=True)
    ]


def _study_prediction(
    findings: SliceFindings, logits: StudyLogits, scale: StudyScale
) -> SeriesPrediction:
    head_found = findings.head_found
    if not head_found.any():
        half = np.full(len(head_found), 0.5, np.float32)
        return SeriesPrediction(half, 0.5, head_found=head_found)
    lowest = logits.slices[head_found].min()
    return SeriesPrediction(
        slices=scale.slices.probabilities(np.where(head_found, logits.slices, lowest)),
        patient=float(scale.study.probabilities(np.array(logits.study))),
        slice_attention=logits.slice_attention,
        head_found=head_found,
    )


@dataclass(frozen=True)
class _NetworkFile:
    """A file by its content: equal where the SHA-256 is."""

    key: str
    path: Path = field(compare=False)


@lru_cache(maxsize=2)
def _blood_model(file: _NetworkFile) -> BloodModel:
    """One network in memory for all bundles that hold the same file."""
    return BloodModel.read(file.path)
