"""The answers of the released models for a study, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hemodetect.evaluation.levels import called
from hemodetect.imaging.study import Study
from hemodetect.inputcheck import CheckedStudy, checked_study
from hemodetect.models.series_cache import SeriesCache
from hemodetect.preprocessing.head_position import FEWEST_SLICES
from hemodetect.preprocessing.model_input import model_input
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.registry.known_slices import OutOfFold, looked_at
from hemodetect.registry.releases import ReleasedModel

Call = Literal["hemorrhage", "no hemorrhage"]
TOP = 5
"""Slices named as the most suspicious."""


@dataclass(frozen=True, eq=False)
class FamilyPrediction:
    """One model's answer for one study.

    Attributes:
        probabilities: (n,) float32 by slice, in order.
        patient: probability for the patient.
        threshold, slice_threshold: the operating points of the bundle, of a patient and of a slice.
        version: of the bundle.
        row_attention: (n, steps) weights of the image rows, or None.
        slice_attention: (n,) weights of the slices, or None.
        cannot_tell: of the bundle's card; see `undecided`.
        head_found: (n,) bool, None where the model does not look for a head.
        order_unknown: it reads slices in order, and the study's order is not known.
        out_of_fold: the model was trained on this patient; the probabilities are those of models that
            were not.
    """

    probabilities: np.ndarray
    patient: float
    threshold: float
    version: str
    row_attention: np.ndarray | None = None
    slice_attention: np.ndarray | None = None
    cannot_tell: tuple[float, float] | None = None
    head_found: np.ndarray | None = None
    order_unknown: bool = False
    out_of_fold: bool = False
    slice_threshold: float | None = None

    @property
    def slice_limit(self) -> float:
        """Probability from which a slice is suspicious."""
        return self.threshold if self.slice_threshold is None else self.slice_threshold

    @property
    def is_blind(self) -> bool:
        """Whether it has nothing to judge by: no head, or no order of slices where it needs one."""
        return self.order_unknown or (self.head_found is not None and not self.head_found.any())

    @property
    def undecided(self) -> bool:
        """Whether the model cannot tell: it is blind, or the patient's probability does not leave
        exactly one answer at 90 % confidence, or that answer is not the one on its side of the
        threshold. The range was measured on whole studies, so a few slices are always undecided.
        """
        if self.is_blind:
            return True
        if self.cannot_tell is None:
            return False
        if len(self.probabilities) < FEWEST_SLICES:
            return True
        low, high = self.cannot_tell
        other_side = high < self.patient < self.threshold or self.threshold <= self.patient < low
        return low <= self.patient <= high or other_side

    @property
    def call(self) -> Call:
        """The call at the threshold, whether or not the model is undecided."""
        is_called = called(np.array([self.patient]), self.threshold)[0]
        return "hemorrhage" if is_called else "no hemorrhage"

    @property
    def suspicious(self) -> int:
        """Number of slices at or above the slices' threshold; none where the model cannot tell."""
        if self.undecided:
            return 0
        return int(called(self.probabilities, self.slice_limit).sum())

    @property
    def top_slices(self) -> tuple[int, ...]:
        """Indices of the slices with the highest probability, highest first."""
        return tuple(int(i) for i in np.argsort(-self.probabilities, kind="stable")[:TOP])


@dataclass(frozen=True, eq=False)
class StudyPrediction:
    """All models' answers for one study.

    Attributes:
        study: as the models saw it.
        families: by family; empty where the check stopped the study.
        stopped: why no model was run and what to do; None where they were.
        cautions: sentences to read beside the answers.
    """

    study: Study
    families: dict[str, FamilyPrediction]
    stopped: str | None = None
    cautions: tuple[str, ...] = ()

    @property
    def calls(self) -> dict[str, Call]:
        """Each family's call."""
        return {family: answer.call for family, answer in self.families.items()}

    def with_caution(self, sentence: str) -> StudyPrediction:
        """The same with a sentence before the other cautions."""
        return replace(self, cautions=(sentence, *self.cautions))

    def top_slices(self) -> tuple[int, ...]:
        """Indices of the slices that are suspicious by the models' mean, highest first."""
        mean = np.mean([answer.probabilities for answer in self.families.values()], axis=0)
        return tuple(int(i) for i in np.argsort(-mean, kind="stable")[:TOP])


def predict_study(
    study: Study,
    models: Mapping[str, ReleasedModel],
    progress: Callable[[int, int], None] | None = None,
    cache: SeriesCache | None = None,
    checked: CheckedStudy | None = None,
    known: Mapping[str, OutOfFold] | None = None,
) -> StudyPrediction:
    """Checks a study, and runs every model over its chosen series unless the check stops it.

    Args:
        study: what was read; its chosen series goes to each model whole.
        models: by family.
        progress: called with (models done, models in all).
        cache: of the chosen series; give the same to the heat maps.
        checked: what `checked_study` said of it, where that was asked before.
        known: what `out_of_fold_answers` said of it, where that was asked before.
    """
    checked = checked or checked_study(study)
    study = checked.study
    if checked.stopped:
        return StudyPrediction(study, {}, checked.stopped, checked.cautions)
    inputs = {
        size: model_input(study.slices, size)
        for size in sorted({model.fitted.size for model in models.values()})
    }
    families = {}
    known = out_of_fold_answers(study, models) if known is None else known
    cache = cache or SeriesCache()
    for done, (family, model) in enumerate(models.items(), start=1):
        answer = model.predict_inputs(inputs[model.fitted.size], cache)
        unseen = known.get(family)
        families[family] = FamilyPrediction(
            probabilities=unseen.slices if unseen else answer.slices,
            patient=unseen.patient if unseen else answer.patient,
            threshold=model.card.threshold,
            slice_threshold=model.card.slice_threshold,
            version=model.card.version,
            row_attention=None if unseen else answer.row_attention,
            slice_attention=None if unseen else answer.slice_attention,
            cannot_tell=model.card.cannot_tell,
            head_found=answer.head_found,
            order_unknown=model.fitted.abilities.needs_order
            and not study.series[study.chosen].is_ordered,
            out_of_fold=unseen is not None,
        )
        if progress:
            progress(done, len(models))
    return StudyPrediction(study, families, cautions=checked.cautions)


def out_of_fold_answers(study: Study, models: Mapping[str, ReleasedModel]) -> dict[str, OutOfFold]:
    """What models said that had not seen this patient, by the families that were trained on them."""
    some = [study.slices[index] for index in looked_at(len(study.slices))]
    if not some or not any(model.known for model in models.values()):
        return {}
    hashes_of_some = slice_hashes(model_input(some, HASH_SIDE))
    knowing = {
        family: model.known
        for family, model in models.items()
        if model.known and model.known.knows(hashes_of_some)
    }
    if not knowing:
        return {}
    hashes = slice_hashes(model_input(study.slices, HASH_SIDE))
    answers = {family: known.out_of_fold(hashes) for family, known in knowing.items()}
    return {family: answer for family, answer in answers.items() if answer is not None}
