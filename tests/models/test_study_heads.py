"""Every family's head finds what the findings show, and is the same after it was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.calibration import Sigmoid
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.findings import SliceFindings
from hemodetect.models.recipes import StudyRecipe, recipe_named
from hemodetect.models.study_heads import StudyHead, load_head
from hemodetect.models.study_model import StudyScale, study_prediction
from hemodetect.models.weight_files import read_arrays, write_arrays
from hemodetect.training.calibration import fitted_sigmoid
from hemodetect.training.head_training import HeadSeries, fitted_head


def series(seed: int, bleeding: bool, slices: int = 40, labelled: bool = False) -> HeadSeries:
    """Findings whose first three of 259 values rise in the bleeding middle of the series."""
    random = np.random.default_rng(seed)
    shown = np.zeros(slices, bool)
    shown[slices // 3 : slices // 2] = bleeding
    embedding = random.normal(0, 1, (slices, 259)).astype(np.float32)
    embedding[shown, :3] += 6
    evidence = (random.normal(-2, 1, slices) + 4 * shown).astype(np.float32)
    nothing = np.zeros((0, 0, 0), np.float32)
    findings = SliceFindings(evidence, embedding, *2 * [np.ones(slices, bool)], nothing)
    labels = shown.astype(int) if labelled else np.full(slices, int(bleeding))
    return HeadSeries(findings, labels, labelled)


@pytest.fixture(scope="module")
def training() -> list[HeadSeries]:
    return [series(s, s % 2 == 1, labelled=s % 4 > 1, slices=30 + 5 * s) for s in range(16)]


@pytest.fixture(scope="module")
def heads(training: list[HeadSeries]) -> dict[str, StudyHead]:
    """The head of each family, fitted once."""
    return {family: fitted_head(training, recipe(family), seed=0) for family in FAMILY_NAMES}


def recipe(family: str) -> StudyRecipe:
    settings = recipe_named(family, "study")
    assert isinstance(settings, StudyRecipe)
    return replace(settings, epochs=15)


@pytest.mark.training
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_head_ranks_new_studies_and_slices_and_survives_saving(
    family: str, heads: dict[str, StudyHead], tmp_path: Path
) -> None:
    head = heads[family]
    bleeding, normal = ([series(100 + 2 * i + b, bool(b)) for i in range(4)] for b in (1, 0))
    answers = [head.logits(s.findings) for s in bleeding]
    assert min(e.study for e in answers) > max(head.logits(s.findings).study for s in normal)
    for evidence in answers:
        assert evidence.slices[14:19].mean() > evidence.slices[25:].mean()
    assert (answers[0].slice_attention is not None) == (family == "attention_rnn")
    if answers[0].slice_attention is not None:
        assert answers[0].slice_attention.sum() == pytest.approx(1, abs=1e-4)
    head.save(tmp_path)
    again = load_head(tmp_path, recipe(family)).logits(bleeding[0].findings)
    np.testing.assert_allclose(again.slices, answers[0].slices, atol=1e-4)
    assert again.study == pytest.approx(answers[0].study, abs=1e-4)


@pytest.mark.training
def test_a_recurrent_head_reads_series_of_any_length(heads: dict[str, StudyHead]) -> None:
    head = heads["attention_rnn"]
    for slices in (1, 64, 65, 200):
        answers = head.logits(series(7, True, slices=slices).findings)
        assert answers.slices.shape == (slices,)
        assert np.isfinite(answers.slices).all()
        assert answers.slice_attention is not None
        assert answers.slice_attention.sum() == pytest.approx(1, abs=1e-4)


def test_a_slice_is_judged_in_the_light_of_its_study() -> None:
    scale = StudyScale(Sigmoid(1.0, 0.0), Sigmoid(2.0, -1.0), 0.25)
    head = fitted_head([], recipe("cnn"), seed=0)
    findings = series(1, True).findings
    answers, evidence = study_prediction(findings, head, scale), head.logits(findings)
    mixed = 2 * (0.25 * evidence.slices + 0.75 * evidence.study) - 1
    np.testing.assert_allclose(answers.slices, 1 / (1 + np.exp(-mixed)), rtol=1e-5)
    assert answers.patient == pytest.approx(1 / (1 + np.exp(-evidence.study)), rel=1e-5)


def test_a_sigmoid_never_turns_a_model_round() -> None:
    evidence, labels = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0, 0, 1, 1])
    assert fitted_sigmoid(evidence, labels, np.ones(4)).slope > 0


def test_of_slices_without_a_head_nothing_is_said() -> None:
    scale = StudyScale(Sigmoid(1.0, 0.0), Sigmoid(1.0, 0.0), 0.5)
    head, findings = fitted_head([], recipe("cnn"), seed=0), series(1, True).findings
    blind = study_prediction(replace(findings, head_found=np.zeros(40, bool)), head, scale)
    assert blind.patient == 0.5
    assert set(blind.slices) == {0.5}
    seen = np.arange(40) != 14
    answers = study_prediction(replace(findings, head_found=seen), head, scale)
    assert answers.slices[14] == pytest.approx(answers.slices[seen].min())


@pytest.mark.training
@pytest.mark.parametrize("lost", ["mean", "weights"])
def test_a_head_that_lacks_an_array_is_refused(
    lost: str, heads: dict[str, StudyHead], tmp_path: Path
) -> None:
    heads["logistic"].save(tmp_path)
    arrays = read_arrays(tmp_path / "head.skops")
    del arrays[lost]
    write_arrays(tmp_path / "head.skops", arrays)
    with pytest.raises(BundleError, match="holds no head"):
        load_head(tmp_path, recipe("logistic"))
