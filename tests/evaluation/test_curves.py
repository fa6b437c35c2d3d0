"""ROC and precision-recall curves: points, areas and bands against scikit-learn's."""

import math

import numpy as np
import pytest
from grouped_cases import arrays, some_cases, with_draws
from hypothesis import given, settings
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from hemodetect.evaluation import EvaluationError
from hemodetect.evaluation.cases import checked_cases
from hemodetect.evaluation.curves import (
    GRID,
    MOST_THRESHOLDS,
    precision_recall_with_band,
    resampled_precision,
    resampled_sensitivity,
    roc_curve_with_band,
)
from hemodetect.evaluation.intervals import area_interval, unanimous_bound
from hemodetect.evaluation.levels import called
from hemodetect.evaluation.metrics import judged

TAILS = [0.025, 0.975]


def clustered(seed, patients=60, slices=15, share=0.4, distance=1.5, resamples=300):
    """Cases whose patients differ by more than the slices of one patient do."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), slices)
    labels = (np.arange(patients) < share * patients).astype(int)[codes]
    evidence = distance * (labels - 0.5) + random.normal(0, 1, patients)[codes]
    evidence += random.normal(0, 0.7, len(codes))
    probabilities = (1 / (1 + np.exp(-evidence))).astype(np.float32)
    return with_draws(labels, probabilities, codes, resamples, seed)


def both_curves(cases):
    return roc_curve_with_band(*cases), precision_recall_with_band(*cases)


def exact_sensitivity(labels, probabilities, codes, drawn):
    """(resamples, 101) by scikit-learn, the slices of each resample weighted."""
    curves = [
        roc_curve(labels, probabilities, sample_weight=times[codes], drop_intermediate=False)
        for times in drawn
    ]
    return np.array([np.interp(GRID + 1e-9, rate, hits) for rate, hits, _ in curves])


def exact_precision(labels, probabilities, codes, drawn):
    """(resamples, 101) at the first threshold that reaches each recall, by scikit-learn."""
    precisions = []
    for times in drawn:
        precision, recall, _ = precision_recall_curve(
            labels, probabilities, sample_weight=times[codes]
        )
        first = np.searchsorted(recall[::-1], np.maximum(GRID - 1e-9, 1e-9))
        precisions.append(precision[::-1][first])
    return np.array(precisions)


def exact_average_precision(labels, probabilities, codes, drawn):
    return np.array(
        [average_precision_score(labels, probabilities, sample_weight=w[codes]) for w in drawn]
    )


@settings(max_examples=80, deadline=None)
@given(some_cases(8))
def test_the_roc_curve_and_its_area_are_those_of_scikit_learn(cases):
    labels, probabilities, *_ = cases
    ours = roc_curve_with_band(*cases)
    rate, sensitivity, threshold = roc_curve(labels, probabilities)
    assert ours.false_positive_rate.tolist() == rate.tolist()
    assert ours.sensitivity.tolist() == sensitivity.tolist()
    assert ours.threshold[1:].tolist() == threshold[1:].tolist()
    assert ours.auroc.value == pytest.approx(roc_auc_score(labels, probabilities))


@settings(max_examples=80, deadline=None)
@given(some_cases(8))
def test_the_precision_recall_curve_and_its_area_are_those_of_scikit_learn(cases):
    labels, probabilities, *_ = cases
    ours = precision_recall_with_band(*cases)
    precision, recall, threshold = precision_recall_curve(
        labels, probabilities, drop_intermediate=True
    )
    assert ours.recall.tolist() == recall[::-1].tolist()
    assert ours.precision.tolist() == precision[::-1].tolist()
    assert ours.threshold[1:].tolist() == threshold[::-1].tolist()
    expected = average_precision_score(labels, probabilities)
    assert ours.average_precision.value == pytest.approx(expected)
    assert ours.positive_share == pytest.approx(labels.mean())


@settings(max_examples=60, deadline=None)
@given(some_cases(8))
def test_resamples_of_few_distinct_probabilities_are_exact(cases):
    checked = checked_cases(*cases, confidence=0.95)
    weighted = (*cases[:3], checked.drawn[:4])
    if len(checked.drawn):
        precision, average = resampled_precision(checked)
        sensitivity = resampled_sensitivity(checked)
        assert sensitivity[:4] == pytest.approx(exact_sensitivity(*weighted))
        assert precision[:4] == pytest.approx(exact_precision(*weighted))
        assert average[:4] == pytest.approx(exact_average_precision(*weighted))


@settings(max_examples=60, deadline=None)
@given(some_cases(8))
def test_every_threshold_can_be_set_and_gives_its_point(cases):
    labels, probabilities, *_ = cases
    positives, negatives = labels.sum(), (1 - labels).sum()
    curve = roc_curve_with_band(*cases)
    assert (np.diff(curve.threshold) <= 0).all()
    for rate, sensitivity, threshold in zip(
        curve.false_positive_rate[1:], curve.sensitivity[1:], curve.threshold[1:], strict=True
    ):
        calls = called(probabilities, float(threshold))
        assert (calls & (labels == 1)).sum() / positives == pytest.approx(sensitivity)
        assert (calls & (labels == 0)).sum() / negatives == pytest.approx(rate)


@settings(max_examples=60, deadline=None)
@given(some_cases(8))
def test_a_band_is_whole_or_absent_and_holds_shares(cases):
    roc, precision_recall = both_curves(cases)
    for curve, area in (
        (roc, roc.auroc),
        (precision_recall, precision_recall.average_precision),
    ):
        assert curve.grid.shape == curve.low.shape == curve.high.shape == (101,)
        if area.has_interval:
            assert ((curve.low >= 0) & (curve.low <= curve.high) & (curve.high <= 1)).all()
        else:
            assert np.isnan(curve.low).all()
            assert np.isnan(curve.high).all()
    if roc.auroc.has_interval:
        assert (np.diff(roc.low) >= 0).all()
        assert (np.diff(roc.high) >= 0).all()


@pytest.mark.parametrize("shape", [(40, 150, 0.4), (60, 100, 0.1), (500, 10, 0.05)])
def test_resamples_at_some_thresholds_stay_close_to_those_at_all(shape):
    patients, slices, share = shape
    cases = clustered(3, patients, slices, share, resamples=100)
    assert len(np.unique(cases[1])) > 2 * MOST_THRESHOLDS
    checked = checked_cases(*cases, confidence=0.95)
    sensitivity, exact = resampled_sensitivity(checked), exact_sensitivity(*cases)
    assert abs(sensitivity - exact).max() < 0.02
    ends = [np.quantile(curves, TAILS, axis=0) for curves in (sensitivity, exact)]
    assert abs(ends[0] - ends[1]).max() < 0.01
    precision, average = resampled_precision(checked)
    ends = [np.quantile(p, TAILS, axis=0) for p in (precision, exact_precision(*cases))]
    assert abs(ends[0] - ends[1]).max() < 0.02
    assert abs(average - exact_average_precision(*cases)).max() < 0.002


def test_points_give_the_values_worked_by_hand():
    # From the highest: bleed, normal, bleed, normal.
    rows = [("a", 1, 0.8), ("b", 0, 0.6), ("c", 1, 0.4), ("d", 0, 0.2)]
    roc, precision_recall = both_curves(arrays(rows))
    assert roc.false_positive_rate.tolist() == [0, 0, 0.5, 0.5, 1]
    assert roc.sensitivity.tolist() == [0, 0.5, 0.5, 1, 1]
    assert roc.threshold == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert roc.auroc.value == 0.75
    assert precision_recall.recall.tolist() == [0, 0.5, 0.5, 1, 1]
    assert precision_recall.precision == pytest.approx([1, 1, 1 / 2, 2 / 3, 1 / 2])
    assert precision_recall.average_precision.value == pytest.approx((1 + 2 / 3) / 2)


def test_the_roc_s_area_and_interval_are_those_of_the_table_of_results():
    labels, probabilities, codes, drawn = clustered(2, resamples=300)
    ours = roc_curve_with_band(labels, probabilities, codes, drawn)
    table = judged("slice", labels, probabilities, codes, resamples=300, seed=2).at(0.5)
    assert ours.auroc == table.auroc


def test_the_bands_contain_the_curves_almost_everywhere():
    cases = clustered(4)
    roc, precision_recall = both_curves(cases)
    labels, probabilities, codes, drawn = cases
    once = np.ones((1, drawn.shape[1]))
    (sensitivity,) = exact_sensitivity(labels, probabilities, codes, once)
    (precision,) = exact_precision(labels, probabilities, codes, once)
    assert ((roc.low <= sensitivity) & (sensitivity <= roc.high)).mean() > 0.95
    inside = (precision_recall.low <= precision) & (precision <= precision_recall.high)
    assert inside.mean() > 0.95
    assert 0.05 < (roc.high - roc.low).mean() < 0.5
    assert precision_recall.average_precision.has_interval


def test_the_band_contains_the_true_sensitivity_in_most_simulations():
    labels, probabilities, codes, drawn = clustered(99, patients=20_000, slices=1, resamples=1)
    once = np.ones((1, drawn.shape[1]))
    truth = exact_sensitivity(labels, probabilities, codes, once)[0, 20]
    curves = [roc_curve_with_band(*clustered(seed, resamples=200)) for seed in range(50)]
    assert sum(curve.low[20] <= truth <= curve.high[20] for curve in curves) >= 42


def test_resampled_patients_give_wider_bands_than_resampled_slices():
    labels, probabilities, codes, drawn = clustered(5)
    apart = with_draws(labels, probabilities, np.arange(len(codes)), resamples=100)
    for curve in (roc_curve_with_band, precision_recall_with_band):
        patients, slices = curve(labels, probabilities, codes, drawn), curve(*apart)
        wide, narrow = (np.mean(c.high - c.low) for c in (patients, slices))
        assert wide > 1.5 * narrow


def test_a_higher_confidence_gives_a_wider_band():
    for curve in (roc_curve_with_band, precision_recall_with_band):
        sure, usual = curve(*clustered(6), confidence=0.99), curve(*clustered(6))
        assert np.mean(sure.high - sure.low) > np.mean(usual.high - usual.low)


def test_classes_that_are_separated_without_an_error_leave_room_below_one():
    rows = [(f"p{n}", n % 2, 0.6 * (n % 2) + n / 100) for n in range(24)]
    roc, precision_recall = both_curves(arrays(rows))
    bound = unanimous_bound(12, 0.95)
    low, _ = area_interval(1.0, 12, 12, 0.95)
    assert (roc.auroc.value, roc.auroc.low, roc.auroc.high) == (1.0, pytest.approx(low), 1.0)
    assert roc.low[:-1] == pytest.approx(np.full(100, bound))
    assert (roc.low[-1], roc.high[0]) == (1.0, 1.0)
    average = precision_recall.average_precision
    assert (average.value, average.low, average.high) == (1.0, pytest.approx(bound), 1.0)
    assert precision_recall.low == pytest.approx(np.full(101, bound))


def test_the_roc_s_band_never_falls_though_all_resamples_agree_from_some_rate_on():
    cases = clustered(7, distance=4)
    sensitivity = resampled_sensitivity(checked_cases(*cases, confidence=0.95))
    assert not (sensitivity[:, 5] == 1).all()
    assert (sensitivity[:, 95] == 1).all()
    ours = roc_curve_with_band(*cases)
    assert unanimous_bound(24, 0.95) < ours.low[95] < 1
    assert (np.diff(ours.low) >= 0).all()


def test_one_probability_for_all_gives_the_diagonal_and_the_share_of_positives():
    rows = [(f"p{number}", number % 2, 0.5) for number in range(8)]
    roc, precision_recall = both_curves(arrays(rows))
    assert roc.false_positive_rate.tolist() == roc.sensitivity.tolist() == [0, 1]
    assert roc.auroc.value == 0.5
    assert precision_recall.average_precision.value == precision_recall.positive_share == 0.5


def test_a_single_bleeding_patient_leaves_the_curves_without_bands():
    labels, probabilities, codes, _ = clustered(1, patients=10, share=0.1)
    cases = with_draws(labels, probabilities, codes)
    roc, precision_recall = both_curves(cases)
    assert 0 < roc.auroc.value < 1
    assert math.isnan(roc.auroc.low)
    assert not precision_recall.average_precision.has_interval
    for band in (roc.low, roc.high, precision_recall.low, precision_recall.high):
        assert np.isnan(band).all()


def test_resamples_that_all_lack_a_class_leave_the_curves_without_bands():
    rows = [("a", 1, 0.9), ("a", 0, 0.2), ("b", 1, 0.6), ("b", 0, 0.7), ("c", 1, 0.3)]
    labels, probabilities, codes, _ = arrays(rows)
    only_c = np.array([[0.0, 0.0, 3.0]])
    for curve in (roc_curve_with_band, precision_recall_with_band):
        assert np.isnan(curve(labels, probabilities, codes, only_c).low).all()


LABELS, PROBABILITIES, CODES, DRAWN = arrays(
    [("a", 1, 0.9), ("b", 0, 0.2), ("c", 1, 0.6), ("d", 0, 0.7)]
)


@pytest.mark.parametrize("curve", [roc_curve_with_band, precision_recall_with_band])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": np.ones(4, int)}, "Every case is labelled 'hemorrhage'"),
        ({"labels": np.zeros(4, int)}, "Every case is labelled 'no hemorrhage'"),
        ({"labels": np.array([0, 1, 2, 0])}, "Case 2 has the label 2"),
        ({"labels": np.array([0, 1, np.nan, 0])}, "Case 2 has the label nan"),
        ({"labels": np.array([], int)}, "at least one case"),
        ({"probabilities": np.array([0.1, np.nan, 0.2, 0.3])}, "Case 1 has the probability nan"),
        ({"probabilities": np.array([0.1, 1.5, 0.2, 0.3])}, "Case 1 has the probability 1.5"),
        ({"probabilities": PROBABILITIES[:3]}, "expected 4 numbers"),
        ({"codes": CODES[:3]}, "expected 4 whole numbers"),
        ({"codes": CODES.astype(float)}, "expected 4 whole numbers"),
        ({"codes": np.array([0, 1, 2, 4])}, "run from 0 to 4 over 4 groups"),
        ({"codes": np.array([-1, 0, 1, 2])}, "run from -1 to 2 over 4 groups"),
        ({"drawn": DRAWN[:, :3]}, "a column for each of 4 patient groups"),
        ({"drawn": DRAWN[:0]}, "at least one row"),
        ({"drawn": DRAWN[0]}, "at least one row"),
        ({"drawn": DRAWN - 1}, "negative or undefined number of times"),
        ({"drawn": DRAWN * np.nan}, "negative or undefined number of times"),
        ({"confidence": 95}, "confidence is 95"),
        ({"confidence": math.nan}, "confidence is nan"),
    ],
)
def test_arrays_that_no_honest_curve_can_be_made_from_are_refused(curve, change, sentence):
    given_arrays = {
        "labels": LABELS,
        "probabilities": PROBABILITIES,
        "codes": CODES,
        "drawn": DRAWN,
    }
    with pytest.raises(EvaluationError, match=sentence):
        curve(**(given_arrays | change))
