"""The blood network learns to see painted blood, and a training that was cut off goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_skulls import drawn_series

from hemodetect.models.blood_model import BloodModel
from hemodetect.models.blood_network import blood_network
from hemodetect.models.findings import top_fraction_mean
from hemodetect.models.recipes import BloodRecipe
from hemodetect.preprocessing.standard_head import standard_series
from hemodetect.training.blood_training import (
    BloodBatches,
    BloodExamples,
    NothingToPaint,
    blood_examples,
    fit_blood_network,
)

RECIPE = BloodRecipe("cnn", "blood", steps=3, batch=8, bleeding=2, painted=3, paintings=1)


@pytest.fixture(scope="module")
def examples() -> BloodExamples:
    series = [standard_series(drawn_series(9, seed, bleed=seed == 0)) for seed in range(3)]
    labels = [np.array([0, 0, 0, 1, 1, 1, 0, 0, 0]) * (seed == 0) for seed in range(3)]
    return blood_examples(series, labels, 2, seed=0)


def test_a_batch_holds_each_kind_in_its_part(examples: BloodExamples) -> None:
    images, (label, maps), (_, known) = BloodBatches(examples, RECIPE, 0, 0)[0]
    assert images.shape == (8, 112, 112, 2)
    np.testing.assert_array_equal(images[..., 1], images[:, :, ::-1, 0])
    assert list(label[:, 0]) == [1] * 5 + [0] * 3
    assert known[:2].max() == 0
    assert known[2:].min() == 1
    assert maps[:2].max() == maps[5:].max() == 0
    assert (maps[2:5].max(axis=(1, 2, 3)) > 0).all()


def test_without_a_closed_skull_nothing_can_be_painted() -> None:
    series = standard_series(np.zeros((3, 244, 244), np.uint8))
    with pytest.raises(NothingToPaint):
        blood_examples([series], [np.zeros(3, int)], 2, seed=0)


@pytest.mark.long
@pytest.mark.training
@pytest.mark.usefixtures("uncompiled")
def test_a_training_that_was_cut_off_ends_where_a_whole_one_does(
    examples: BloodExamples, tmp_path: Path
) -> None:
    class Cut(Exception):
        pass

    def stop(epoch: int, figures: dict[str, float]) -> None:
        raise Cut

    whole, losses = fit_blood_network(RECIPE, examples, epochs=2, seed=4, work=tmp_path / "a")
    with pytest.raises(Cut):
        fit_blood_network(RECIPE, examples, epochs=2, seed=4, work=tmp_path / "b", report=stop)
    cut, again = fit_blood_network(RECIPE, examples, epochs=2, seed=4, work=tmp_path / "b")
    assert list(losses["epoch"]) == list(again["epoch"]) == [0, 1]
    assert losses["loss"].iloc[0] == pytest.approx(again["loss"].iloc[0], rel=1e-3)
    # Dropout draws anew after the cut, so the weights are near, not equal.
    for one, other in zip(whole.weights, cut.weights, strict=True):
        assert one.shape == other.shape
    assert np.isfinite(again["loss"]).all()


def test_a_slice_without_a_head_is_the_least_suspicious() -> None:
    grey = drawn_series(9, 1)
    grey[8] = 0
    found = BloodModel(blood_network()).findings(standard_series(grey))
    assert found.logits.argmin() == 8
    assert found.embedding[8].max() == 0
    assert found.maps.shape == (9, 28, 28)


def test_findings_do_not_depend_on_the_side() -> None:
    model = BloodModel(blood_network())
    series = standard_series(drawn_series(9, 1, bleed=True))
    mirrored = replace(series, grey=series.grey[:, :, ::-1].copy())
    one, other = model.findings(series), model.findings(mirrored)
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    np.testing.assert_allclose(one.maps, other.maps[:, :, ::-1], atol=1e-5)


def test_a_study_s_logit_is_that_of_few_slices_and_of_none_outside_the_brain() -> None:
    logits = np.r_[np.full(97, -3.0), 5.0, 4.0, 9.0]
    in_brain = np.r_[np.ones(99, bool), False]
    assert top_fraction_mean(logits, in_brain) == pytest.approx((5 + 4 - 3 * 4) / 6)
    assert top_fraction_mean(np.array([1.0]), np.array([False])) == 1.0
