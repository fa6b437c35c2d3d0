"""The Compare page as a PDF: its content, and hostile names that must not break it."""

from __future__ import annotations

import base64
import dataclasses
import re
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from reportlab.graphics.shapes import String

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.evaluation import LeakageGap, Metric
from hemodetect.evaluation.comparison import ComparedModel, compared
from hemodetect.evaluation.comparison_view import ComparisonView, comparison_view
from hemodetect.evaluation.curves import roc_curve_with_band
from hemodetect.evaluation.levels import Level
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.reports.comparison_drawings import confusion_drawing, roc_drawing
from hemodetect.reports.comparison_pdf import comparison_pdf
from hemodetect.reports.pdf import NAME_LENGTH, document, paragraph, printable

FAMILIES = tuple(FAMILY_NAMES)
FINGERPRINT = "0123456789abcdef"
MARKUP = "<b>&<para><img src='file:///etc/passwd'/>"
GAP = LeakageGap(
    family="svm",
    recipe="paper",
    paper_accuracy=Metric(0.998, 0.99, 1.0),
    patient_accuracy=Metric(0.61, 0.5, 0.7),
    paper_auroc=Metric(1.0, 0.99, 1.0),
    patient_auroc=Metric(0.62),
    majority_baseline=0.604,
)


def view_of(
    families: Sequence[str] = FAMILIES,
    level: Level = "slice",
    patients: int = 12,
    name: str = "near-east",
    recipes: Sequence[str] = ("paper",),
) -> ComparisonView:
    """Six slices a patient, half of the patients bleeding, probabilities at random."""
    random = np.random.default_rng(5)
    n = 6 * patients
    patient = np.repeat([f"P{number}" for number in range(patients)], 6)
    facts = pd.DataFrame(
        {
            "set": name,
            "patient": patient,
            "slice": [f"{number}.png" for number in range(n)],
            "label": np.repeat(np.arange(patients) % 2, 6),
            "group": patient,
            "fold": 0,
            "position": "vertex",
        }
    )
    models = [
        ComparedModel(
            key=family if len(recipes) == 1 else f"{family} {recipe}",
            family=family,
            recipe=recipe,
            version=f"{recipe}-2026-11-24-{number:06x}",
            threshold=0.5,
            threshold_reason="as published",
            origins={name: "out-of-fold"},
        )
        for recipe in recipes
        for number, family in enumerate(families, start=0xA0)
    ]
    predictions = {
        model.key: facts.assign(probability=random.random(n).astype(np.float32)) for model in models
    }
    comparison = compared(models, {name: FINGERPRINT}, facts, predictions, "2026-11-27")
    return comparison_view(comparison, level)


def pdf_of(
    view: ComparisonView,
    *,
    gaps: Sequence[LeakageGap] = (GAP,),
    sentences: Sequence[str] = ("Alike.",),
) -> bytes:
    thresholds = dict.fromkeys(view.judged, 0.5)
    return comparison_pdf(
        view, thresholds, view.scores(thresholds), curves_of(view), gaps, sentences
    )


def curves_of(view: ComparisonView):
    return {
        key: roc_curve_with_band(cases.labels, cases.probabilities, cases.codes, cases.drawn)
        for key, cases in view.judged.items()
    }


def streams(pdf: bytes) -> list[str]:
    """Every stream that draws, unpacked; one a page, and one for each form."""
    packed = re.findall(rb"/ASCII85Decode /FlateDecode.*?stream\n(.*?)endstream", pdf, re.DOTALL)
    plain = [zlib.decompress(base64.a85decode(b"<~" + p.strip(), adobe=True)) for p in packed]
    return [p.decode("latin-1") for p in plain if b"Tj" in p or b" l" in p]


def words(pdf: bytes) -> str:
    """All text in the order it was drawn, words separated by one space; ASCII text only."""
    drawn = re.findall(r"\(((?:\\.|[^\\)])*)\) Tj", " ".join(streams(pdf)))
    text = re.sub(r"\\([()\\])", r"\1", " ".join(drawn))
    return " ".join(text.split())


