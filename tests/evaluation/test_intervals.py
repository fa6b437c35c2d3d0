"""Intervals resample patients, cover the truth, and say when they cannot be calculated."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from hemodetect.evaluation import scores
from hemodetect.evaluation.intervals import area_interval, draws, group_counts, rates

SPREAD_OF_PATIENTS, SPREAD_OF_SLICES, DISTANCE = 1.0, 0.5, 1.0


def clustered(seed: int, patients: int = 60, slices: int = 15) -> pd.DataFrame:
    """Predictions whose slices resemble those of their patient; half the patients bleed."""
    random = np.random.default_rng(seed)
    label = np.arange(patients) % 2
    centre = DISTANCE * (label - 0.5) + random.normal(0, SPREAD_OF_PATIENTS, patients)
    evidence = centre[:, None] + random.normal(0, SPREAD_OF_SLICES, (patients, slices))
    return pd.DataFrame(
        {
            "patient": np.repeat([f"p{number}" for number in range(patients)], slices),
            "slice": np.tile([f"{number}.jpg" for number in range(slices)], patients),
            "label": np.repeat(label, slices).astype(np.int8),
            "probability": norm.cdf(evidence).ravel().astype(np.float32),
        }
    )


def by_slice(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same slices, each as a separate patient."""
    return predictions.assign(patient=predictions["patient"] + "/" + predictions["slice"])


def width(metric) -> float:
    return metric.high - metric.low


def test_the_interval_contains_the_truth_in_most_simulations():
    spread = math.hypot(SPREAD_OF_PATIENTS, SPREAD_OF_SLICES)
    true_sensitivity = norm.cdf(DISTANCE / 2 / spread)
    true_auroc = norm.cdf(DISTANCE / spread / math.sqrt(2))
    simulations = [scores(clustered(seed), resamples=400) for seed in range(100)]
    for name, truth in [
        ("sensitivity", true_sensitivity),
        ("accuracy", true_sensitivity),
        ("auroc", true_auroc),
    ]:
        metrics = [getattr(score, name) for score in simulations]
        assert sum(m.low <= truth <= m.high for m in metrics) >= 88, name


def test_an_interval_that_resampled_slices_would_miss_the_truth_far_too_often():
    truth = norm.cdf(DISTANCE / 2 / math.hypot(SPREAD_OF_PATIENTS, SPREAD_OF_SLICES))
    accuracies = [
        scores(by_slice(clustered(seed, 30)), resamples=100).accuracy for seed in range(40)
    ]
    assert sum(m.low <= truth <= m.high for m in accuracies) <= 28


def test_resampling_patients_gives_wider_intervals_than_resampling_slices():
    patients, slices = scores(clustered(5)), scores(by_slice(clustered(5)))
    for name in ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc"):
        assert width(getattr(patients, name)) > 1.5 * width(getattr(slices, name)), name


def test_a_scan_that_stands_twice_in_one_group_does_not_narrow_the_interval():
    once = clustered(8, patients=20)
    twin = once.assign(patient=once["patient"] + "-again")
    both = pd.concat([once, twin])
    groups = {patient: patient.removesuffix("-again") for patient in both["patient"]}
    grouped, apart = scores(both, groups=groups), scores(both)
    assert grouped.n_groups == 20
    assert grouped.auroc == scores(once).auroc
    assert grouped.sensitivity == scores(once).sensitivity
    assert width(apart.auroc) < width(grouped.auroc)


def test_a_group_drawn_twice_counts_its_slices_twice():
    predictions = clustered(2, patients=6, slices=4)
    label, probability = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    codes = predictions["patient"].str[1:].astype(int).to_numpy()
    drawn = np.array([[2, 0, 1, 3, 0, 0], [1, 1, 0, 0, 2, 2]], dtype=float)
    resampled = rates(group_counts(label, probability, probability >= 0.5, codes), drawn)
    for row, times in enumerate(drawn.astype(int)):
        again = np.repeat(np.arange(len(codes)), times[codes])
        expected = roc_auc_score(label[again], probability[again])
        assert resampled["auroc"][row] == pytest.approx(expected, abs=1e-12)
        accuracy = np.mean((probability[again] >= 0.5) == label[again])
        assert resampled["accuracy"][row] == pytest.approx(accuracy, abs=1e-12)


