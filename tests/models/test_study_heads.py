"""The head of every family learns what the findings show, and is the same after saving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.calibration import Sigmoid
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.findings import SliceFindings, top_fraction_mean
from hemodetect.models.recipes import StudyRecipe, recipe_named
from hemodetect.models.recurrent_head import RecurrentHead
from hemodetect.models.study_heads import (
    LinearHead,
    Scaling,
    SliceHead,
    StudyHead,
    load_head,
)
from hemodetect.models.study_model import StudyScale, study_predictions
from hemodetect.models.weight_files import read_arrays, write_arrays
from hemodetect.training.calibration import fitted_sigmoid
from hemodetect.training.head_training import (
    HeadSeries,
    _study_sum,
    fitted_head,
    fitted_scale,
    studies_of_both_kinds,
)


def series(seed: int, bleeding: bool, slices: int = 40, labelled: bool = False) -> HeadSeries:
    """Findings whose first three of ten values rise in the bleeding middle of the series."""
    random = np.random.default_rng(seed)
    bleeds = np.zeros(slices, bool)
    bleeds[slices // 3 : slices // 2] = bleeding
    features = random.normal(0, 1, (slices, 10)).astype(np.float32)
    features[bleeds, :3] += 6
    evidence = (random.normal(-2, 1, slices) + 4 * bleeds).astype(np.float32)
    nothing = np.zeros((0, 0, 0), np.float32)
    findings = SliceFindings(evidence, features, *2 * [np.ones(slices, bool)], nothing)
    labels = bleeds.astype(int) if labelled else np.full(slices, int(bleeding))
    return HeadSeries(
        findings, labels, labelled, slices >= 8, "labelled" if labelled else "folders"
    )


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


def test_a_slice_and_its_study_have_scales_of_their_own() -> None:
    scale = StudyScale(Sigmoid(1.0, 0.0), Sigmoid(2.0, -1.0))
    head = fitted_head([], recipe("cnn"), seed=0)
    findings = series(1, True).findings
    (answers,), evidence = study_predictions([findings], head, scale), head.logits(findings)
    logits = 2 * evidence.slices - 1
    np.testing.assert_allclose(answers.slices, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert answers.patient == pytest.approx(1 / (1 + np.exp(-evidence.study)), rel=1e-5)


@pytest.mark.parametrize("family", ["svm", "logistic", "cnn"])
def test_a_slice_s_probability_never_contains_the_study_s_verdict(
    family: str, heads: dict[str, StudyHead]
) -> None:
    """A slice has the same probability among bleeding slices and among normal ones."""
    scale = StudyScale(Sigmoid(1.0, 0.0), Sigmoid(1.0, 0.0))
    findings = [series(seed, bleeding).findings for seed, bleeding in ((1, True), (2, False))]
    alone = [
        replace(one, logits=one.logits.copy(), features=one.features.copy()) for one in findings
    ]
    for one in alone:
        one.logits[0], one.features[0] = -1.0, 0.5
    bleeding, normal = study_predictions(alone, heads[family], scale)
    assert bleeding.patient > normal.patient
    assert bleeding.slices[0] == pytest.approx(normal.slices[0], rel=1e-5)


@pytest.mark.training
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_many_series_at_once_are_answered_as_one_by_one(
    family: str, heads: dict[str, StudyHead]
) -> None:
    several = [series(seed, True, slices=slices).findings for seed, slices in ((1, 1), (2, 70))]
    for one, together in zip(several, heads[family].all_logits(several), strict=True):
        alone = heads[family].logits(one)
        np.testing.assert_allclose(together.slices, alone.slices, atol=1e-4)
        assert together.study == pytest.approx(alone.study, abs=1e-4)


def test_a_scale_rests_on_studies_of_both_kinds_and_on_slices_with_own_labels() -> None:
    """No set whose patients all bleed sets the study's scale; no folders' labels set the slices'."""
    head = fitted_head([], recipe("cnn"), seed=0)
    both = [series(s, s % 2 == 1, labelled=True) for s in range(12)]
    folders = [series(20 + s, s % 2 == 1) for s in range(12)]
    only_bleeding = [replace(series(40 + s, True, labelled=True), set="x") for s in range(12)]

    def scale(training: list[HeadSeries]) -> StudyScale:
        return fitted_scale(training, head.all_logits([one.findings for one in training]))

    assert scale(both + only_bleeding).study == scale(both).study
    assert scale(both + folders).slices == scale(both).slices
    assert scale(both + only_bleeding).slices != scale(both).slices


