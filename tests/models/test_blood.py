"""The blood network learns to see painted blood, and a training that was cut off goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
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
    LearningRateCycles,
    NothingToPaint,
    blood_examples,
    fit_blood_network,
    label_loss,
    map_loss,
)

RECIPE = BloodRecipe("cnn", "blood", steps=3, batch=8, bleeding=2, painted=3)


def drawn_table(bleeding: int) -> pd.DataFrame:
    """Three patients of nine slices; slices 3 to 5 of the first `bleeding` bleed."""
    label = np.concatenate([np.isin(np.arange(9), [3, 4, 5]) * (p < bleeding) for p in range(3)])
    return pd.DataFrame({"patient": np.repeat(["a", "b", "c"], 9), "label": label.astype(int)})


@pytest.fixture(scope="module")
def examples() -> BloodExamples:
    series = [standard_series(drawn_series(9, seed, bleed=seed == 0)) for seed in range(3)]
    return blood_examples(series, drawn_table(1), {})


def test_a_batch_holds_each_kind_in_its_part(examples: BloodExamples) -> None:
    images, (labels, hints) = BloodBatches(examples, RECIPE, 0, 0)[0]
    assert images.shape == (8, 192, 192, 1)
    assert list(labels[:, 0]) == [1] * 5 + [0] * 3
    assert labels[5:].max() == 0  # a normal slice has no kind of blood
    assert labels[:5, 1:].max() == -1  # what kind a bleed is, nobody said
    target, weight, region = np.moveaxis(hints, -1, 0)
    # Nobody has drawn where the real blood is: anywhere, but somewhere.
    assert weight[:2].max() == 0
    assert (region[:2].max(axis=(1, 2)) == 1).all()
    assert (target[2:5].max(axis=(1, 2)) > 0).all()
    assert target[5:].max() == region[2:].max() == 0
    assert np.median(weight[2:]) == 1


def test_a_set_does_not_tell_whether_a_slice_bleeds() -> None:
    """A set with many bleeds and one with few are drawn alike."""
    series = [standard_series(drawn_series(9, seed, bleed=seed < 2)) for seed in range(3)]
    table = drawn_table(2).assign(set=np.repeat(["few", "many", "many"], 9))
    table.loc[table.index[3:5], "label"] = 0
    batches = BloodBatches(blood_examples(series, table, {}), RECIPE, 0, 0)
    drawn = [batches._rows[label] for label in (0, 1)]
    assert [len(sets) for sets in drawn] == [2, 2]


def test_a_map_is_trained_where_blood_is_known_and_asked_for_where_it_must_be() -> None:
    hint = np.zeros((1, 24, 24, 3), np.float32)
    maps = np.full((1, 24, 24, 1), 0.5, np.float32)
    assert float(map_loss(hint, maps)[0]) == pytest.approx(0, abs=1e-6)
    hint[0, :4, :4, 2] = 1  # blood must be in the corner
    demanded = float(map_loss(hint, maps)[0])
    in_corner = maps.copy()
    in_corner[0, 2, 2] = 0.99
    assert float(map_loss(hint, in_corner)[0]) < 0.1 * demanded
    elsewhere = maps.copy()
    elsewhere[0, 20, 20] = 0.99
    assert float(map_loss(hint, elsewhere)[0]) == pytest.approx(demanded, rel=1e-5)


def test_an_unknown_kind_of_blood_costs_nothing() -> None:
    labels = np.array([[1, -1, -1, -1, -1, -1]], np.float32)
    logits = np.array([[2.0, 9, -9, 9, -9, 9]], np.float32)
    known = np.array([[2.0, 0, 0, 0, 0, 0]], np.float32)
    assert float(label_loss(labels, logits)[0]) == pytest.approx(
        float(label_loss(labels, known)[0])
    )


def test_without_a_closed_skull_nothing_can_be_painted() -> None:
    series = standard_series(np.zeros((3, 244, 244), np.uint8))
    with pytest.raises(NothingToPaint):
        blood_examples([series], drawn_table(0).head(3), {})


def test_the_learning_rate_rises_and_falls_in_each_cycle() -> None:
    recipe = BloodRecipe("cnn", "blood", epochs=4, cycles=2, steps=10, learning_rate=1e-3)
    rate = LearningRateCycles(recipe, recipe.epochs)
    steps = np.array([float(rate(step)) for step in range(40)])
    assert steps[[0, 5, 20, 25]] == pytest.approx([1e-4, 1e-3, 0.5e-4, 0.5e-3], rel=1e-4)
    assert steps[19] < 0.05 * steps[5]
    assert steps[39] < 0.05 * steps[25]
    # Fewer epochs than cycles: each epoch is one.
    assert float(LearningRateCycles(recipe, 1)(5)) == pytest.approx(1e-3)


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
    findings = BloodModel(blood_network()).findings(standard_series(grey))
    assert findings.logits.argmin() == 8
    assert findings.features[8, :6].max() == -9
    assert findings.maps.shape == (9, 24, 24)


def test_a_study_s_logit_is_that_of_few_slices_and_of_none_outside_the_brain() -> None:
    logits = np.r_[np.full(97, -3.0), 5.0, 4.0, 9.0]
    in_brain = np.r_[np.ones(99, bool), False]
    assert top_fraction_mean(logits, in_brain) == pytest.approx((5 + 4 - 8 * 3) / 10)
    assert top_fraction_mean(logits[-2:], in_brain[-2:]) == 4
    assert top_fraction_mean(np.array([1.0]), np.array([False])) == 1.0
