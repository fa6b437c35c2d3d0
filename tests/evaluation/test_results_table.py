"""The results table and the leakage gap."""

from dataclasses import replace

import pandas as pd
import pytest

from hemodetect.evaluation import (
    PUBLISHED,
    Evaluated,
    EvaluationError,
    leakage_gap,
    leakage_gaps,
    results_table,
    scores,
)
from hemodetect.evaluation.table import duration
from hemodetect.models.families import FAMILY_NAMES


def evaluated(family: str, split: str, right: int, recipe: str = "paper") -> Evaluated:
    """A recipe that has `right` of its ten patients right, one slice each."""
    label = [number % 2 for number in range(10)]
    probability = [y if number < right else 1 - y for number, y in enumerate(label)]
    predictions = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in range(10)],
            "slice": "1.jpg",
            "label": label,
            "probability": probability,
        }
    )
    by_slice, by_patient = (scores(predictions, level=level) for level in ("slice", "patient"))
    return Evaluated(family, recipe, split, by_slice, by_patient, training_seconds=780)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_has_the_study_s_number_and_the_baseline_beside_ours():
    heading, _, by_slice, by_patient = cells(results_table([evaluated("cnn", "patient", 7)]))
    row = dict(zip(heading, by_slice, strict=True))
    assert row["Model"] == "CNN"
    assert row["Counted"] == "10 slices"
    assert row["Accuracy"].startswith("70.0 % (")
    assert row["Majority baseline"] == "50.0 %"
    assert row["Training"] == "13 min"
    assert row["Study: accuracy"] == "73.1 %"
    assert row["Study: training"] == "about 35 min"
    assert by_patient[heading.index("Counted")] == "10 patients"
    assert by_patient[heading.index("Study: accuracy")] == ""


def test_families_stand_in_the_usual_order_with_the_paper_split_first():
    mixed = [
        evaluated("rnn", "patient", 6),
        evaluated("svm", "patient", 6),
        evaluated("rnn", "paper", 6),
    ]
    lines = cells(results_table(mixed))[2::2]
    assert [(line[0], line[2]) for line in lines] == [
        ("SVM", "patient"),
        ("RNN", "paper"),
        ("RNN", "patient"),
    ]


def test_every_line_of_the_table_has_one_width_and_is_markdown():
    rows = [evaluated(family, "patient", 7) for family in FAMILY_NAMES]
    lines = results_table(rows).splitlines()
    assert len(lines) == 2 + 2 * len(FAMILY_NAMES)
    assert {len(line) for line in lines} == {len(lines[0])}
    assert set(lines[1]) == {"|", "-", " "}


def test_a_recipe_of_our_own_claims_no_number_of_the_study():
    assert "not in the study" in results_table([evaluated("cnn", "patient", 7, recipe="ours")])


def test_a_figure_without_an_interval_says_so():
    row = evaluated("svm", "patient", 7)
    bare = replace(row.slice_scores.auroc, low=float("nan"), high=float("nan"))
    without = replace(row, slice_scores=replace(row.slice_scores, auroc=bare))
    assert "(no interval)" in results_table([without])
    assert "nan" not in results_table([without])


def test_every_family_has_a_published_number():
    assert {family for family, recipe in PUBLISHED if recipe == "paper"} == set(FAMILY_NAMES)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [([], "nothing to tabulate"), (["transformer"], "No model family is named 'transformer'")],
)
def test_a_table_of_nothing_or_of_an_unknown_family_is_refused(rows, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        results_table([evaluated(family, "paper", 5) for family in rows])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3570, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_a_duration_reads_in_its_own_unit(seconds, text):
    assert duration(seconds) == text


def test_the_leakage_gap_is_the_paper_split_s_accuracy_less_the_patient_split_s():
    rows = [evaluated("svm", "paper", 10), evaluated("svm", "patient", 6)]
    (gap,) = leakage_gaps(rows)
    assert gap.accuracy == pytest.approx(0.4)
    assert gap.auroc == pytest.approx(1.0 - rows[1].slice_scores.auroc.value)
    assert "a leakage gap of 40.0 percentage points" in gap.sentence
    assert "50.0 % for the majority-class baseline" in gap.sentence


def test_a_paper_split_that_scores_lower_is_not_called_a_gap():
    (gap,) = leakage_gaps([evaluated("rnn", "paper", 5), evaluated("rnn", "patient", 6)])
    assert "no leakage gap (lower by 10.0 percentage points)" in gap.sentence


def test_a_recipe_under_one_split_only_has_no_gap():
    rows = [evaluated("svm", "paper", 10), evaluated("svm", "patient", 6, recipe="ours")]
    assert leakage_gaps(rows) == ()


def test_a_leakage_gap_by_patient_is_refused():
    row = evaluated("svm", "paper", 8)
    with pytest.raises(EvaluationError, match="by patient"):
        leakage_gap("svm", "paper", row.patient_scores, row.slice_scores)
