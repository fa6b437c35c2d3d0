"""Two models on the same cases: counts, McNemar's test, paired intervals, and their words."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import accuracy_score, roc_auc_score

from hemodetect.evaluation.differences import (
    Agreement,
    McNemar,
    PairedDifference,
    accuracy_difference,
    agreement,
    auroc_difference,
    cell_mask,
    difference_sentence,
    mcnemar,
)
from hemodetect.evaluation.intervals import draws, unanimous_bound
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric

CELLS = ("both_right", "only_a", "only_b", "both_wrong")
LABELS = np.array([1, 1, 0, 0, 1, 0])
CALLS_A = np.array([True, True, False, True, False, True])
CALLS_B = np.array([True, False, False, False, False, True])


def clustered(
    seed: int, patients: int = 40, slices: int = 5, distances: tuple[float, float] = (1.5, 0.5)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(labels, probabilities of A, of B, codes); both models err on the same patients.

    Each model's evidence differs by its distance between the classes and varies by a standard
    deviation of 1, of which the share 0.8 is the patient's and the same for both models.
    """
    random = np.random.default_rng(seed)
    label = np.arange(patients) % 2
    common = random.normal(0, math.sqrt(0.8), patients)
    evidence = [
        (distance * (label - 0.5) + common)[:, None]
        + random.normal(0, math.sqrt(0.2), (patients, slices))
        for distance in distances
    ]
    probabilities_a, probabilities_b = (norm.cdf(e).ravel().astype(np.float32) for e in evidence)
    codes = np.repeat(np.arange(patients), slices)
    return label[codes], probabilities_a, probabilities_b, codes


def drawn_for(labels: np.ndarray, codes: np.ndarray, resamples: int = 400) -> np.ndarray:
    return draws(np.bincount(codes, weights=labels) > 0, resamples, seed=3)


def test_cases_are_counted_by_which_model_has_them_right():
    assert agreement(LABELS, CALLS_A, CALLS_B) == Agreement(2, 1, 1, 2)


def test_a_cell_opens_the_cases_that_it_counts():
    rows = {cell: np.flatnonzero(cell_mask(LABELS, CALLS_A, CALLS_B, cell)) for cell in CELLS}
    assert rows["both_right"].tolist() == [0, 2]
    assert rows["only_a"].tolist() == [1]
    assert rows["only_b"].tolist() == [3]
    assert rows["both_wrong"].tolist() == [4, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_every_case_is_in_one_cell_and_the_cells_give_each_model_s_accuracy(rows):
    labels, calls_a, calls_b = np.array(rows).T
    masks = [cell_mask(labels, calls_a, calls_b, cell) for cell in CELLS]
    assert (np.sum(masks, axis=0) == 1).all()
    counts = agreement(labels, calls_a, calls_b)
    assert [counts.both_right, counts.only_a, counts.only_b, counts.both_wrong] == [
        mask.sum() for mask in masks
    ]
    assert counts.both_right + counts.only_a == accuracy_score(labels, calls_a, normalize=False)
    assert counts.both_right + counts.only_b == accuracy_score(labels, calls_b, normalize=False)
    assert counts.n == len(rows)


def test_mcnemar_is_the_exact_test_of_a_published_example():
    # Fagerland, Lydersen and Laake, BMC Med Res Methodol 2013, 13, 91, table 1: airway
    # hyper-responsiveness before and after transplantation, 7 against 1, exact conditional test.
    assert mcnemar(Agreement(1, 1, 7, 12)).p_value == pytest.approx(0.0703, abs=5e-5)


def test_mcnemar_gives_the_value_worked_by_hand():
    # 1 of 6: two-sided, 2 * (1 + 6) / 2**6.
    assert mcnemar(Agreement(20, 1, 5, 3)) == McNemar(1, 5, pytest.approx(14 / 64))


def test_mcnemar_gives_the_exact_value_that_mlxtend_publishes():
    # mlxtend user guide, evaluate/mcnemar, scenario A: [[9959, 11], [1, 29]].
    assert mcnemar(Agreement(9959, 11, 1, 29)).p_value == pytest.approx(0.00634765625)


def test_mcnemar_comes_near_the_large_sample_value_of_agresti_s_approval_ratings():
    # A. Agresti, Categorical Data Analysis (1990), p. 350: z**2 = 64**2 / 236 = 17.36,
    # p = 3.099e-05; the exact p is 3.716e-05.
    p_value = mcnemar(Agreement(794, 150, 86, 570)).p_value
    assert p_value == pytest.approx(3.716e-05, rel=1e-3)
    assert 3.099e-05 < p_value < 1.3 * 3.099e-05


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (4, 4), (1, 0)])
def test_mcnemar_sees_no_difference_where_the_cases_that_differ_are_even_or_one(only_a, only_b):
    assert mcnemar(Agreement(10, only_a, only_b, 2)).p_value == pytest.approx(1.0)


