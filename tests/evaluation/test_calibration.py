"""Calibration: bins and scores against scikit-learn's and values worked by hand, and broken input."""

import math

import numpy as np
import pytest
from grouped_cases import arrays, some_cases, with_draws
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from hemodetect.evaluation import EvaluationError
from hemodetect.evaluation.calibration import reliability, score_histogram
from hemodetect.evaluation.intervals import unanimous_bound
from hemodetect.evaluation.levels import called


def calibrated(seed, patients=60, slices=15, resamples=300):
    """Patients whose probabilities are right; those of one patient's slices differ a little."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0, 1, patients)
    codes = np.repeat(np.arange(patients), slices)
    labels = (random.uniform(0, 1, patients) < chances).astype(int)[codes]
    shaken = np.clip(chances[codes] + random.normal(0, 0.03, len(codes)), 0, 1)
    return with_draws(labels, shaken.astype(np.float32), codes, resamples, seed)


@settings(max_examples=80, deadline=None)
@given(some_cases(20), st.integers(1, 20))
def test_bins_and_brier_score_are_those_of_scikit_learn(cases, bins):
    labels, probabilities, *_ = cases
    ours = reliability(*cases, bins=bins)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=bins)
    assert ours.observed == pytest.approx(observed)
    assert ours.predicted == pytest.approx(predicted, abs=1e-6)
    assert ours.n.sum() == len(labels)
    assert ours.brier.value == pytest.approx(brier_score_loss(labels, probabilities), abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(some_cases(20))
def test_an_interval_is_whole_or_absent_and_holds_shares(cases):
    ours = reliability(*cases)
    assert (np.isnan(ours.low) == np.isnan(ours.high)).all()
    known = ~np.isnan(ours.low)
    assert ((ours.low >= 0) & (ours.low <= ours.high) & (ours.high <= 1))[known].all()
    for metric in (ours.brier, ours.expected_calibration_error):
        if metric.has_interval:
            assert 0 <= metric.low <= metric.high <= 1


@settings(max_examples=80, deadline=None)
@given(some_cases(20), st.integers(1, 30))
def test_a_threshold_on_an_edge_calls_the_cases_of_the_bins_above_it(cases, bins):
    labels, probabilities, *_ = cases
    ours = score_histogram(labels, probabilities, bins=bins)
    assert len(ours.edges) == bins + 1
    for first, threshold in enumerate(ours.edges[:-1]):
        calls = called(probabilities, float(threshold))
        assert ours.positive[first:].sum() == (calls & (labels == 1)).sum()
        assert ours.negative[first:].sum() == (calls & (labels == 0)).sum()


def test_reliability_gives_the_values_worked_by_hand():
    rows = [
        *[("a", 1, 0.125), ("b", 0, 0.375)],  # bin 1 of 2: predicted 1/4, observed 1/2
        *[("c", 1, 0.75), ("d", 1, 1.0), ("e", 0, 0.875)],  # bin 2: predicted 7/8, observed 2/3
    ]
    ours = reliability(*arrays(rows), bins=2)
    assert ours.predicted == pytest.approx([1 / 4, 7 / 8])
    assert ours.observed == pytest.approx([1 / 2, 2 / 3])
    assert ours.n.tolist() == [2, 3]
    error = (2 * (1 / 2 - 1 / 4) + 3 * (7 / 8 - 2 / 3)) / 5
    assert ours.expected_calibration_error.value == pytest.approx(error)
    squares = (7 / 8) ** 2 + (3 / 8) ** 2 + (1 / 4) ** 2 + 0 + (7 / 8) ** 2
    assert ours.brier.value == pytest.approx(squares / 5)


def test_errors_within_a_bin_cancel_and_between_bins_do_not():
    rows = [("a", 0, 0.25), ("b", 1, 0.75), ("c", 0, 0.25), ("d", 1, 0.75)]
    assert reliability(*arrays(rows), bins=1).expected_calibration_error.value == 0.0
    assert reliability(*arrays(rows), bins=2).expected_calibration_error.value == 0.25


def test_an_empty_bin_is_left_out():
    ours = reliability(*arrays([("a", 0, 0.05), ("b", 1, 0.95), ("c", 0, 0.04)]), bins=10)
    assert ours.n.tolist() == [2, 1]
    for column in (ours.predicted, ours.observed, ours.low, ours.high):
        assert column.shape == (2,)


def test_a_resample_weighs_the_slices_of_its_groups():
    _, probabilities, codes, _ = calibrated(1, patients=8, slices=4)
    labels = codes % 2
    drawn = np.array([[2.0, 0, 1, 0, 0, 3, 1, 1]])
    weights = drawn[0][codes]
    ours = reliability(labels, probabilities, codes, drawn, bins=1)
    expected = brier_score_loss(labels, probabilities, sample_weight=weights)
    assert ours.brier.low == pytest.approx(expected, abs=1e-6)
    assert ours.low[0] == pytest.approx(np.average(labels, weights=weights))


def test_intervals_contain_the_diagonal_in_most_bins_of_a_calibrated_model():
    diagrams = [reliability(*calibrated(seed), bins=5) for seed in range(40)]
    inside = [(r.low <= r.predicted) & (r.predicted <= r.high) for r in diagrams]
    assert 0.85 <= np.mean(inside) <= 0.995


def test_an_interval_that_resampled_slices_would_leave_out_the_diagonal_far_too_often():
    inside = []
    for seed in range(20):
        labels, probabilities, codes, _ = calibrated(seed, resamples=1)
        apart = with_draws(labels, probabilities, np.arange(len(codes)), resamples=100)
        ours = reliability(*apart, bins=5)
        inside.append((ours.low <= ours.predicted) & (ours.predicted <= ours.high))
    assert np.mean(inside) < 0.6


def test_the_calibration_error_lies_inside_its_interval_though_resampling_raises_it():
    for seed in range(20):
        labels, probabilities, codes, drawn = calibrated(seed)
        error = reliability(labels, probabilities, codes, drawn).expected_calibration_error
        assert 0 <= error.low < error.value < error.high
        raised = [
            reliability(
                np.repeat(labels, times), np.repeat(probabilities, times), *one_group(times)
            ).expected_calibration_error.value
            for times in (row[codes].astype(int) for row in drawn[:20])
        ]
        assert np.mean(raised) > error.value


def one_group(times):
    """Codes and draws that leave the repeated cases without an interval."""
    return np.zeros(times.sum(), dtype=int), np.ones((1, 1))


def test_a_bin_whose_cases_agree_ends_at_the_exact_binomial_bound():
    rows = [(f"n{number}", 0, 0.2) for number in range(12)]
    rows += [(f"p{number}", 1, 0.8) for number in range(9)]
    ours = reliability(*arrays(rows), bins=2)
    assert ours.observed.tolist() == [0.0, 1.0]
    bound = binomtest(12, 12).proportion_ci(0.95, method="exact").low
    assert (ours.low[0], ours.high[0]) == (0.0, pytest.approx(1 - bound))
    assert (ours.low[1], ours.high[1]) == (pytest.approx(unanimous_bound(9, 0.95)), 1.0)


def test_a_bin_of_one_patient_has_no_interval():
    rows = [("a", 0, 0.1), ("b", 0, 0.2), ("c", 1, 0.1), ("d", 1, 0.2), ("d", 1, 0.9)]
    ours = reliability(*arrays(rows), bins=2)
    assert np.isnan(ours.low).tolist() == np.isnan(ours.high).tolist() == [False, True]
    assert ours.brier.has_interval


def test_a_single_bleeding_patient_leaves_the_scores_without_intervals():
    rows = [("a", 1, 0.9), *[(f"n{number}", 0, number / 20) for number in range(12)]]
    ours = reliability(*arrays(rows))
    assert ours.brier.value > 0
    assert math.isnan(ours.brier.low)
    assert not ours.expected_calibration_error.has_interval
    assert np.isnan(ours.low[-1])
    assert not np.isnan(ours.low[0])


def test_a_higher_confidence_gives_wider_intervals():
    sure, usual = reliability(*calibrated(3), confidence=0.99), reliability(*calibrated(3))
    assert sure.brier.low < usual.brier.low < usual.brier.high < sure.brier.high
    assert np.mean(sure.high - sure.low) > np.mean(usual.high - usual.low)


def test_a_histogram_counts_either_class_by_hand():
    labels = np.array([0, 0, 1, 1, 1, 0])
    probabilities = np.array([0.0, 0.24, 0.25, 0.5, 1.0, 0.99], dtype=np.float32)
    ours = score_histogram(labels, probabilities, bins=4)
    assert ours.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert ours.negative.tolist() == [2, 0, 0, 1]
    assert ours.positive.tolist() == [0, 1, 1, 1]


def test_a_histogram_of_one_class_leaves_the_other_empty():
    ours = score_histogram(np.zeros(3, int), np.array([0.1, 0.2, 0.9]), bins=2)
    assert ours.negative.tolist() == [2, 1]
    assert ours.positive.tolist() == [0, 0]


LABELS, PROBABILITIES, CODES, DRAWN = arrays(
    [("a", 1, 0.9), ("b", 0, 0.2), ("c", 1, 0.6), ("d", 0, 0.7)]
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": np.ones(4, int)}, "Every case is labelled 'hemorrhage'"),
        ({"labels": np.array([0, 1, 2, 0])}, "Case 2 has the label 2"),
        ({"probabilities": np.array([0.1, np.nan, 0.2, 0.3])}, "Case 1 has the probability nan"),
        ({"codes": np.array([0, 1, 2, 4])}, "run from 0 to 4 over 4 groups"),
        ({"drawn": DRAWN[:, :3]}, "a column for each of 4 patient groups"),
        ({"confidence": 0}, "confidence is 0"),
        ({"bins": 0}, "number of bins is 0"),
    ],
)
def test_arrays_that_no_honest_calibration_can_be_made_from_are_refused(change, sentence):
    given_arrays = {
        "labels": LABELS,
        "probabilities": PROBABILITIES,
        "codes": CODES,
        "drawn": DRAWN,
    }
    with pytest.raises(EvaluationError, match=sentence):
        reliability(**(given_arrays | change))


@pytest.mark.parametrize(
    ("labels", "probabilities", "bins", "sentence"),
    [
        ([], [], 20, "at least one case"),
        ([0, 1], [0.5], 20, "expected 2 numbers"),
        ([0, 3], [0.5, 0.5], 20, "Case 1 has the label 3"),
        ([0, 1], [0.5, -0.5], 20, "Case 1 has the probability -0.5"),
        ([0, 1], [0.5, math.inf], 20, "Case 1 has the probability inf"),
        ([0, 1], [0.5, 0.5], -1, "number of bins is -1"),
    ],
)
def test_a_histogram_of_broken_arrays_is_refused(labels, probabilities, bins, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        score_histogram(np.array(labels), np.array(probabilities), bins=bins)
