"""Figures against scikit-learn, against values worked by hand, and on broken predictions."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    recall_score,
    roc_auc_score,
)

from hemodetect.evaluation import EvaluationError, patient_level, scores, slice_level


def predictions_of(rows: list[tuple[str, int, float]]) -> pd.DataFrame:
    """Predictions from (patient, label, probability); slices are numbered."""
    table = pd.DataFrame(rows, columns=["patient", "label", "probability"])
    return table.assign(
        slice=[f"{number:03}.jpg" for number in range(len(rows))],
        label=table["label"].astype(np.int8),
        probability=table["probability"].astype(np.float32),
        fold=np.int16(0),
    )


WORKED = predictions_of(
    [("a", 1, 0.9), ("a", 1, 0.4), ("b", 1, 0.6), ("c", 0, 0.4), ("c", 0, 0.7), ("d", 0, 0.1)]
)

# Few distinct probabilities, so that ties within and between groups are common.
some_predictions = (
    st.lists(
        st.tuples(
            st.sampled_from("abcdefg"),
            st.integers(0, 1),
            st.integers(0, 8).map(lambda eighths: eighths / 8),
        ),
        min_size=2,
        max_size=60,
    )
    .filter(lambda rows: len({label for _, label, _ in rows}) == 2)
    .map(predictions_of)
)


@settings(max_examples=60, deadline=None)
@given(some_predictions, st.integers(0, 8).map(lambda eighths: eighths / 8))
def test_every_figure_by_slice_is_that_of_scikit_learn(predictions, threshold):
    ours = scores(predictions, threshold=threshold, resamples=5)
    label, probability = predictions["label"], predictions["probability"]
    call = probability >= threshold
    assert ours.accuracy.value == pytest.approx(accuracy_score(label, call))
    assert ours.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(label, call))
    assert ours.sensitivity.value == pytest.approx(recall_score(label, call))
    assert ours.specificity.value == pytest.approx(recall_score(label, call, pos_label=0))
    assert ours.auroc.value == pytest.approx(roc_auc_score(label, probability))
    confusion = ours.confusion
    counts = [confusion.tn, confusion.fp, confusion.fn, confusion.tp]
    assert counts == confusion_matrix(label, call).ravel().tolist()


@settings(max_examples=60, deadline=None)
@given(some_predictions)
def test_an_interval_is_whole_or_absent_and_holds_shares(predictions):
    ours = scores(predictions, resamples=50)
    for metric in (ours.accuracy, ours.balanced_accuracy, ours.sensitivity, ours.specificity):
        assert math.isnan(metric.low) == math.isnan(metric.high)
        if metric.has_interval:
            assert 0 <= metric.low <= metric.high <= 1


def test_slices_give_the_values_worked_by_hand():
    ours = scores(WORKED)
    assert (ours.n, ours.n_positive, ours.n_groups) == (6, 3, 4)
    assert ours.majority_baseline == 0.5
    assert ours.sensitivity.value == pytest.approx(2 / 3)
    assert ours.specificity.value == pytest.approx(2 / 3)
    # Of nine pairs, 0.4 loses to 0.7 and ties with 0.4, 0.6 loses to 0.7.
    assert ours.auroc.value == pytest.approx(6.5 / 9)


def test_a_patient_counts_by_the_mean_of_its_slices_and_by_any_hemorrhage():
    mixed = predictions_of([("a", 0, 0.2), ("a", 1, 0.8), ("b", 0, 0.1), ("b", 0, 0.6)])
    table = patient_level(mixed, threshold=0.5)
    assert table["patient"].tolist() == ["a", "b"]
    assert table["label"].tolist() == [1, 0]
    assert table["probability"].tolist() == pytest.approx([0.5, 0.35])
    assert table["call"].tolist() == [True, False]
    assert table["slices"].tolist() == [2, 2]


def test_patients_give_the_values_worked_by_hand():
    ours = scores(WORKED, level="patient", threshold=0.57)
    assert (ours.n, ours.n_positive) == (4, 2)
    assert (ours.sensitivity.value, ours.specificity.value) == (1.0, 1.0)
    assert ours.auroc.value == 1.0


def test_a_probability_of_seven_tenths_reaches_a_threshold_of_seven_tenths():
    at_the_threshold = predictions_of([("a", 1, 0.7), ("b", 0, 0.1), ("c", 0, 0.1)])
    assert scores(at_the_threshold, threshold=0.7).sensitivity.value == 1.0
    assert scores(at_the_threshold, threshold=0.7, level="patient").sensitivity.value == 1.0


def test_the_order_of_the_rows_changes_nothing():
    shuffled = WORKED.sample(frac=1, random_state=3)
    assert scores(shuffled) == scores(WORKED)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.drop(columns="label"), "lack the column 'label'"),
        (lambda p: p.iloc[:0], "are empty"),
        (lambda p: p.assign(probability=[0.5, np.nan, 0.5, 0.5, 0.5, 0.5]), "probability nan"),
        (lambda p: p.assign(probability=[0.5, 0.5, 1.5, 0.5, 0.5, 0.5]), "probability 1.5"),
        (lambda p: p.assign(probability=[-0.1, 0.5, 0.5, 0.5, 0.5, 0.5]), "probability -0.1"),
        (lambda p: p.assign(probability=np.inf), "probability inf"),
        (lambda p: p.assign(probability="high"), "'probability' of the predictions holds"),
        (lambda p: p.assign(probability=[[0.5]] * 6), "'probability' of the predictions holds"),
        (lambda p: p.assign(probability=0.5 + 1j), "'probability' of the predictions holds"),
        (lambda p: p.assign(label=[0, 1, 2, 0, 1, 0]), "002.jpg of patient b has the label 2"),
        (lambda p: p.assign(label=[0, 1, np.nan, 0, 1, 0]), "label nan"),
        (lambda p: p.assign(label=1), "labelled 'hemorrhage'"),
        (lambda p: p.assign(label=0), "labelled 'no hemorrhage'"),
        (lambda p: p.assign(patient=None), "no patient"),
        (lambda p: pd.concat([p, p.iloc[[1]]]), "001.jpg of patient a is predicted twice"),
    ],
)
def test_predictions_that_no_honest_figure_can_be_made_from_are_refused(change, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        scores(change(WORKED))


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"threshold": 1.2}, "threshold is 1.2"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"level": "pixel"}, "level is 'pixel'"),
        ({"resamples": 0}, "resamples is 0"),
        ({"confidence": 95}, "confidence is 95"),
        ({"groups": {"a": "a", "b": "b", "c": "c"}}, "Patient d has no patient group"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(argument, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        scores(WORKED, **argument)


def test_slices_keep_the_types_that_bundles_store():
    widened = WORKED.astype({"label": "int64", "probability": "float64"})
    assert slice_level(widened).dtypes[["label", "probability"]].tolist() == ["int8", "float32"]