def test_one_resample_gives_the_difference_of_scikit_learn_s_figures():
    labels, a, b, codes = (values[3:] for values in clustered(1, patients=8))
    times = np.array([2, 0, 1, 3, 0, 0, 1, 1])  # the first group has two slices, the others five
    again = np.repeat(np.arange(len(codes)), times[codes])
    drawn = times[None].astype(float)
    area = auroc_difference(labels, a, b, codes, drawn)
    assert area.value == pytest.approx(roc_auc_score(labels, a) - roc_auc_score(labels, b))
    expected = roc_auc_score(labels[again], a[again]) - roc_auc_score(labels[again], b[again])
    assert (area.low, area.high) == (pytest.approx(expected), pytest.approx(expected))
    right_a, right_b = (a >= 0.5) == labels, (b >= 0.5) == labels
    share = accuracy_difference(labels, a >= 0.5, b >= 0.5, codes, drawn)
    assert share.value == pytest.approx(right_a.mean() - right_b.mean())
    assert share.low == pytest.approx(right_a[again].mean() - right_b[again].mean())


def test_a_model_differs_from_itself_by_exactly_nothing_in_every_resample():
    labels, a, _, codes = clustered(0)
    drawn = drawn_for(labels, codes)
    for difference in (
        auroc_difference(labels, a, a, codes, drawn),
        accuracy_difference(labels, a >= 0.5, a >= 0.5, codes, drawn),
    ):
        assert (difference.value, difference.share_above_zero) == (0.0, 0.0)
        assert (difference.low, difference.high) == (0.0, 0.0)


def test_a_model_that_only_spreads_its_probabilities_otherwise_has_the_same_auroc():
    labels, a, _, codes = clustered(0)
    other = auroc_difference(labels, a, a / 2, codes, drawn_for(labels, codes))
    assert (other.value, other.low, other.high) == (0.0, 0.0, 0.0)


def test_the_other_order_of_the_models_flips_the_sign():
    labels, a, b, codes = clustered(2)
    drawn = drawn_for(labels, codes)
    calls_a, calls_b = a >= 0.5, b >= 0.5
    for forth, back in (
        (
            auroc_difference(labels, a, b, codes, drawn),
            auroc_difference(labels, b, a, codes, drawn),
        ),
        (
            accuracy_difference(labels, calls_a, calls_b, codes, drawn),
            accuracy_difference(labels, calls_b, calls_a, codes, drawn),
        ),
    ):
        assert forth.value == -back.value != 0
        assert forth.low == pytest.approx(-back.high)
        assert forth.high == pytest.approx(-back.low)
        assert forth.share_above_zero + back.share_above_zero <= 1


def test_the_share_above_zero_counts_the_resamples_that_the_better_model_wins():
    labels, a, b, codes = clustered(2)
    drawn = drawn_for(labels, codes, 50)
    rows = [auroc_difference(labels, a, b, codes, row[None]).low for row in drawn]
    difference = auroc_difference(labels, a, b, codes, drawn)
    assert difference.share_above_zero == np.mean(np.array(rows) > 0) > 0.5


