"""Operating points against brute force, on other folds only, and on broken input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from hemodetect.evaluation.levels import EvaluationError, called
from hemodetect.evaluation.operating import (
    CostRatio,
    TargetSensitivity,
    Youden,
    chosen_threshold,
    thresholds_on_other_folds,
)

# Tenths tie often and are not exact as float32; 1e-3 and 0.999 lie near the ends.
cases = (
    st.lists(
        st.tuples(
            st.booleans(),
            st.one_of(
                st.integers(0, 10).map(lambda tenths: tenths / 10),
                st.sampled_from([1e-3, 0.999]),
                st.floats(0, 1, width=32, allow_subnormal=False),
            ),
        ),
        min_size=2,
        max_size=30,
    )
    .filter(lambda rows: len({label for label, _ in rows}) == 2)
    .map(lambda rows: (np.array([r[0] for r in rows]), np.array([r[1] for r in rows])))
)
sensitivities = st.integers(1, 20).map(lambda twentieths: twentieths / 20)
ratios = st.sampled_from([0.1, 0.5, 1, 2, 3, 10, 1 / 3])


def every_threshold(probabilities: np.ndarray) -> list[float]:
    """Thresholds at, just above and half way between all probabilities, and 0 and 1."""
    distinct = np.unique(probabilities.astype(np.float32))
    above = np.nextafter(distinct, np.float32(2))
    middles = (distinct[1:].astype(float) + distinct[:-1]) / 2
    inside = np.concatenate([distinct, above[above <= 1], middles])
    return sorted({0.0, 1.0, *inside.tolist()})


def outcome(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> tuple[int, int]:
    """(missed, false alarms) at a threshold."""
    calls = called(probabilities, threshold)
    return int((labels & ~calls).sum()), int((calls & ~labels).sum())


def youden(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> float:
    missed, alarms = outcome(labels, probabilities, threshold)
    return 1 - missed / labels.sum() - alarms / (~labels).sum()


@settings(max_examples=150, deadline=None)
@given(cases)
def test_no_threshold_has_a_higher_youden_index_and_none_below_as_high_a_one(case):
    labels, probabilities = case
    chosen = chosen_threshold(labels, probabilities, Youden())
    best = youden(labels, probabilities, chosen)
    for threshold in every_threshold(probabilities):
        index = youden(labels, probabilities, threshold)
        assert index <= best + 1e-12
        if abs(index - best) < 1e-12:
            # A lower threshold may only make the very same calls.
            same = outcome(labels, probabilities, threshold) == outcome(
                labels, probabilities, chosen
            )
            assert threshold >= chosen or same


@settings(max_examples=60, deadline=None)
@given(cases)
def test_the_youden_index_is_the_best_of_scikit_learn_s_roc_curve(case):
    labels, probabilities = case[0], case[1].astype(np.float32)
    false_alarm_rate, sensitivity, _ = roc_curve(labels, probabilities)
    if probabilities.max() == 1:
        # Its first point calls nothing, for which no threshold in [0, 1] is left.
        false_alarm_rate, sensitivity = false_alarm_rate[1:], sensitivity[1:]
    chosen = chosen_threshold(labels, probabilities, Youden())
    best = (sensitivity - false_alarm_rate).max()
    assert youden(labels, probabilities, chosen) == pytest.approx(best)


@settings(max_examples=150, deadline=None)
@given(cases, sensitivities)
def test_the_wanted_sensitivity_is_reached_and_by_no_higher_threshold(case, target):
    labels, probabilities = case
    chosen = chosen_threshold(labels, probabilities, TargetSensitivity(target))
    enough = math.ceil(round(target * 20) * int(labels.sum()) / 20)
    detected = {
        threshold: int(labels.sum()) - outcome(labels, probabilities, threshold)[0]
        for threshold in (*every_threshold(probabilities), chosen)
    }
    assert detected[chosen] >= enough
    assert chosen == max(threshold for threshold, count in detected.items() if count >= enough)


@settings(max_examples=150, deadline=None)
@given(cases, ratios)
def test_no_threshold_costs_less_and_among_equals_the_one_that_misses_least_is_chosen(case, ratio):
    labels, probabilities = case
    chosen = chosen_threshold(labels, probabilities, CostRatio(ratio))
    outcomes = [outcome(labels, probabilities, t) for t in every_threshold(probabilities)]
    cost, missed = min((round(ratio * fn + fp, 9), fn) for fn, fp in outcomes)
    fn, fp = outcome(labels, probabilities, chosen)
    assert round(ratio * fn + fp, 9) == cost
    assert fn == missed


@settings(max_examples=60, deadline=None)
@given(cases, st.sampled_from([Youden(), TargetSensitivity(0.9), CostRatio(0.1)]))
def test_a_threshold_is_an_observed_probability_or_one(case, rule):
    chosen = chosen_threshold(*case, rule)
    assert chosen in {*case[1].astype(np.float32).tolist(), 1.0}


LABELS = np.array([0, 0, 1, 0, 1, 1])
PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7])


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        (Youden(), 0.3),  # 1 + 2/3 - 1; 0.6 gives 2/3 + 1 - 1, a tie
        (TargetSensitivity(1.0), 0.3),
        (TargetSensitivity(0.67), 0.3),
        (TargetSensitivity(0.66), 0.6),
        (TargetSensitivity(2 / 3), 0.6),
        (CostRatio(1), 0.3),  # one false alarm; 0.6 misses one
        (CostRatio(0.9), 0.6),
        (CostRatio(10), 0.3),
    ],
)
def test_rules_pick_the_thresholds_worked_by_hand(rule, threshold):
    chosen = chosen_threshold(LABELS, PROBABILITIES, rule)
    assert chosen == float(np.float32(threshold))


def test_where_false_alarms_cost_most_nothing_is_called():
    labels, probabilities = np.array([1, 0, 0, 0]), np.array([0.2, 0.5, 0.6, 0.8])
    chosen = chosen_threshold(labels, probabilities, CostRatio(0.5))
    assert chosen == 1.0
    assert not called(probabilities, chosen).any()


def test_where_a_probability_is_one_something_is_always_called():
    # To call nothing would cost 0.5, but at 1.0 the last case is still called.
    labels, probabilities = np.array([1, 0, 0]), np.array([0.2, 0.5, 1.0])
    assert chosen_threshold(labels, probabilities, CostRatio(0.5)) == 1.0
    assert called(probabilities, 1.0).tolist() == [False, False, True]


def test_a_sensitivity_computed_with_a_rounding_error_asks_for_no_further_hemorrhage():
    labels, probabilities = np.repeat([0, 1], 10), np.linspace(0, 1, 20)
    assert 0.1 * 7 > 0.7
    rounded = chosen_threshold(labels, probabilities, TargetSensitivity(0.1 * 7))
    assert rounded == chosen_threshold(labels, probabilities, TargetSensitivity(0.7))


def test_costs_that_are_equal_but_for_rounding_tie_and_the_bleeds_are_called():
    # To call all costs nine false alarms, to call nothing six missed bleeds at 1.5 each.
    labels, probabilities = np.repeat([1, 0], [6, 9]), np.linspace(0.1, 0.9, 15)
    assert 1.5 / 2.5 * 6 < 9 / 2.5
    chosen = chosen_threshold(labels, probabilities, CostRatio(1.5))
    assert chosen == float(np.float32(0.1))


@pytest.mark.parametrize("ratio", [1e-300, 1e300])
def test_an_extreme_cost_ratio_does_not_overflow(ratio):
    chosen = chosen_threshold(LABELS, PROBABILITIES, CostRatio(ratio))
    assert chosen == float(np.float32(0.3 if ratio > 1 else 0.6))


def folded(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities that depend weakly on them, and three folds."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    return labels, np.clip(0.3 * labels + 0.7 * random.random(n), 0, 1), np.arange(n) % 3


@pytest.mark.parametrize("rule", [Youden(), TargetSensitivity(0.9), CostRatio(3)])
def test_a_fold_s_threshold_is_the_one_chosen_on_all_other_folds(rule):
    labels, probabilities, folds = folded()
    thresholds = thresholds_on_other_folds(labels, probabilities, folds, rule)
    for fold in range(3):
        others = folds != fold
        expected = chosen_threshold(labels[others], probabilities[others], rule)
        assert set(thresholds[~others].tolist()) == {expected}


@pytest.mark.parametrize("rule", [Youden(), TargetSensitivity(0.9), CostRatio(3)])
def test_absurd_labels_and_probabilities_in_a_fold_leave_its_own_threshold_as_it_was(rule):
    labels, probabilities, folds = folded()
    in_fold = folds == 1
    absurd_labels = np.where(in_fold, 1 - labels, labels)
    absurd_probabilities = np.where(in_fold, 1 - probabilities, probabilities)
    before = thresholds_on_other_folds(labels, probabilities, folds, rule)
    after = thresholds_on_other_folds(absurd_labels, absurd_probabilities, folds, rule)
    assert (before[in_fold] == after[in_fold]).all()
    assert (before[~in_fold] != after[~in_fold]).any()


def test_thresholds_of_other_folds_flatter_less_than_the_threshold_chosen_on_the_same_cases():
    on_same_cases, on_other_folds = [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        labels, probabilities = np.arange(60) // 3 % 2, random.random(60)
        truth, folds = labels.astype(bool), np.arange(60) % 3
        chosen = chosen_threshold(labels, probabilities, Youden())
        on_same_cases.append(youden(truth, probabilities, chosen))
        thresholds = thresholds_on_other_folds(labels, probabilities, folds, Youden())
        calls = called(probabilities, thresholds)
        on_other_folds.append(calls[truth].mean() - calls[~truth].mean())
    # The probabilities know nothing, so an honest index is 0; 0.02 is the standard error of the
    # mean of 40 indices of 30 + 30 cases.
    assert np.mean(on_same_cases) > 5 * 0.02
    assert abs(np.mean(on_other_folds)) < 3 * 0.02


def test_a_single_fold_is_refused():
    labels, probabilities, folds = folded()
    with pytest.raises(EvaluationError, match=r"of fold 4, so no other patients"):
        thresholds_on_other_folds(labels, probabilities, np.full_like(folds, 4), Youden())


def test_a_fold_without_which_one_class_is_left_is_refused_by_its_number():
    labels, probabilities, folds = folded()
    with pytest.raises(EvaluationError, match=r"Without fold 2 every case is labelled 'no hem"):
        thresholds_on_other_folds(np.where(folds == 2, labels, 0), probabilities, folds, Youden())


@pytest.mark.parametrize(
    "folds", [np.zeros(3, int), np.full(60, 0.5), np.full(60, math.nan), np.array(["a"] * 60)]
)
def test_folds_that_are_not_one_whole_number_a_case_are_refused(folds):
    labels, probabilities, _ = folded()
    with pytest.raises(EvaluationError, match="The folds are"):
        thresholds_on_other_folds(labels, probabilities, folds, Youden())


@pytest.mark.parametrize(
    ("labels", "probabilities", "sentence"),
    [
        ([], [], r"labels are float64 of the shape \(0,\)"),
        ([[0, 1]], [[0.1, 0.2]], r"of the shape \(1, 2\)"),
        (["0", "1"], [0.1, 0.2], "labels are <U1"),
        ([0, 2], [0.1, 0.2], "Case 1 has the label 2"),
        ([0, math.nan], [0.1, 0.2], "Case 1 has the label nan"),
        ([1, 1], [0.1, 0.2], "Every case is labelled 'hemorrhage'"),
        ([0, 0], [0.1, 0.2], "Every case is labelled 'no hemorrhage'"),
        ([0, 1], [0.1, 0.2, 0.3], r"probabilities are float64 of the shape \(3,\)"),
        ([0, 1], ["a", "b"], "probabilities are <U1"),
        ([0, 1], [0.1, math.nan], "Case 1 has the probability nan"),
        ([0, 1], [0.1, math.inf], "Case 1 has the probability inf"),
        ([0, 1], [-0.1, 0.5], r"Case 0 has the probability -0\.1"),
    ],
)
def test_cases_that_no_threshold_can_be_chosen_on_are_refused(labels, probabilities, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        chosen_threshold(np.array(labels), np.array(probabilities), Youden())


@pytest.mark.parametrize("sensitivity", [0, -0.5, 95, math.nan, math.inf])
def test_a_sensitivity_that_is_no_share_is_refused(sensitivity):
    with pytest.raises(EvaluationError, match=f"sensitivity is {sensitivity}; expected a number"):
        TargetSensitivity(sensitivity)


@pytest.mark.parametrize("ratio", [0, -1, math.nan, math.inf])
def test_a_cost_ratio_that_is_not_above_zero_is_refused(ratio):
    with pytest.raises(EvaluationError, match=f"cost ratio is {ratio}; expected how many"):
        CostRatio(ratio)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Youden(), "most sensitivity plus specificity (Youden)"),
        (TargetSensitivity(0.95), "at least 95 % of hemorrhages called"),
        (TargetSensitivity(0.07), "at least 7 % of hemorrhages called"),
        (TargetSensitivity(0.975), "at least 97.5 % of hemorrhages called"),
        (TargetSensitivity(1.0), "all hemorrhages called"),
        (CostRatio(10), "a missed bleed counts as 10 false alarms"),
        (CostRatio(1.0), "a missed bleed counts as 1 false alarm"),
        (CostRatio(0.5), "a missed bleed counts as 0.5 false alarms"),
        (CostRatio(1_000_000), "a missed bleed counts as 1,000,000 false alarms"),
    ],
)
def test_every_rule_says_in_words_what_it_picks(rule, words):
    assert rule.words == words