def page_count(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


def test_five_models_by_slice_make_a_short_pdf():
    pdf = pdf_of(view_of())
    assert pdf.startswith(b"%PDF-")
    assert page_count(pdf) in (2, 3)


@pytest.mark.parametrize("level", ["slice", "patient"])
def test_the_same_comparison_gives_the_same_bytes(level: Level):
    first = pdf_of(view_of(level=level))
    pdf_of(view_of(families=("rnn",)))
    assert pdf_of(view_of(level=level)) == first


def test_pdfs_made_at_once_by_several_readers_do_not_mix():
    views = [view_of(families=FAMILIES[: 1 + n % 5], name=f"set {n}") for n in range(8)]
    alone = [pdf_of(view) for view in views]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(pdf_of, views)) == alone


def test_every_page_is_stamped_with_bundles_data_date_use_and_its_number():
    view = view_of()
    pdf = pdf_of(view)
    pages = [" ".join(re.findall(r"\((.*?)\) Tj", s)) for s in streams(pdf) if "Page " in s]
    assert len(pages) == page_count(pdf)
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of" in page
        assert "Made 2026-11-27" in page
        assert f"Data: near-east {FINGERPRINT}" in page
        assert RESEARCH_USE_ONLY in page
        for model in view.comparison.models:
            assert model.version in page


def test_the_number_of_pages_is_the_number_there_are():
    story = [paragraph("A line.") for _ in range(200)]
    pdf = document(story, "Long", ["Stamp"])
    (total,) = [s for s in streams(pdf) if "Page " not in s]
    assert f"({page_count(pdf)}) Tj" in total
    assert page_count(pdf) > 2


@pytest.mark.parametrize("families", [("cnn",), ("cnn", "rnn"), FAMILIES])
def test_every_model_is_listed_with_its_figures_bundle_and_counts(families: tuple[str, ...]):
    view = view_of(families)
    text = words(pdf_of(view))
    scores = view.scores(dict.fromkeys(view.judged, 0.5))
    for model in view.comparison.models:
        model_scores = scores[model.key]
        assert model.name in text
        assert model.version in text
        assert f"{100 * model_scores.accuracy.value:.1f} %" in text
        assert f"AUROC {model_scores.auroc.value:.2f} ({model_scores.auroc.low:.2f}-" in text


def test_by_patient_it_counts_patient_folders():
    text = words(pdf_of(view_of(level="patient")))
    assert "Comparison of 5 models, by patient" in text
    assert "12 patient folders, 6 labelled hemorrhage, of 12 patients" in text


def test_one_model_has_neither_differences_nor_a_leakage_gap():
    text = words(pdf_of(view_of(("cnn",)), gaps=(), sentences=()))
    assert "Comparison of 1 model, by slice" in text
    assert "Differences" not in text
    assert "leakage gap" not in text


def test_two_patients_give_figures_that_say_they_have_no_interval():
    view = view_of(("svm", "cnn"), patients=2)
    assert not view.scores(dict.fromkeys(view.judged, 0.5))["svm"].auroc.has_interval
    text = words(pdf_of(view))
    assert "(no interval)" in text
    assert "nan" not in text.lower()


def test_thresholds_by_case_are_printed_as_a_range():
    view = view_of(("svm", "cnn"))
    thresholds = {"svm": 0.375, "cnn": np.linspace(0.2, 0.6, len(view.cases))}
    text = words(comparison_pdf(view, thresholds, view.scores(thresholds), curves_of(view), (), ()))
    assert "37.5 %" in text
    assert "20.0-60.0 % by case" in text


def test_differences_and_the_leakage_gap_are_printed():
    text = words(pdf_of(view_of(), sentences=("The data do not tell A and B apart.",)))
    assert "The data do not tell A and B apart." in text
    assert "10 pairs are compared" in text
    assert "99.8 %" in text
    assert "38.8 points" in text
    assert "59.5 %" in text  # as published