def test_a_paired_interval_is_narrower_than_one_of_unrelated_resamples():
    labels, a, b, codes = clustered(4)
    paired = auroc_difference(labels, a, b, codes, drawn_for(labels, codes))
    constant = np.full(len(labels), 0.5)
    alone_a, alone_b = (
        auroc_difference(labels, p, constant, codes, drawn_for(labels, codes)) for p in (a, b)
    )
    unrelated = math.hypot(alone_a.high - alone_a.low, alone_b.high - alone_b.low)
    assert paired.high - paired.low < 0.8 * unrelated


def test_the_interval_contains_the_true_difference_in_most_simulations():
    true_auroc = norm.cdf(1.5 / math.sqrt(2)) - norm.cdf(0.5 / math.sqrt(2))
    true_accuracy = norm.cdf(0.75) - norm.cdf(0.25)
    hits = np.zeros(2)
    for seed in range(100):
        labels, a, b, codes = clustered(seed)
        drawn = drawn_for(labels, codes)
        area = auroc_difference(labels, a, b, codes, drawn)
        share = accuracy_difference(labels, a >= 0.5, b >= 0.5, codes, drawn)
        hits += [area.low <= true_auroc <= area.high, share.low <= true_accuracy <= share.high]
    assert (hits >= 88).all(), hits


def test_a_lower_confidence_gives_a_narrower_interval():
    labels, a, b, codes = clustered(5)
    drawn = drawn_for(labels, codes)
    usual, bold = (auroc_difference(labels, a, b, codes, drawn, c) for c in (0.95, 0.5))
    assert usual.low < bold.low < bold.high < usual.high
    assert bold.confidence == 0.5


def test_two_different_models_without_an_error_are_not_said_to_be_surely_the_same():
    labels, _, _, codes = clustered(0, patients=20)
    random = np.random.default_rng(0)
    a, b = (0.6 * labels + 0.3 * random.random(len(labels)) for _ in "ab")
    difference = auroc_difference(labels, a, b, codes, drawn_for(labels, codes))
    width = 1 - unanimous_bound(10, 0.95)
    assert difference.value == 0.0
    assert (difference.low, difference.high) == (pytest.approx(-width), pytest.approx(width))


def test_a_model_that_wins_every_case_is_not_said_to_do_so_for_certain():
    labels, _, _, codes = clustered(0, patients=20)
    right, wrong = labels.astype(bool), ~labels.astype(bool)
    difference = accuracy_difference(labels, right, wrong, codes, drawn_for(labels, codes))
    assert (difference.value, difference.high, difference.share_above_zero) == (1.0, 1.0, 1.0)
    assert difference.low == pytest.approx(2 * unanimous_bound(10, 0.95) - 1)


@pytest.mark.parametrize("patients", [1, 2, 3])
def test_too_few_patients_give_a_difference_without_an_interval(patients):
    labels, a, b, codes = clustered(0, patients=patients)
    # One patient alone must have slices of both classes, so that there is an AUROC.
    labels = np.arange(len(labels)) % 2 if patients == 1 else labels
    drawn = drawn_for(labels, codes)
    for difference in (
        auroc_difference(labels, a, b, codes, drawn),
        accuracy_difference(labels, a >= 0.5, b >= 0.5, codes, drawn),
    ):
        assert math.isfinite(difference.value)
        assert not difference.has_interval
        assert math.isnan(difference.share_above_zero)


def test_among_bleeding_cases_only_the_accuracies_still_differ_but_there_is_no_auroc():
    labels, a, b, codes = clustered(6)
    bleeding = labels == 1
    codes = np.unique(codes[bleeding], return_inverse=True)[1]
    labels, a, b = labels[bleeding], a[bleeding], b[bleeding]
    drawn = drawn_for(labels, codes)
    difference = accuracy_difference(labels, a >= 0.5, b >= 0.5, codes, drawn)
    assert difference.low < difference.value == pytest.approx((a >= 0.5).mean() - (b >= 0.5).mean())
    with pytest.raises(EvaluationError, match="Every case is labelled 'hemorrhage'"):
        auroc_difference(labels, a, b, codes, drawn)


