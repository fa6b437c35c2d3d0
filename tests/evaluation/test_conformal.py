"""At 90 % confidence, the true answer stays possible for 90 % of new patients of each class."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.evaluation.conformal import undecided_range, widest_range
from hemodetect.evaluation.levels import EvaluationError


@pytest.mark.parametrize("power", [0.5, 1.5, 4.0])
def test_at_most_a_tenth_of_either_class_loses_its_true_answer(power: float) -> None:
    random = np.random.default_rng(0)
    lost = np.zeros(2)
    rounds, each = 400, 25
    for _ in range(rounds):
        labels = np.repeat([0, 1], 40)
        probability = 1 / (1 + np.exp(-random.normal(power * (labels - 0.5), 1)))
        low, high = undecided_range(labels, probability)
        fresh = 1 / (1 + np.exp(-random.normal(power * np.array([[-0.5], [0.5]]), 1, (2, each))))
        lost += [(fresh[0] > high).mean(), (fresh[1] < low).mean()]
    assert (lost / rounds < 0.11).all()


def test_classes_far_apart_leave_a_gap_between_them_undecided() -> None:
    labels = np.repeat([0, 1], 20)
    probability = np.r_[np.linspace(0.0, 0.2, 20), np.linspace(0.7, 1.0, 20)]
    low, high = undecided_range(labels, probability)
    assert 0.15 < low <= 0.2
    assert 0.7 <= high < 0.75


def test_too_few_patients_of_a_class_are_refused() -> None:
    with pytest.raises(EvaluationError, match="9 are needed"):
        undecided_range(np.r_[np.zeros(30), np.ones(8)], np.linspace(0, 1, 38))


def test_the_widest_range_keeps_the_promise_in_each_set_by_itself() -> None:
    random = np.random.default_rng(3)
    easy, hard = random.random(60) * 0.2, random.random(60) * 0.8
    labels = np.tile([0, 1], 60)
    probabilities = np.concatenate([np.abs(labels[:60] - easy), np.abs(labels[60:] - hard)])
    sets = np.repeat(["easy", "hard"], 60)
    together = undecided_range(labels, probabilities)
    low, high = widest_range(labels, probabilities, sets)
    assert low < together[0]
    assert high > together[1]
    for name in ("easy", "hard"):
        of_set = sets == name
        bleeding = probabilities[of_set & (labels == 1)]
        assert (bleeding >= low).mean() >= 0.9
        assert (probabilities[of_set & (labels == 0)] <= high).mean() >= 0.9


def test_a_set_too_small_for_a_range_of_its_own_counts_with_the_others() -> None:
    labels, probabilities = np.tile([0, 1], 20), np.linspace(0, 1, 40)
    sets = np.repeat(["large", "small"], [36, 4])
    assert widest_range(labels, probabilities, sets)[0] <= undecided_range(labels, probabilities)[0]
