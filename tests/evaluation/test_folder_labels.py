"""Slices are judged by their own labels; where only folders have labels, the patient's answer is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hemodetect.evaluation.comparison import ComparedModel, Comparison, compared
from hemodetect.evaluation.levels import by_folder_label, has_folder_labels
from hemodetect.evaluation.metrics import level_scores


def predictions(own_labels: bool) -> pd.DataFrame:
    """Eight patients of six slices; half of them bleed. The label is of the slice or of the folder."""
    rows = []
    for patient in range(8):
        for number in range(6):
            bleeds = patient % 2 == 1 and number in (2, 3)
            rows.append(
                {
                    "patient": f"p{patient}",
                    "slice": f"p{patient}/{number}",
                    "label": int(bleeds if own_labels else patient % 2),
                    "probability": np.float32(0.4 if bleeds else 0.1),
                    "patient_probability": np.float32(0.9 if patient % 2 else 0.2),
                }
            )
    return pd.DataFrame(rows)


def test_labels_of_folders_are_distinguished_from_those_of_slices() -> None:
    assert has_folder_labels(predictions(own_labels=False))
    assert not has_folder_labels(predictions(own_labels=True))
    single = predictions(own_labels=True).assign(patient=lambda t: t["slice"])
    assert not has_folder_labels(single)


def test_own_labels_are_met_by_the_slices_at_their_threshold() -> None:
    scores = level_scores(predictions(True), "slice", threshold=0.5, slice_threshold=0.3)
    assert (scores.sensitivity.value, scores.specificity.value) == (1, 1)
    assert scores.threshold == 0.3


def test_a_folder_s_label_is_met_by_the_patient_s_answer() -> None:
    table = predictions(False)
    scores = level_scores(table, "slice", threshold=0.5, slice_threshold=0.3)
    assert (scores.sensitivity.value, scores.specificity.value, scores.threshold) == (1, 1, 0.5)
    # A model whose slices do not answer for themselves is judged by them, as the study's were.
    paper = level_scores(table, "slice", threshold=0.5, slice_threshold=None)
    assert paper.sensitivity.value == 0
    assert set(by_folder_label(table)["probability"]) == set(table["patient_probability"])


@pytest.fixture
def comparison() -> Comparison:
    tables = {
        "folders": predictions(False).assign(set="folders"),
        "slices": predictions(True).assign(set="slices"),
    }
    both = pd.concat(tables.values(), ignore_index=True)
    facts = both[["set", "patient", "slice", "label"]].assign(
        group=both["set"] + both["patient"], fold=0
    )
    origins = dict.fromkeys(tables, "out-of-fold")
    model = ComparedModel("cnn", "cnn", "study", "v", 0.5, "why", origins, 0.3)  # type: ignore[arg-type]
    paper = replace(model, key="svm", family="svm", slice_threshold=None)
    models = (model, paper)
    answers = dict.fromkeys(("cnn", "svm"), both)
    return compared(models, dict.fromkeys(tables, "f"), facts, answers, "2026-11-26")


def test_each_set_of_a_comparison_is_judged_as_its_labels_ask(comparison: Comparison) -> None:
    assert comparison.folder_labelled() == ("folders",)
    cases = comparison.cases("slice")
    in_folders = cases["set"] == "folders"
    np.testing.assert_array_equal(
        cases.loc[in_folders, "cnn"], comparison.slices.loc[in_folders, "cnn (patient)"]
    )
    np.testing.assert_array_equal(cases["svm"], comparison.slices["svm"])
    thresholds = comparison.released_thresholds("slice")
    np.testing.assert_allclose(thresholds["cnn"], np.where(in_folders, 0.5, 0.3))
    assert thresholds["svm"] == 0.5
    only_slices = comparison.only(~in_folders.to_numpy())
    assert only_slices.released_thresholds("slice")["cnn"] == 0.3
    assert comparison.released_thresholds("patient") == {"cnn": 0.5, "svm": 0.5}
