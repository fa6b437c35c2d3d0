"""A study's predictions as JSON, CSV and terminal text."""

from __future__ import annotations

import csv
import io
from typing import Any

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction


def prediction_json(prediction: StudyPrediction) -> dict[str, Any]:
    """One study as the object of ``hemodetect predict --json`` (design, section 5).

    Slice indices count from 0 in the order of the series.
    """
    study, families = prediction.study, prediction.families
    return {
        "study": study.id,
        "slices": [
            {
                "file": image.source,
                "index": index,
                "probability": {
                    family: _rounded(found.probabilities[index])
                    for family, found in families.items()
                },
            }
            for index, image in enumerate(study.slices)
        ],
        "patient": {
            family: {
                "probability": _rounded(found.patient),
                "call": found.call,
                "threshold": found.threshold,
                "cannot_tell": found.undecided,
                "top_slices": list(found.top_slices),
            }
            for family, found in families.items()
        },
        "refused": [{"file": r.file, "reason": r.reason} for r in study.refused],
    }


def prediction_csv(prediction: StudyPrediction) -> str:
    """A row a slice: study, slice (from 1), file, and each model's probability.

    A file name that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    families = prediction.families
    text.write(f"# {RESEARCH_USE_ONLY}\n")
    writer.writerow(["study", "slice", "file", *families])
    for index, image in enumerate(prediction.study.slices):
        probabilities = (f"{found.probabilities[index]:.4f}" for found in families.values())
        writer.writerow([prediction.study.id, index + 1, no_formula(image.source), *probabilities])
    return text.getvalue()


def prediction_text(prediction: StudyPrediction, name: str) -> str:
    """A few lines for a terminal."""
    study = prediction.study
    lines = [f"{name} ({study.id}): {study.series[study.chosen].description}"]
    for family, found in prediction.families.items():
        top = ", ".join(str(i + 1) for i in found.top_slices)
        lines.append(
            f"  {FAMILY_NAMES[family]:<20} {_call(found):<14} {found.patient:6.1%}"
            f"  (threshold {found.threshold:.0%}; {found.suspicious} of {len(study.slices)}"
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


def _call(found: FamilyPrediction) -> str:
    return "cannot tell" if found.undecided else found.call


def no_formula(text: str) -> str:
    """`text`, with an apostrophe before what a spreadsheet would take for a formula."""
    return "'" + text if text[:1] in "=+-@\t\r" else text
