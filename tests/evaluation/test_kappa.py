"""Kappa against published worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from hemodetect.evaluation.kappa import (
    cohen_kappa,
    cohen_kappa_with_interval,
    fleiss_kappa,
    fleiss_kappa_with_interval,
)
from hemodetect.evaluation.levels import EvaluationError


def raters(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Calls of two raters from a table of counts, the first rater's categories down."""
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    first, second = np.array(pairs).T
    return first, second


def test_two_raters_as_cohen_worked_it_out() -> None:
    # Cohen 1960, table 1: 200 cases, three categories; 0.70 agree, by chance 0.41 would.
    first, second = raters([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohen_kappa(first, second) == pytest.approx(0.492, abs=5e-4)


def test_two_raters_as_sim_and_wright_worked_it_out() -> None:
    # Sim and Wright, Phys Ther 2005, 85, 257, table 1: two clinicians, 39 patients.
    first, second = raters([[22, 2], [4, 11]])
    assert cohen_kappa(first, second) == pytest.approx(0.67, abs=5e-3)


def test_ten_cases_of_fourteen_raters_as_fleiss_kappa_is_commonly_worked_out() -> None:
    # The worked example of Wikipedia, "Fleiss' kappa": 10 subjects, 14 raters, 5 categories.
    counts = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_kappa_is_scikit_learn_s_for_any_calls() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        first, second = random.choice(["hemorrhage", "none", "unsure"], (2, 20))
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_of_one_category_alone_is_not_known() -> None:
    same = np.array(["none"] * 8)
    assert math.isnan(cohen_kappa(same, same))
    assert not cohen_kappa_with_interval(same, same).has_interval
    assert math.isnan(fleiss_kappa(np.array([[3, 0]] * 8)))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    covered = []
    for _ in range(1000):
        truth = random.random(60) < 0.5
        first, second = (np.where(random.random(60) < 0.85, truth, ~truth) for _ in range(2))
        kappa = cohen_kappa_with_interval(first, second, resamples=500)
        # Both right or both wrong: 0.85**2 + 0.15**2 = 0.745, by chance 0.5.
        covered.append(kappa.low <= 0.49 <= kappa.high)
    assert 0.91 <= np.mean(covered) <= 0.97


def test_full_agreement_has_no_interval_of_no_width() -> None:
    calls = np.array([0, 1] * 10)
    assert cohen_kappa_with_interval(calls, calls).value == 1
    assert not cohen_kappa_with_interval(calls, calls).has_interval
    assert not fleiss_kappa_with_interval(np.array([[3, 0], [0, 3]] * 5)).has_interval


def test_what_cannot_be_rated_is_refused() -> None:
    with pytest.raises(EvaluationError, match="got 2 and 3"):
        cohen_kappa(np.zeros(2), np.zeros(3))
    with pytest.raises(EvaluationError, match="same two or more raters"):
        fleiss_kappa(np.array([[2, 1], [1, 1]]))
    with pytest.raises(EvaluationError, match="same two or more raters"):
        fleiss_kappa(np.zeros((0, 2)))
