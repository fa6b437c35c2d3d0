"""At 90 % confidence, the true answer stays possible for 90 % of new patients of each class."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.evaluation.conformal import undecided_range
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