def test_a_sigmoid_never_turns_a_model_round() -> None:
    evidence, labels = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0, 0, 1, 1])
    assert fitted_sigmoid(evidence, labels, np.ones(4)).slope > 0


def test_slices_without_a_head_are_not_judged() -> None:
    scale = StudyScale(Sigmoid(1.0, 0.0), Sigmoid(1.0, 0.0))
    head, findings = fitted_head([], recipe("cnn"), seed=0), series(1, True).findings
    blind, seen_but_one = study_predictions(
        [
            replace(findings, head_found=np.zeros(40, bool)),
            replace(findings, head_found=np.arange(40) != 14),
        ],
        head,
        scale,
    )
    assert blind.patient == 0.5
    assert set(blind.slices) == {0.5}
    others = np.delete(seen_but_one.slices, 14)
    assert seen_but_one.slices[14] == pytest.approx(others.min())


@pytest.mark.training
@pytest.mark.parametrize("family", ["svm", "logistic", "rnn", "attention_rnn"])
def test_what_the_network_says_of_a_study_weighs_as_much_as_what_the_family_says(
    family: str, heads: dict[str, StudyHead], training: list[HeadSeries]
) -> None:
    head = heads[family]
    assert isinstance(head, SliceHead | RecurrentHead)
    assert head.study is not None
    studies = [training[i].findings for i in studies_of_both_kinds(training)]
    own = np.array([one.study for one in replace(head, study=None).all_logits(studies)])
    network = np.array([top_fraction_mean(one.logits, one.in_brain) for one in studies])
    expected = sum((words - words.mean()) / words.std() for words in (own, network))
    given = [one.study for one in head.all_logits(studies)]
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-3)


def test_the_cnn_says_of_a_study_what_its_highest_slices_say() -> None:
    findings = series(1, True, slices=40).findings
    answers = fitted_head([], recipe("cnn"), seed=0).logits(findings)
    assert answers.study == pytest.approx(np.sort(findings.logits)[-4:].mean())


def test_a_set_without_normal_patients_does_not_say_what_is_usual_of_a_study() -> None:
    both = [series(s, s % 2 == 1, labelled=True) for s in range(12)]
    only_bleeding = [replace(series(40 + s, True), set="x") for s in range(12)]
    single_slices = [replace(one, is_study=False) for one in both]
    alone, more, without = (
        _study_sum(chosen, LinearHead(Scaling(np.zeros(10), np.ones(10)), np.ones(10), 0.0))
        for chosen in (both, both + only_bleeding, only_bleeding + single_slices)
    )
    np.testing.assert_array_equal(more.scaling.mean, alone.scaling.mean)
    assert np.isfinite(without.scaling.mean).all()  # no set tells: all do


def test_a_cnn_with_the_arrays_of_an_older_version_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "head.skops", {"study_weights": np.ones(5)})
    with pytest.raises(BundleError, match="older version"):
        load_head(tmp_path, recipe("cnn"))


@pytest.mark.training
@pytest.mark.parametrize("lost", ["mean", "support", "study_mean"])
def test_a_head_that_lacks_an_array_is_refused(
    lost: str, heads: dict[str, StudyHead], tmp_path: Path
) -> None:
    heads["svm"].save(tmp_path)
    arrays = read_arrays(tmp_path / "head.skops")
    del arrays[lost]
    write_arrays(tmp_path / "head.skops", arrays)
    with pytest.raises(BundleError, match="holds no head"):
        load_head(tmp_path, recipe("svm"))
