"""A review session's results in words, as CSV and as PDF."""

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
    "models-at-once": "Models beside the study from the start",
    "crossed": "Half with the models, half without, the next reader the other way round",
}
UNSURE_COUNTS = (
    "Not sure counts as a call of hemorrhage, since such a study is looked at again; a tie of readers"
    " is not sure. A model that cannot tell counts by its operating point."
)
_COLUMNS = (
    "study", "source", "truth", "by", "kind", "stage", "call", "confidence", "slices", "types",
    "probability", "threshold", "cannot_tell", "trained_on", "seconds", "at", "note", "shown",
)  # fmt: skip


def reads_csv(
    of: ReviewSession,
    reads: Sequence[Read],
    models: Sequence[ModelRead],
    skips: Sequence[Skip] = (),
) -> str:
    """A row a read of a person, a row a study that one had to go past, then a row a read of a model."""
    text = io.StringIO()
    text.write(f"# {' '.join(of.title.split())} ({of.id}), {of.mode}, seed {of.seed}\n")
    text.write(f"# {RESEARCH_USE_ONLY}\n")
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    about = {
        study.number: {
            "study": study.number,
            "source": json.dumps(as_json(study.source)),
            "truth": study.truth or "",
        }
        for study in of.studies
    }
    for read in reads:
        writer.writerow(
            about[read.study]
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
            }
        )
    for skip in skips:
        writer.writerow(
            about[skip.study]
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
            about[model.study]
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


def figure_rows(found: Results) -> list[dict[str, str]]:
    """A row for every reader, majority and model, as a table for people."""
    return [
        {
            "Who": one.rater.name,
            "Studies": str(one.n),
            "Not sure": str(one.unsure),
            "Right": percent(one.scores.accuracy) if one.scores else "",
            "Sensitivity": percent(one.scores.sensitivity) if one.scores else "",
            "Specificity": percent(one.scores.specificity) if one.scores else "",
            "AUROC": area(one.scores.auroc) if one.scores else "",
            "Time a study": "" if one.median_seconds is None else f"{one.median_seconds:.0f} s",
        }
        for one in found.rated
    ]


def training_sentence(found: Results) -> str:
    """Which models were trained on the patients of these studies, or may have been; else empty."""
    seen: dict[tuple[int, int, int], list[str]] = {}
    for one in found.rated:
        if one.trained_on or one.unknown:
            seen.setdefault((one.trained_on, one.unknown, one.n), []).append(one.rater.who)
    if not seen:
        return ""
    told = "; ".join(
        f"{', '.join(who)} {_trained(trained_on, unknown, n, 'was' if len(who) == 1 else 'were')}"
        for (trained_on, unknown, n), who in seen.items()
    )
    return (
        f"{told}. What a model says of a patient it was trained on is no test of it, nor is what"
        " readers called with it in view."
    )


def _trained(trained_on: int, unknown: int, n: int, was: str) -> str:
    sure = f"{was} trained on the patients of {trained_on} of {n} studies"
    if not trained_on:
        return f"may have been trained on the patients of {unknown} of {n} studies"
    return f"{sure} and may have been on those of {unknown} more" if unknown else sure


def sentences(found: Results) -> list[str]:
    """Agreement and change of mind, in words."""
    told = []
    if found.baseline is not None:
        told.append(f"Always giving the commoner answer is right in {100 * found.baseline:.1f} %.")
    for (one, other, stage), kappa in found.kappas.items():
        told.append(f"{one} and {other}, {STAGE_WORDS[stage]}: Cohen's kappa {_kappa(kappa)}.")
    for stage, kappa in found.fleiss.items():
        told.append(f"All readers, {STAGE_WORDS[stage]}: Fleiss' kappa {_kappa(kappa)}.")
    told += [_change(change) for change in found.changes]
    told += [skip_sentence(skip) for skip in found.skips]
    families = Counter(one.rater.family for one in found.rated if one.rater.family)
    if any(count > 1 for count in families.values()):
        told.append(
            "Other models came into use during the session: each version is judged by the studies"
            " that it was shown for."
        )
    return told


def skip_sentence(skip: Skip) -> str:
    """Who went past which study."""
    return f"{skip.reader} could not open study {skip.study} and went past it."


def _kappa(found: Metric) -> str:
    if math.isnan(found.value):
        return "is not known, for one kind of call alone was used"
    if not found.has_interval:
        return f"{found.value:.2f} (too few studies for an interval)"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _change(change: Change) -> str:
    said = (
        f"{change.reader} changed {change.changed} of {change.n} calls after seeing the models"
        if change.changed
        else f"{change.reader} changed none of {change.n} calls after seeing the models"
    )
    if change.test is None or not change.changed:
        return said + "."
    return (
        f"{said}: {change.to_right} became right, {change.to_wrong} became wrong (exact McNemar test,"
        f" p = {change.test.p_value:.2g})."
    )


def review_pdf(found: Results, models: Sequence[ModelRead], when: datetime) -> bytes:
    """The results on paper.

    Args:
        found: of whatever has been read so far.
        models: for the versions that were shown.
        when: the moment of making, UTC.
    """
    of = found.session
    story: list[Flowable] = [
        paragraph(printable(of.title, 90), style=TITLE),
        paragraph(
            f"Review session {of.id}: {len(of.studies)} studies, readers {', '.join(of.readers)}."
            f" {MODES[of.mode]}. {found.done:.0%} of the reads are made.",
            limit=2000,
        ),
    ]
    rows = [tuple(row.values()) for row in figure_rows(found)]
    if rows:
        story.append(paragraph("Readers and models", style=HEADING))
        story.append(table(list(figure_rows(found)[0]), rows, (25, 10, 8, 20, 20, 20, 17, 10)))
        story.append(paragraph(UNSURE_COUNTS, style=CAPTION))
        if seen := training_sentence(found):
            story.append(paragraph(seen, limit=2000))
    story += _matrices([one for one in found.rated if one.confusion])
    if told := sentences(found):
        story.append(paragraph("Agreement, and what the models changed", style=HEADING))
        story += bullets(told)
        story.append(
            paragraph(
                "Intervals are 95 % and resample studies; with few of them they are wide.",
                style=CAPTION,
            )
        )
    stamp = [
        f"Made {when:%Y-%m-%d %H:%M} UTC; session {of.id} made"
        f" {of.created:%Y-%m-%d} by {of.created_by}, seed {of.seed}",
        "Bundles: " + (", ".join(sorted({model.version for model in models})) or "none shown yet"),
        RESEARCH_USE_ONLY,
    ]
    return document(story, f"Review: {of.title}", stamp)


def _matrices(rated: Sequence[Rated]) -> list[Flowable]:
    panels = []
    for one in rated:
        if one.confusion:
            stage = STAGE_WORDS[one.rater.stage] if one.rater.stage else ""
            panels.append((one.rater.who, stage, one.confusion))
    if not panels:
        return []
    drawn: list[Flowable] = [
        confusion_drawing(panels[start : start + PER_ROW])
        for start in range(0, len(panels), PER_ROW)
    ]
    first = KeepTogether([paragraph("Calls against the known answer", style=HEADING), drawn[0]])
    return [first, *(part for more in drawn[1:] for part in (Spacer(0, 4), more))]
