"""Every family's head finds what the findings show, and is the same after it was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.blood_model import SliceFindings
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import StudyRecipe, recipe_named
from hemodetect.models.study_heads import Head, HeadSeries, fitted_head, loaded_head
from hemodetect.models.study_model import Line, StudyScale, judged_study
from hemodetect.models.weight_files import read_arrays, write_arrays


def series(seed: int, bleeding: bool, slices: int = 40, labelled: bool = False) -> HeadSeries:
    """Findings whose first three of 259 values rise in the bleeding middle of the series."""
    random = np.random.default_rng(seed)
    shown = np.zeros(slices, bool)
    shown[slices // 3 : slices // 2] = bleeding
    embedding = random.normal(0, 1, (slices, 259)).astype(np.float32)
    embedding[shown, :3] += 6
    evidence = (random.normal(-2, 1, slices) + 4 * shown).astype(np.float32)
    nothing = np.zeros((0, 0, 0), np.float32)
    found = SliceFindings(evidence, embedding, *2 * [np.ones(slices, bool)], nothing)
    labels = shown.astype(int) if labelled else np.full(slices, int(bleeding))
    return HeadSeries(found, labels, labelled)


@pytest.fixture(scope="module")
def training() -> list[HeadSeries]:
    return [series(s, s % 2 == 1, labelled=s % 4 > 1, slices=30 + 5 * s) for s in range(16)]


@pytest.fixture(scope="module")
def heads(training: list[HeadSeries]) -> dict[str, Head]:
    """The head of each family, fitted once."""
    return {family: fitted_head(training, recipe(family), seed=0) for family in FAMILY_NAMES}


def recipe(family: str) -> StudyRecipe:
    found = recipe_named(family, "study")
    assert isinstance(found, StudyRecipe)
    return replace(found, epochs=15)


@pytest.mark.training
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_head_ranks_new_studies_and_slices_and_survives_saving(
    family: str, heads: dict[str, Head], tmp_path: Path
) -> None:
    head = heads[family]
    bleeding, normal = ([series(100 + 2 * i + b, bool(b)) for i in range(4)] for b in (1, 0))
    told = [head.evidence(s.found) for s in bleeding]
    assert min(e.study for e in told) > max(head.evidence(s.found).study for s in normal)
    for evidence in told:
        assert evidence.slices[14:19].mean() > evidence.slices[25:].mean()
    assert (told[0].attention is not None) == (family == "attention_rnn")
    if told[0].attention is not None:
        assert told[0].attention.sum() == pytest.approx(1, abs=1e-4)
    head.save(tmp_path)
    again = loaded_head(tmp_path, recipe(family)).evidence(bleeding[0].found)
    np.testing.assert_allclose(again.slices, told[0].slices, atol=1e-4)
    assert again.study == pytest.approx(told[0].study, abs=1e-4)


@pytest.mark.training
def test_a_recurrent_head_reads_series_of_any_length(heads: dict[str, Head]) -> None:
    head = heads["attention_rnn"]
    for slices in (1, 64, 65, 200):
        told = head.evidence(series(7, True, slices=slices).found)
        assert told.slices.shape == (slices,)
        assert np.isfinite(told.slices).all()
        assert told.attention is not None
        assert told.attention.sum() == pytest.approx(1, abs=1e-4)


def test_a_slice_is_judged_in_the_light_of_its_study() -> None:
    scale = StudyScale(Line(1.0, 0.0), Line(2.0, -1.0), 0.25)
    head = fitted_head([], recipe("cnn"), seed=0)
    found = series(1, True).found
    told, evidence = judged_study(found, head, scale), head.evidence(found)
    mixed = 2 * (0.25 * evidence.slices + 0.75 * evidence.study) - 1
    np.testing.assert_allclose(told.slices, 1 / (1 + np.exp(-mixed)), rtol=1e-5)
    assert told.patient == pytest.approx(1 / (1 + np.exp(-evidence.study)), rel=1e-5)


def test_a_sigmoid_never_turns_a_model_round() -> None:
    evidence, labels = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0, 0, 1, 1])
    assert Line.fitted(evidence, labels, np.ones(4)).slope > 0


def test_of_slices_without_a_head_nothing_is_said() -> None:
    scale = StudyScale(Line(1.0, 0.0), Line(1.0, 0.0), 0.5)
    head, found = fitted_head([], recipe("cnn"), seed=0), series(1, True).found
    blind = judged_study(replace(found, seen=np.zeros(40, bool)), head, scale)
    assert blind.patient == 0.5
    assert set(blind.slices) == {0.5}
    seen = np.arange(40) != 14
    told = judged_study(replace(found, seen=seen), head, scale)
    assert told.slices[14] == pytest.approx(told.slices[seen].min())


@pytest.mark.training
@pytest.mark.parametrize("lost", ["mean", "weights"])
def test_a_head_that_lacks_an_array_is_refused(
    lost: str, heads: dict[str, Head], tmp_path: Path
) -> None:
    heads["logistic"].save(tmp_path)
    arrays = read_arrays(tmp_path / "head.skops")
    del arrays[lost]
    write_arrays(tmp_path / "head.skops", arrays)
    with pytest.raises(BundleError, match="holds no head"):
        loaded_head(tmp_path, recipe("logistic"))