def test_markup_in_a_name_is_printed_as_text():
    view = view_of(("svm",), name=MARKUP)
    pdf = pdf_of(view, sentences=(MARKUP,))
    # Drawn in pieces; `words` puts spaces between them.
    text = words(pdf).replace(" ", "")
    assert text.count("<b>&<para><imgsrc=") >= 3  # table, differences, stamp
    assert b"/Subtype /Image" not in pdf


@pytest.mark.parametrize(
    "name",
    [
        "x" * 100_000,
        "w " * 50_000,
        "脑出血 мозг 🧠",
        "\x00\x07\u202egnp.exe",
        "&#0; &nbsp; <![CDATA[ ]]> <br/>" * 40,
        "\n" * 5000 + "late",
        "%s {0} \\ ) Tj ET (",
    ],
)
def test_no_name_of_a_set_breaks_the_document(name: str):
    pdf = pdf_of(view_of(("svm", "cnn"), name=name))
    assert page_count(pdf) <= 3
    assert words(pdf).count(FINGERPRINT) == page_count(pdf) + 1  # every stamp, and the table


def test_a_hundred_sets_are_counted_where_they_are_not_listed():
    view = view_of(("svm",))
    many = {"near-east": FINGERPRINT} | {f"set {n}": FINGERPRINT for n in range(99)}
    comparison = dataclasses.replace(view.comparison, fingerprints=many)
    text = words(pdf_of(dataclasses.replace(view, comparison=comparison)))
    assert "And 80 more sets." in text


def test_more_models_than_a_chart_can_hold_are_all_in_the_tables():
    view = view_of(recipes=("paper", "second"))
    text = words(pdf_of(view))
    assert "The chart shows the first 8 of 10 models." in text
    for model in view.comparison.models:
        assert model.version in text


def test_a_model_without_a_curve_is_left_out_of_the_chart_only():
    view = view_of(("svm", "cnn"))
    thresholds = dict.fromkeys(view.judged, 0.5)
    scores, curves = view.scores(thresholds), curves_of(view)
    text = words(comparison_pdf(view, thresholds, scores, {"svm": curves["svm"]}, (), ()))
    assert text.count("AUROC 0.") == 1
    assert "ROC curves" not in words(comparison_pdf(view, thresholds, scores, {}, (), ()))


def test_a_matrix_shows_counts_percentages_of_the_row_and_what_a_cell_is():
    view = view_of(("svm",))
    scores = view.scores({"svm": 0.5})
    drawing = confusion_drawing([("SVM", "paper", scores["svm"].confusion)])
    texts = [shape.text for shape in drawing.contents if isinstance(shape, String)]
    counts = scores["svm"].confusion
    assert texts[texts.index("missed") - 2 : texts.index("missed")] == [
        f"{counts.fn}", f"{100 * counts.fn / (counts.fn + counts.tp):.0f} %",
    ]  # fmt: skip
    assert texts[texts.index("false alarm") - 2 : texts.index("false alarm")] == [
        f"{counts.fp}", f"{100 * counts.fp / (counts.fp + counts.tn):.0f} %",
    ]  # fmt: skip
    assert texts.count("right") == 2


def test_no_two_curves_have_the_same_dashes():
    view = view_of()
    drawing = roc_drawing(
        view.comparison.models, curves_of(view), view.scores(dict.fromkeys(view.judged, 0.5))
    )
    dashes = [
        str(shape.strokeDashArray)
        for shape in drawing.contents
        if type(shape).__name__ == "PolyLine"
    ]
    assert len(dashes) == len(set(dashes)) == 5


def test_characters_that_the_font_lacks_become_question_marks():
    assert printable("Lefkoşa Doğu\n\tß") == "Lefkoşa Doğu ß"
    assert printable("e\u0301") == "é"
    assert printable("a中\u202eb\x00\ud800") == "a??b??"


def test_long_names_are_cut_and_show_it():
    name = printable("y" * 500, NAME_LENGTH)
    assert len(name) == NAME_LENGTH
    assert name.endswith("y…")
