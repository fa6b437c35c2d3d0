"""Several models over one study: shapes, order, patient figures, shared inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.imaging.study import Series, Slice, Study
from hemodetect.models.calibration import Sigmoid
from hemodetect.models.heat_map_source import HeatMapSource, NoHeatMaps
from hemodetect.models.interface import (
    Abilities,
    FittedModel,
    SeriesPrediction,
    mean_prediction,
)
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.svm import SvmModel
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction, predict_study
from hemodetect.preprocessing.model_input import model_input
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.registry.bundle import Card
from hemodetect.registry.known_slices import KnownSlices
from hemodetect.registry.releases import ReleasedModel
from hemodetect.reviews.model_reads import ModelRead
from hemodetect.training.svm_training import exact_svm, projected

SIZE = 16


@dataclass(eq=False)
class Brightness:
    """A model whose probability is the mean grey; it attends to the bright rows."""

    size: int
    inputs: list[np.ndarray] = field(default_factory=list)

    def probabilities(self, grey: np.ndarray) -> np.ndarray:
        return (grey.mean(axis=(1, 2)) / 255).astype(np.float32)

    @property
    def abilities(self) -> Abilities:
        return Abilities(row_attention=True)

    def heat_map_source(self, grey: np.ndarray, cache: SeriesCache | None = None) -> HeatMapSource:
        raise NoHeatMaps("It has no convolutions.")

    def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
        self.inputs.append(grey)
        rows = grey.mean(axis=2) + 1
        weights = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        return mean_prediction(self.probabilities(grey), weights)

    def save(self, folder: Path) -> None:
        (folder / "size").write_text(str(self.size))


def released(family: str, fitted: FittedModel, threshold: float = 0.5) -> ReleasedModel:
    card = Card(
        family=family, recipe="paper", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=threshold, threshold_reason="as published", metrics={},
        seconds={}, versions={}, commit="unknown", created="2026-01-02", remarks=(), files={},
    )  # fmt: skip
    return ReleasedModel(card, fitted)


def study_of(*greys: int) -> Study:
    """Slices of 24 x 20 pixels, one for each value; a slice has that value everywhere."""
    slices = tuple(
        Slice(np.full((24, 20), grey, np.uint8), "grey", f"{i}.png") for i, grey in enumerate(greys)
    )
    return Study("S", (Series("R", "slices", slices),))


@pytest.fixture(scope="module")
def svm() -> SvmModel:
    """A small SVM that tells bright slices from dark ones."""
    random = np.random.default_rng(5)
    labels = np.tile([0, 1], 20)
    grey = random.integers(20, 90, (40, SIZE, SIZE)) + 130 * labels[:, None, None]
    return projected(
        exact_svm(grey.astype(np.uint8), labels, "linear", 1.0), 8, Sigmoid(2, 0), SIZE
    )


def test_every_model_answers_for_every_slice_and_the_patient_is_the_mean(svm: SvmModel) -> None:
    models = {"svm": released("svm", svm), "rnn": released("rnn", Brightness(8), 0.3)}
    prediction = predict_study(study_of(30, 60, 200, 210), models)
    assert list(prediction.families) == ["svm", "rnn"]
    for family, answer in prediction.families.items():
        assert answer.probabilities.shape == (4,)
        assert answer.probabilities.dtype == np.float32
        assert answer.patient == pytest.approx(answer.probabilities.mean())
        assert answer.threshold == models[family].card.threshold
        assert answer.version == models[family].card.version
    assert prediction.families["svm"].row_attention is None
    attention = prediction.families["rnn"].row_attention
    assert attention is not None
    assert attention.shape == (4, 8)
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)


def test_a_real_svm_finds_the_bright_slices(svm: SvmModel) -> None:
    answer = predict_study(study_of(30, 60, 200, 40), {"svm": released("svm", svm)}).families["svm"]
    assert answer.top_slices[0] == 2
    assert answer.suspicious == 1
    assert answer.call == ("hemorrhage" if answer.patient >= 0.5 else "no hemorrhage")


def test_models_of_one_size_share_one_input() -> None:
    first, second, other = Brightness(8), Brightness(8), Brightness(12)
    fitted = zip(("cnn", "rnn", "attention_rnn"), (first, second, other), strict=True)
    predict_study(study_of(10, 20), {family: released(family, model) for family, model in fitted})
    assert first.inputs[0] is second.inputs[0]
    assert first.inputs[0].shape == (2, 8, 8)
    assert other.inputs[0].shape == (2, 12, 12)


def test_only_the_chosen_series_is_read() -> None:
    study = study_of(10, 20)
    study = Study("S", (*study.series, *study_of(30, 40, 50).series)).choosing(1)
    prediction = predict_study(study, {"cnn": released("cnn", Brightness(8))}).families["cnn"]
    np.testing.assert_allclose(prediction.probabilities, np.array([30, 40, 50]) / 255, rtol=1e-5)


def test_progress_counts_the_models_done() -> None:
    steps: list[tuple[int, int]] = []
    models = {family: released(family, Brightness(8)) for family in ("cnn", "rnn")}
    predict_study(study_of(10), models, lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]


def test_top_slices_are_the_five_highest_and_equal_ones_keep_their_order() -> None:
    values = np.array([0.1, 0.7, 0.9, 0.7, 0.2, 0.3, 0.05], np.float32)
    assert FamilyPrediction(values, 0.4, 0.5, "v").top_slices == (2, 1, 3, 5, 4)


def test_the_studys_top_slices_follow_the_mean_of_the_models() -> None:
    families = {
        "cnn": FamilyPrediction(np.array([0.9, 0.6, 0.0], np.float32), 0.5, 0.5, "v"),
        "rnn": FamilyPrediction(np.array([0.1, 0.6, 0.2], np.float32), 0.3, 0.5, "v"),
    }
    prediction = StudyPrediction(study_of(1, 2, 3), families)
    assert prediction.top_slices() == (1, 0, 2)
    assert prediction.calls == {"cnn": "hemorrhage", "rnn": "no hemorrhage"}


@pytest.mark.parametrize(
    ("patient", "limits", "undecided"),
    [
        (0.4, None, False),
        (0.4, (0.3, 0.45), True),
        (0.48, (0.3, 0.45), True),  # no bleed by the threshold, only a bleed by the range
        (0.5, (0.3, 0.45), False),
        (0.2, (0.3, 0.45), False),
        (0.55, (0.6, 0.7), True),
        (0.75, (0.6, 0.7), False),
    ],
)
def test_a_model_decides_only_where_range_and_threshold_agree(patient, limits, undecided) -> None:
    answer = FamilyPrediction(
        np.full(8, patient, np.float32), patient, 0.5, "v", cannot_tell=limits
    )
    assert answer.undecided == undecided


def test_few_slices_are_no_study_to_judge() -> None:
    answer = FamilyPrediction(np.full(7, 0.9, np.float32), 0.9, 0.5, "v", cannot_tell=(0.3, 0.5))
    assert answer.undecided


def test_a_model_that_saw_no_head_cannot_tell() -> None:
    blind = np.zeros(1, bool)
    assert FamilyPrediction(np.array([0.5], np.float32), 0.9, 0.5, "v", head_found=blind).undecided


def test_a_known_patient_gets_the_answers_of_models_that_had_not_seen_it() -> None:
    random = np.random.default_rng(3)
    slices = tuple(
        Slice(random.integers(0, 60, (24, 20)).astype(np.uint8), "grey", f"{i}") for i in range(9)
    )
    study = Study("S", (Series("R", "slices", slices),))
    hashes = slice_hashes(model_input(slices, HASH_SIDE))
    zeros = np.zeros(9, np.float32)
    known = KnownSlices(
        hashes, np.array([0]), zeros + np.arange(9, dtype=np.float32) / 10, zeros + 0.7
    )
    models = {
        "rnn": replace(released("rnn", Brightness(8)), known=known),
        "cnn": released("cnn", Brightness(8)),
    }
    answers = predict_study(study, models).families
    assert answers["rnn"].out_of_fold
    np.testing.assert_allclose(answers["rnn"].probabilities, np.arange(9) / 10, rtol=1e-6)
    assert answers["rnn"].patient == pytest.approx(0.7)
    assert answers["rnn"].row_attention is None  # of the model that knows the patient
    assert not answers["cnn"].out_of_fold


def test_slices_have_a_threshold_of_their_own() -> None:
    values = np.array([0.1, 0.3, 0.4, 0.6] * 3, np.float32)
    answer = FamilyPrediction(values, 0.4, 0.5, "v", slice_threshold=0.3)
    assert (answer.call, answer.suspicious, answer.slice_limit) == ("no hemorrhage", 9, 0.3)
    shared = replace(answer, slice_threshold=None)
    assert (shared.suspicious, shared.slice_limit) == (3, 0.5)


def test_a_model_that_cannot_tell_has_no_suspicious_slices() -> None:
    answer = FamilyPrediction(np.full(20, 0.9, np.float32), 0.6, 0.5, "v", cannot_tell=(0.3, 0.7))
    assert answer.undecided
    assert answer.suspicious == 0
    assert replace(answer, cannot_tell=None).suspicious == 20


def test_a_stopped_study_runs_no_model() -> None:
    model = Brightness(8)
    negative = np.full((40, 40), 255, np.uint8)
    negative[10:30, 10:30] = 0
    slices = tuple(Slice(negative, "grey", f"{i}") for i in range(3))
    prediction = predict_study(
        Study("S", (Series("R", "slices", slices),)), {"rnn": released("rnn", model)}
    )
    assert prediction.stopped
    assert prediction.families == {}
    assert model.inputs == []


def test_a_probability_at_the_threshold_is_called_everywhere() -> None:
    at = float(np.float32(0.7))  # a little below 0.7
    answer = FamilyPrediction(np.full(3, 0.7, np.float32), at, 0.7, "v")
    assert (answer.call, answer.suspicious) == ("hemorrhage", 3)
    assert ModelRead(0, "cnn", "v", at, 0.7, False).call == "hemorrhage"