def test_a_difference_is_a_metric_that_pages_can_draw_like_any_other():
    assert isinstance(PairedDifference(0.1, -0.1, 0.3), Metric)


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (
            PairedDifference(0.03, -0.1, 0.16, 0.7),
            "The data show no clear difference between CNN and RNN ("
            "AUROC difference 0.03, 95 % interval -0.10 "
            "to 0.16).",
        ),
        (
            PairedDifference(-0.001, -0.003, 0.0, 0.1, 0.9),
            "The data show no clear difference between CNN and RNN ("
            "AUROC difference 0.00, 90 % interval 0.00 "
            "to 0.00).",
        ),
        (
            PairedDifference(0.1, 0.03, 0.16, 1.0),
            "CNN is better than RNN: AUROC higher by 0.10 (95 % interval 0.03 to 0.16).",
        ),
        (
            PairedDifference(-0.1, -0.16, -0.03, 0.0),
            "RNN is better than CNN: AUROC higher by 0.10 (95 % interval 0.03 to 0.16).",
        ),
        (
            PairedDifference(0.1, 0.003, 0.2, 0.98),
            "CNN is better than RNN: AUROC higher by 0.100 (95 % interval 0.003 to 0.200).",
        ),
        (
            PairedDifference(0.0, 0.0, 0.0, 0.0),
            "CNN and RNN are alike on these cases (no difference in AUROC).",
        ),
        (
            PairedDifference(-0.001),
            "Whether CNN or RNN is better is unknown: there are too few"
            " patients for an interval (AUROC "
            "difference 0.00).",
        ),
    ],
)
def test_a_difference_is_described_in_plain_words(difference, sentence):
    assert difference_sentence("CNN", "RNN", difference, "AUROC") == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1, 2], [True, False], [True, False]), "Case 1 has the label 2"),
        (([], [], []), r"The labels are float64 of the shape \(0,\)"),
        (([1, 0], [True], [True, False]), r"calls of model A are bool of the shape \(1,\)"),
        (([1, 0], [True, False], [0.9, 0.2]), "calls of model B are float64"),
    ],
)
def test_calls_that_do_not_fit_the_labels_are_refused(arguments, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        agreement(*(np.array(argument) for argument in arguments))


def test_an_unknown_cell_is_refused_by_name():
    with pytest.raises(EvaluationError, match="cell is 'neither'; expected one of both_right"):
        cell_mask(LABELS, CALLS_A, CALLS_B, "neither")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"codes": np.zeros(3, int)}, r"group codes are int64 of the shape \(3,\)"),
        ({"codes": np.zeros(200)}, "group codes are float64"),
        ({"codes": np.repeat(np.arange(40), 5) + 1}, "from 1 to 40 over 40 groups"),
        ({"codes": np.repeat(np.arange(40), 5) - 1}, "from -1 to 38 over 40 groups"),
        ({"drawn": np.ones((5, 39))}, r"resamples have the shape \(5, 39\)"),
        ({"drawn": np.ones((0, 40))}, r"resamples have the shape \(0, 40\)"),
        ({"drawn": np.ones(40)}, r"resamples have the shape \(40,\)"),
        ({"confidence": 95}, "confidence is 95"),
        ({"confidence": math.nan}, "confidence is nan"),
    ],
)
def test_resamples_that_do_not_fit_the_cases_are_refused(change, sentence):
    labels, a, b, codes = clustered(0)
    rest = {"codes": codes, "drawn": drawn_for(labels, codes, 5)} | change
    with pytest.raises(EvaluationError, match=sentence):
        auroc_difference(labels, a, b, **rest)
    with pytest.raises(EvaluationError, match=sentence):
        accuracy_difference(labels, a >= 0.5, b >= 0.5, **rest)


@pytest.mark.parametrize("wrong", [math.nan, 1.5, -0.1])
def test_a_probability_that_is_none_is_refused_for_either_model(wrong):
    labels, a, b, codes = clustered(0)
    broken = np.where(np.arange(len(a)) == 7, wrong, a)
    drawn = drawn_for(labels, codes, 5)
    for pair in ((broken, b), (b, broken)):
        with pytest.raises(EvaluationError, match=f"Case 7 has the probability {wrong}"):
            auroc_difference(labels, *pair, codes, drawn)
