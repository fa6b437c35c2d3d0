"""Models are compared on the same cases only, and a comparison's file is checked when it is read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from comparisons import MADE, comparison, facts, model, predictions

from hemodetect.evaluation import EvaluationError, scores
from hemodetect.evaluation.comparison import ComparedModel, compared, judged_models
from hemodetect.evaluation.comparison_file import read_comparison, write_comparison


def joined(change_predictions=lambda p: p, change_facts=lambda f: f):
    table = facts()
    return compared(
        [model("cnn", {"home": "out-of-fold"})],
        {"home": "f00d"},
        change_facts(table),
        {"cnn": change_predictions(predictions(table, 0))},
        MADE,
    )


def test_the_order_in_which_a_model_predicted_does_not_matter() -> None:
    straight, shuffled = joined(), joined(lambda p: p.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(straight.slices, shuffled.slices)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.assign(slice=p["slice"].replace("p0/0.png", "p0/9.png")), "p0/9.png"),
        (lambda p: p.iloc[2:], "lacks predictions of 2 of 40 slices, p0/0.png"),
        (lambda p: p.assign(label=1 - p["label"]), "is labelled 1, but the set has another label"),
        (lambda p: p.assign(probability=np.nan), "CNN: Slice p0/0.png"),
        (lambda p: pd.concat([p, p.iloc[[3]]]), "is predicted twice"),
    ],
)
def test_predictions_of_other_cases_are_refused_by_model_and_slice(change, sentence) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        joined(change)


def test_no_model_is_refused() -> None:
    with pytest.raises(EvaluationError, match="nothing to compare"):
        compared([], {}, facts(), {}, MADE)


def test_an_empty_filter_is_refused() -> None:
    whole = comparison()
    with pytest.raises(EvaluationError, match="No case is left"):
        whole.only(np.zeros(len(whole.slices), bool))


def test_a_patient_is_the_mean_of_its_slices_and_keeps_only_what_they_share() -> None:
    by_patient = comparison().cases("patient")
    slices = comparison().slices
    assert len(by_patient) == 10
    first = by_patient.iloc[0]
    patient_slices = slices[slices["patient"] == first["patient"]]
    assert first["cnn"] == pytest.approx(patient_slices["cnn"].mean(), abs=1e-6)
    assert first["position"] == ""
    assert first["slice"] == ""
    assert first["fold"] == patient_slices["fold"].iloc[0]


@pytest.mark.parametrize("level", ["slice", "patient"])
def test_figures_are_those_of_the_model_s_own_predictions(level) -> None:
    whole = comparison()
    ours = judged_models(whole, level, resamples=300)["cnn"].at(0.4)
    table = whole.slices.rename(columns={"cnn": "probability"})
    alone = scores(table, level=level, threshold=0.4, resamples=300)
    assert ours == alone


def test_all_models_are_resampled_alike() -> None:
    judged = judged_models(comparison(), "slice", resamples=50)
    assert np.array_equal(judged["svm"].drawn, judged["cnn"].drawn)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    whole = comparison()
    write_comparison(whole, tmp_path / "new" / "c.parquet")
    again = read_comparison(tmp_path / "new" / "c.parquet", "c.parquet")
    pd.testing.assert_frame_equal(again.slices, whole.slices)
    assert (again.models, again.fingerprints, again.date) == (
        whole.models,
        whole.fingerprints,
        whole.date,
    )
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["c.parquet"]


def altered(change, change_slices=lambda slices: slices) -> io.BytesIO:
    """A comparison's file whose description or slices were changed."""
    buffer = io.BytesIO()
    whole = comparison()
    names = {m.key: f"probability_{m.key}" for m in whole.models}
    about = {
        "format": 1,
        "models": [vars(m) for m in whole.models],
        "fingerprints": whole.fingerprints,
        "made": whole.date,
    }
    change(about)
    table = pa.Table.from_pandas(
        change_slices(whole.slices.rename(columns=names)), preserve_index=False
    )
    pq.write_table(
        table.replace_schema_metadata({b"hemodetect": json.dumps(about).encode()}), buffer
    )
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a.update(format=9), "format 9"),
        (lambda a: a["models"][0].update(family="oracle"), "description of model 'svm' is invalid"),
        (lambda a: a["models"][0].update(key="label"), "description of model 'label' is invalid"),
        (lambda a: a["models"][0].update(recipe="../x"), "description of model"),
        (lambda a: a["models"][0].update(threshold=7), "description of model"),
        (lambda a: a["models"][0].update(threshold="x"), "description of model"),
        (lambda a: a["models"][0].update(version=["x"]), "description of model"),
        (lambda a: a["models"][0].pop("version"), "not a comparison"),
        (lambda a: a.update(fingerprints={}), "does not describe the set 'home'"),
        (lambda a: a.update(models=[]), "nothing to compare"),
        (lambda a: a["models"][0].update(origins={}), "does not describe the set 'home'"),
        (
            lambda a: a["models"][0].update(origins={"home": "x"}),
            "does not describe the set 'home'",
        ),
        (lambda a: a["models"][0].update(origins=[]), "description of model"),
    ],
)
def test_a_file_that_describes_itself_wrongly_is_refused(change, sentence) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        read_comparison(altered(change), "c.parquet")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.assign(fold=s["fold"].where(s["fold"] > 0)),
        lambda s: s.assign(patient=range(len(s))),
        lambda s: s.assign(set=None),
        lambda s: s.assign(slice=s["slice"] + "x" * 400),
        lambda s: s.assign(probability_cnn="high"),
        lambda s: s.drop(columns="probability_svm"),
    ],
)
def test_a_file_with_other_columns_than_it_must_have_is_refused(change) -> None:
    with pytest.raises(EvaluationError, match=r"not a comparison|expected numbers"):
        read_comparison(altered(lambda about: None, change), "c.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"patient,slice\n"])
def test_what_is_no_parquet_file_is_refused_by_name(content) -> None:
    with pytest.raises(EvaluationError, match="mine: not a comparison"):
        read_comparison(io.BytesIO(content), "mine")


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(EvaluationError, match="not a comparison"):
        read_comparison(tmp_path / "a.parquet", "a")


def test_a_model_s_own_probability_for_the_patient_stands_and_survives_the_file(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame(
        {"set": "s", "patient": ["a", "a", "b", "b"], "slice": list("1234"), "group": list("aabb"),
         "label": [0, 0, 1, 1], "fold": 0}
    )  # fmt: skip
    predicted = table.assign(
        probability=[0.2, 0.4, 0.6, 0.8], patient_probability=[0.1, 0.1, 0.9, 0.9]
    )
    models = [
        ComparedModel(f, f, "study", "v", 0.5, "as published", {"s": "out-of-fold"})
        for f in ("svm", "cnn")
    ]
    predictions = {"svm": predicted, "cnn": predicted.drop(columns="patient_probability")}
    written = compared(models, {"s": "0"}, table, predictions, "2026-11-24")
    write_comparison(written, tmp_path / "c.parquet")
    for compared_models in (written, read_comparison(tmp_path / "c.parquet", "c")):
        cases = compared_models.cases("patient")
        np.testing.assert_allclose(cases["svm"], [0.1, 0.9], rtol=1e-6)
        np.testing.assert_allclose(cases["cnn"], [0.3, 0.7], rtol=1e-6)
    wrong = predicted.assign(patient_probability=[0.1, 0.2, 0.9, 0.9])
    with pytest.raises(EvaluationError, match="one number"):
        compared(models, {"s": "0"}, table, {**predictions, "svm": wrong}, "2026-11-24")
