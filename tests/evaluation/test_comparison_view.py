"""The cases behind a number, thresholds from other patients, and parts of the data."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from comparisons import MADE, comparison, facts, model, predictions

from hemodetect.evaluation import EvaluationError
from hemodetect.evaluation.comparison import compared
from hemodetect.evaluation.comparison_view import comparison_view
from hemodetect.evaluation.fold_thresholds import rule_thresholds
from hemodetect.evaluation.operating import TargetSensitivity, Youden, chosen_threshold
from hemodetect.evaluation.subsets import known_dimensions, subsets

HALF = {"svm": 0.5, "cnn": 0.5}


@pytest.mark.parametrize("level", ["slice", "patient"])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_the_cells_hold_as_many_cases_as_the_matrix_says(level, threshold) -> None:
    view = comparison_view(comparison(), level)
    thresholds = {"svm": threshold, "cnn": threshold}
    for key, scores in view.scores(thresholds).items():
        rows = {cell: view.cell(key, cell, thresholds) for cell in ("tn", "fp", "fn", "tp")}
        assert {cell: len(r) for cell, r in rows.items()} == vars(scores.confusion)
        assert sorted(np.concatenate(list(rows.values()))) == list(range(len(view.cases)))


def test_missed_cases_come_with_the_surest_first() -> None:
    view = comparison_view(comparison(), "slice")
    missed = view.cases.iloc[view.cell("cnn", "fn", HALF)]["cnn"].to_numpy()
    assert len(missed) > 1
    assert (np.diff(missed) >= 0).all()
    assert (missed < 0.5).all()


def test_cases_that_only_one_model_has_right_are_those_counted() -> None:
    view = comparison_view(comparison(), "slice")
    counted = view.agreements(HALF)["svm", "cnn"]
    rows = view.only_right("svm", "cnn", HALF)
    assert len(rows) == counted.only_a > 0
    for _, case in view.cases.iloc[rows].iterrows():
        assert (case["svm"] >= 0.5) == case["label"] != (case["cnn"] >= 0.5)


def test_two_folders_of_one_person_count_once_where_cases_must_be_independent() -> None:
    whole = comparison()
    slices = whole.slices.assign(group=whole.slices["group"].replace("home/p3", "home/p1"))
    view = comparison_view(replace(whole, slices=slices), "patient")
    assert view.agreements(HALF)["svm", "cnn"].n == 10
    assert view.agreements_by_person(HALF)["svm", "cnn"].n == 9


def test_a_patient_is_shown_by_its_most_suspicious_slice() -> None:
    view = comparison_view(comparison(), "patient")
    shown = view.slice_of(3, "cnn")
    patient_slices = view.comparison.slices.query("patient == @shown.patient")
    assert shown["cnn"] == patient_slices["cnn"].max()
    assert shown["patient"] == view.cases.iloc[3]["patient"]


def test_a_rule_s_threshold_never_rests_on_the_case_s_own_fold() -> None:
    whole = comparison(patients=20)
    every_bleed = TargetSensitivity(1.0)
    before = rule_thresholds(whole, "slice", "cnn", every_bleed)
    in_fold = (whole.slices["fold"] == 2).to_numpy()
    absurd = whole.slices.assign(cnn=whole.slices["cnn"].where(~in_fold, np.float32(0.01)))
    after = rule_thresholds(replace(whole, slices=absurd), "slice", "cnn", every_bleed)
    assert np.array_equal(before[in_fold], after[in_fold])
    assert (after[~in_fold] == np.float32(0.01)).all()


def with_outside():
    home, away = facts("home", patients=20), facts("away").assign(fold=-1)
    table = pd.concat([home, away], ignore_index=True)
    return compared(
        [model("cnn", {"home": "out-of-fold", "away": "outside"})],
        {"home": "f00d", "away": "beef"},
        table,
        {"cnn": predictions(table, 3)},
        MADE,
    )


def test_an_outside_set_takes_the_threshold_of_all_patients_trained_on() -> None:
    both = with_outside()
    thresholds = rule_thresholds(both, "slice", "cnn", Youden())
    home = (both.slices["set"] == "home").to_numpy()
    labels, probabilities = both.slices["label"].to_numpy(), both.slices["cnn"].to_numpy()
    expected = chosen_threshold(labels[home], probabilities[home], Youden())
    assert set(thresholds[~home]) == {np.float32(expected)}


def test_an_outside_set_alone_gives_no_threshold() -> None:
    both = with_outside()
    away = both.only((both.slices["set"] == "away").to_numpy())
    with pytest.raises(EvaluationError, match="no patients to choose a threshold on"):
        rule_thresholds(away, "slice", "cnn", Youden())


def test_one_class_only_is_refused() -> None:
    whole = comparison()
    with pytest.raises(EvaluationError, match="labelled 'hemorrhage'"):
        comparison_view(whole.only((whole.slices["label"] == 1).to_numpy()), "slice")


def test_one_patient_of_each_class_gives_figures_without_intervals() -> None:
    scores = comparison_view(comparison(patients=2, folds=1), "slice").scores(HALF)["cnn"]
    assert not scores.auroc.has_interval


def test_parts_hold_every_case_once_and_shares_worked_by_hand() -> None:
    cases = facts(patients=2).assign(
        cnn=np.array([0.9, 0.1, 0.1, 0.1, 0.9, 0.2, 0.9, 0.9], np.float32), age="", sex="",
        subtype=["", "", "", "", "subdural", "subdural + epidural", "epidural", "subdural"],
    )  # fmt: skip
    by_position = {part.name: part for part in subsets(cases, {"cnn": 0.5}, "position")}
    assert {name: part.n for name, part in by_position.items()} == {
        "vertex": 2, "mid": 2, "base": 2, "not known": 2,
    }  # fmt: skip
    assert by_position["vertex"].accuracy["cnn"] == 0.5
    assert by_position["mid"].sensitivity["cnn"] == 0.0
    assert all(part.too_few for part in by_position.values())
    by_type = {part.name: part for part in subsets(cases, {"cnn": 0.5}, "subtype")}
    assert {name: (part.n, part.sensitivity["cnn"]) for name, part in by_type.items()} == {
        "subdural": (3, pytest.approx(2 / 3)),
        "epidural": (2, 0.5),
    }
    assert math.isnan(by_type["subdural"].specificity["cnn"])
    assert known_dimensions(cases) == ["position", "patient", "subtype"]
