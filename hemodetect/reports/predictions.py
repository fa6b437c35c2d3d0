"""A study's predictions as JSON, CSV and terminal text."""

from __future__ import annotations

import csv
import io
from typing import Any

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.words import series_sentences, trained_on_sentence


def prediction_json(prediction: StudyPrediction) -> dict[str, Any]:
    """One study as the object of ``hemodetect predict --json`` (design, section 5).

    Slice indices count from 0 in the order of the series.
    """
    study, families = prediction.study, prediction.families
    return {
        "study": study.id,
        "stopped": prediction.stopped,
        "cautions": list(prediction.cautions),
        "series": [
            {
                "description": series.description,
                "chosen": number == study.chosen,
                "set_aside": series.set_aside,
            }
            for number, series in enumerate(study.series)
        ],
        "slices": [
            {
                "file": image.source,
                "index": index,
                "probability": {
                    family: _rounded(family_prediction.probabilities[index])
                    for family, family_prediction in families.items()
                },
            }
            for index, image in enumerate(study.slices)
        ],
        "patient": {
            family: {
                "probability": _rounded(family_prediction.patient),
                "call": family_prediction.call,
                "threshold": family_prediction.threshold,
                "slice_threshold": family_prediction.slice_limit,
                "cannot_tell": family_prediction.undecided,
                "top_slices": list(family_prediction.top_slices),
                "out_of_fold": family_prediction.out_of_fold,
            }
            for family, family_prediction in families.items()
        },
        "refused": [{"file": r.file, "reason": r.reason} for r in study.refused],
    }


def prediction_csv(prediction: StudyPrediction) -> str:
    """One row per slice: study, slice (from 1), and each model's probability.

    Files are not named: a hospital may have named them after the patient.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    families = prediction.families
    text.write(f"# {RESEARCH_USE_ONLY}\n")
    writer.writerow(["study", "slice", *families])
    for index in range(len(prediction.study.slices)):
        probabilities = (
            f"{family_prediction.probabilities[index]:.4f}"
            for family_prediction in families.values()
        )
        writer.writerow([prediction.study.id, index + 1, *probabilities])
    return text.getvalue()


def prediction_text(prediction: StudyPrediction, name: str) -> str:
    """A few lines for a terminal."""
    study = prediction.study
    first, *rest = series_sentences(study)
    lines = [f"{name} ({study.id}). {first}", *(f"  {sentence}" for sentence in rest)]
    lines += [f"  Caution: {caution}" for caution in prediction.cautions]
    if sentence := trained_on_sentence(prediction, {}):
        lines.append(f"  {sentence}")
    if prediction.stopped:
        lines.append(f"  Stopped, no model was run: {prediction.stopped}")
    for family, family_prediction in prediction.families.items():
        top = ", ".join(str(i + 1) for i in family_prediction.top_slices)
        lines.append(
            f"  {FAMILY_NAMES[family]:<20} {_call(family_prediction):<14}"
            f" {family_prediction.patient:6.1%}"
            f"  (threshold {family_prediction.threshold:.0%};"
            f" {family_prediction.suspicious} of {len(study.slices)}"
            f" slices suspicious; highest: {top})"
        )
    if study.refused:
        files = "1 file" if len(study.refused) == 1 else f"{len(study.refused)} files"
        lines.append(f"  {files} refused:")
        lines += [f"    {r.file}: {r.reason}" for r in study.refused]
    lines.append(f"  {RESEARCH_USE_ONLY}")
    return "\n".join(lines)


def _rounded(probability: float) -> float:
    return round(float(probability), 6)


def _call(family_prediction: FamilyPrediction) -> str:
    return "cannot tell" if family_prediction.undecided else family_prediction.call


def no_formula(text: str) -> str:
    """`text`, with a leading apostrophe if a spreadsheet would read it as a formula."""
    return "'" + text if text[:1] in "=+-@\t\r" else text