def test_no_resample_lacks_a_class_and_each_draws_as_many_groups_as_there_are():
    positive = np.array([True, False, False, True, False])
    drawn = draws(positive, 500, seed=1)
    assert (drawn[:, positive].sum(axis=1) == 2).all()
    assert (drawn[:, ~positive].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    predictions = clustered(4)
    assert scores(predictions, seed=7) == scores(predictions, seed=7)
    assert scores(predictions, seed=7).auroc.high != scores(predictions, seed=8).auroc.high


def test_a_higher_confidence_gives_a_wider_interval():
    predictions = clustered(4)
    assert width(scores(predictions, confidence=0.99).auroc) > width(scores(predictions).auroc)


def test_one_patient_gives_figures_without_intervals():
    one = clustered(0, patients=2).assign(patient="only")
    ours = scores(one.assign(slice=[str(n) for n in range(len(one))]))
    assert 0 < ours.auroc.value < 1
    for metric in (ours.accuracy, ours.balanced_accuracy, ours.sensitivity, ours.auroc):
        assert not metric.has_interval
        assert math.isnan(metric.low)


def test_a_single_bleeding_patient_leaves_sensitivity_without_an_interval_but_not_specificity():
    predictions = clustered(1, patients=21)
    bleeding = predictions["label"].eq(1) & predictions["patient"].ne("p1")
    ours = scores(predictions[~bleeding])
    assert not ours.sensitivity.has_interval
    assert not ours.auroc.has_interval
    assert not ours.accuracy.has_interval
    assert ours.specificity.has_interval


def test_figures_without_an_error_end_at_the_exact_binomial_bound():
    predictions = clustered(1, patients=30)
    faultless = predictions.assign(probability=predictions["label"].astype(np.float32))
    ours = scores(faultless, level="patient")
    bound = binomtest(15, 15).proportion_ci(0.95, method="exact").low
    assert (ours.sensitivity.low, ours.sensitivity.high) == (pytest.approx(bound), 1.0)
    assert (ours.accuracy.low, ours.accuracy.high) == (pytest.approx(bound), 1.0)
    assert (ours.auroc.low, ours.auroc.high) == (pytest.approx(0.8648, abs=1e-4), 1.0)


def test_an_auroc_of_nearly_one_and_of_one_have_nearly_the_same_interval():
    """Newcombe's method 5; for an area of 1 it has a closed end."""
    low, high = area_interval(1.0, 15, 24, 0.95)
    beside, _ = area_interval(0.9999, 15, 24, 0.95)
    assert high == 1
    assert low == pytest.approx(beside, abs=0.005)
    for area in (0.5, 0.8, 0.95, 1.0):
        low, high = area_interval(area, 15, 24, 0.95)
        mirrored = area_interval(1 - area, 24, 15, 0.95)
        assert low < area <= high
        assert mirrored == (pytest.approx(1 - high, abs=0.02), pytest.approx(1 - low, abs=0.02))
    faultless = clustered(1, patients=30)
    faultless["probability"] = faultless["label"].astype(np.float32)
    bleeding = faultless["patient"].eq("p1")
    nearly = faultless.assign(probability=faultless["probability"].mask(bleeding, np.float32(0)))
    exact, beside_it = (scores(table, level="patient").auroc for table in (faultless, nearly))
    assert beside_it.value < exact.value == 1
    assert exact.low - beside_it.low < 0.1


def test_always_answering_normal_leaves_room_above_zero_sensitivity_and_none_in_the_auroc():
    ours = scores(clustered(1).assign(probability=np.float32(0.2)), level="patient")
    assert ours.sensitivity.low == ours.sensitivity.value == 0.0
    assert 0.05 < ours.sensitivity.high < 0.2
    assert ours.accuracy.low < ours.accuracy.value == 0.5 < ours.accuracy.high
    assert (ours.auroc.low, ours.auroc.value, ours.auroc.high) == (0.5, 0.5, 0.5)


def test_slices_of_both_classes_in_every_patient_still_give_intervals():
    predictions = clustered(3)
    random = np.random.default_rng(0)
    mixed = predictions.assign(label=random.integers(0, 2, len(predictions)).astype(np.int8))
    ours = scores(mixed)
    assert ours.specificity.low < ours.specificity.value < ours.specificity.high
    assert ours.auroc.low < ours.auroc.value < ours.auroc.high
