"""A calibration gives each class its rate, and never reverses a model's ranking."""

from __future__ import annotations

import numpy as np
import pytest

from hemodetect.training.calibration import calibrated, fitted_sigmoid

LABELS = np.tile([0, 0, 0, 1, 1], 20)


def test_a_useful_model_s_probabilities_follow_its_logits() -> None:
    logits = 2.0 * LABELS + np.random.default_rng(0).normal(0, 1, 100)
    sigmoid = fitted_sigmoid(logits, LABELS, np.ones(100))
    probabilities = sigmoid.probabilities(logits)
    assert sigmoid.slope > 0.5
    assert probabilities.mean() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_model_that_ranks_worse_than_chance_gets_the_rate(scale: float) -> None:
    logits = scale * (5.0 - 2.0 * LABELS + np.random.default_rng(0).normal(0, 1, 100))
    sigmoid = fitted_sigmoid(logits, LABELS, np.ones(100))
    probabilities = sigmoid.probabilities(logits)
    assert sigmoid.slope > 0
    assert probabilities.mean() == pytest.approx(0.4, abs=0.01)
    assert np.ptp(probabilities) < 0.02


def test_the_rate_is_that_of_the_weighted_cases() -> None:
    weights = np.where(LABELS == 1, 3.0, 1.0)
    sigmoid = fitted_sigmoid(-LABELS.astype(float), LABELS, weights)
    assert sigmoid.probabilities(np.zeros(1))[0] == pytest.approx(120 / 180, abs=0.01)


def test_inner_folds_calibrate_with_the_same_rule() -> None:
    sigmoid = calibrated(LABELS, np.arange(100), lambda train, test: -LABELS[test].astype(float), 0)
    assert sigmoid.slope > 0
    assert sigmoid.probabilities(-LABELS.astype(float)).mean() == pytest.approx(0.4, abs=0.01)
