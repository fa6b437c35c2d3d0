"""A review session's results as sentences, CSV and PDF."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from reportlab.platypus import Flowable, KeepTogether, Spacer

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.evaluation.metrics import Metric
from hemodetect.evaluation.table import area, percent
from hemodetect.reports.comparison_drawings import PER_ROW, confusion_drawing
from hemodetect.reports.pdf import (
    CAPTION,
    HEADING,
    TITLE,
    bullets,
    document,
    paragraph,
    printable,
    table,
)
from hemodetect.reports.predictions import no_formula
from hemodetect.reviews.model_reads import ModelRead
from hemodetect.reviews.results import STAGE_WORDS, Change, Rated, Results
from hemodetect.reviews.session import Mode, Read, ReviewSession, Skip
from hemodetect.reviews.sources import as_json

MODES: dict[Mode, str] = {
    "blind-first": "Readers first, then the models, then the reader again",
    "models-at-once": "Models' answers on the screen from the start",
    "crossed": "Half with the models, half without, the next reader the other way round",
}
UNSURE_COUNTS = (
    "Not sure counts as a call of hemorrhage, because such a study is looked at again; a tie of readers"
    " is not sure. A model that cannot tell counts by its operating point."
)
_COLUMNS = (
    "study", "source", "truth", "by", "kind", "stage", "call", "confidence", "slices", "types",
    "probability", "threshold", "cannot_tell", "trained_on", "seconds", "at", "note", "shown", "mark",
)  # fmt: skip


def reads_csv(
    session: ReviewSession,
    reads: Sequence[Read],
    models: Sequence[ModelRead],
    skips: Sequence[Skip] = (),
) -> str:
    """One row per read of a person, then per skipped study, then per answer of a model."""
    text = io.StringIO()
    text.write(
        f"# {' '.join(session.title.split())} ({session.id}), {session.mode}, seed {session.seed}\n"
    )
    text.write(f"# {RESEARCH_USE_ONLY}\n")
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    study_columns = {
        study.number: {
            "study": study.number,
            "source": json.dumps(as_json(study.source)),
            "truth": study.truth or "",
        }
        for study in session.studies
    }
    for read in reads:
        writer.writerow(
            study_columns[read.study]
            | {
                "by": no_formula(read.reader),
                "kind": "reader",
                "stage": read.stage,
                "call": read.answer.call,
                "confidence": read.answer.confidence,
                "slices": " ".join(map(str, read.answer.slices)),
                "types": " ".join(read.answer.types),
                "seconds": f"{read.seconds:.1f}",
                "at": read.at.isoformat(timespec="seconds"),
                "note": no_formula(read.answer.note),
                "shown": " ".join(read.bundles),
                "mark": read.answer.mark.sentence if read.answer.mark else "",
            }
        )
    for skip in skips:
        writer.writerow(
            study_columns[skip.study]
            | {
                "by": no_formula(skip.reader),
                "kind": "reader",
                "stage": "skipped",
                "at": skip.at.isoformat(timespec="seconds"),
                "note": no_formula(skip.reason),
            }
        )
    for model in models:
        writer.writerow(
            study_columns[model.study]
            | {
                "by": model.version,
                "kind": model.family,
                "call": "hemorrhage" if model.call == "hemorrhage" else "none",
                "probability": f"{model.probability:.4f}",
                "threshold": f"{model.threshold:.4f}",
                "cannot_tell": str(model.undecided).lower(),
                "trained_on": "" if model.trained_on is None else str(model.trained_on).lower(),
            }
        )
    return text.getvalue()


def figure_rows(results: Results) -> list[dict[str, str]]:
    """One row for every reader, majority and model; the keys are the column heads."""
    return [
        {
            "Who": rated.rater.name,
            "Studies": str(rated.n),
            "Not sure": str(rated.unsure),
            "Accuracy": percent(rated.scores.accuracy) if rated.scores else "",
            "Sensitivity": percent(rated.scores.sensitivity) if rated.scores else "",
            "Specificity": percent(rated.scores.specificity) if rated.scores else "",
            "AUROC": area(rated.scores.auroc) if rated.scores else "",
            "Time per study": ""
            if rated.median_seconds is None
            else f"{rated.median_seconds:.0f} s",
        }
        for rated in results.rated
    ]


def training_sentence(results: Results) -> str:
    """Names the models that were, or may have been, trained on these patients; may be empty."""
    models_by_counts: dict[tuple[int, int, int], list[str]] = {}
    for rated in results.rated:
        if rated.trained_on or rated.unknown:
            models_by_counts.setdefault((rated.trained_on, rated.unknown, rated.n), []).append(
                rated.rater.who
            )
    if not models_by_counts:
        return ""
    models_sentence = "; ".join(
        f"{', '.join(names)} {_trained(trained_on, unknown, n, 'was' if len(names) == 1 else 'were')}"
        for (trained_on, unknown, n), names in models_by_counts.items()
    )
    return (
        f"{models_sentence}. The answers of a model for patients it was trained on do not test it, nor"
        " do the calls of readers who saw these answers."
    )


def _trained(trained_on: int, unknown: int, n: int, was: str) -> str:
    sentence = f"{was} trained on the patients of {trained_on} of {n} studies"
    if not trained_on:
        return f"may have been trained on the patients of {unknown} of {n} studies"
    return f"{sentence} and may have been on those of {unknown} more" if unknown else sentence


def sentences(results: Results) -> list[str]:
    """Sentences on the baseline, agreement, changed calls and skipped studies."""
    lines = []
    if results.baseline is not None:
        lines.append(f"Accuracy of the majority-class baseline: {100 * results.baseline:.1f} %.")
    for (first_rater, second_rater, stage), kappa in results.kappas.items():
        lines.append(
            f"{first_rater} and {second_rater}, {STAGE_WORDS[stage]}: Cohen's kappa {_kappa(kappa)}."
        )
    for stage, kappa in results.fleiss.items():
        lines.append(f"All readers, {STAGE_WORDS[stage]}: Fleiss' kappa {_kappa(kappa)}.")
    lines += [_change(change) for change in results.changes]
    lines += [skip_sentence(skip) for skip in results.skips]
    families = Counter(rated.rater.family for rated in results.rated if rated.rater.family)
    if any(count > 1 for count in families.values()):
        lines.append(
            "The models in use changed during the session: each version is judged only by the studies"
            " that it was shown for."
        )
    return lines


def skip_sentence(skip: Skip) -> str:
    """Names the reader and the skipped study."""
    return f"{skip.reader} could not open study {skip.study} and skipped it."


def _kappa(kappa: Metric) -> str:
    if math.isnan(kappa.value):
        return "is not known, because only one kind of call was used"
    if not kappa.has_interval:
        return f"{kappa.value:.2f} (too few studies for an interval)"
    return f"{kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f})"


def _change(change: Change) -> str:
    sentence = (
        f"{change.reader} changed {change.changed} of {change.n} calls after seeing the models"
        if change.changed
        else f"{change.reader} changed none of {change.n} calls after seeing the models"
    )
    if change.test is None or not change.changed:
        return sentence + "."
    return (
        f"{sentence}: {change.to_right} became right, {change.to_wrong} became wrong (exact McNemar"
        f" test, p = {change.test.p_value:.2g})."
    )


def review_pdf(results: Results, models: Sequence[ModelRead], when: datetime) -> bytes:
    """The results as a PDF.

    Args:
        results: of everything read so far.
        models: answers of the models that were shown; the stamp lists their versions.
        when: time of the report, UTC.
    """
    session = results.session
    story: list[Flowable] = [
        paragraph(printable(session.title, 90), style=TITLE),
        paragraph(
            f"Review session {session.id}: {len(session.studies)} studies,"
            f" readers {', '.join(session.readers)}."
            f" {MODES[session.mode]}. {results.done:.0%} of the reads are done.",
            limit=2000,
        ),
    ]
    rows = [tuple(row.values()) for row in figure_rows(results)]
    if rows:
        story.append(paragraph("Readers and models", style=HEADING))
        story.append(table(list(figure_rows(results)[0]), rows, (25, 10, 8, 20, 20, 20, 17, 10)))
        story.append(paragraph(UNSURE_COUNTS, style=CAPTION))
        if training := training_sentence(results):
            story.append(paragraph(training, limit=2000))
    story += _matrices([rated for rated in results.rated if rated.confusion])
    if agreement_lines := sentences(results):
        story.append(paragraph("Agreement, and what the models changed", style=HEADING))
        story += bullets(agreement_lines)
        story.append(
            paragraph(
                "95 % intervals from resampling studies; they are wide where there are few studies.",
                style=CAPTION,
            )
        )
    stamp = [
        f"Made {when:%Y-%m-%d %H:%M} UTC; session {session.id} created"
        f" {session.created:%Y-%m-%d} by {session.created_by}, seed {session.seed}",
        "Bundles: " + (", ".join(sorted({model.version for model in models})) or "none shown yet"),
        RESEARCH_USE_ONLY,
    ]
    return document(story, f"Review: {session.title}", stamp)


def _matrices(rated: Sequence[Rated]) -> list[Flowable]:
    panels = []
    for rater_result in rated:
        if rater_result.confusion:
            stage = STAGE_WORDS[rater_result.rater.stage] if rater_result.rater.stage else ""
            panels.append((rater_result.rater.who, stage, rater_result.confusion))
    if not panels:
        return []
    drawings: list[Flowable] = [
        confusion_drawing(panels[start : start + PER_ROW])
        for start in range(0, len(panels), PER_ROW)
    ]
    first = KeepTogether([paragraph("Calls against the known answer", style=HEADING), drawings[0]])
    return [first, *(part for more in drawings[1:] for part in (Spacer(0, 4), more))]
