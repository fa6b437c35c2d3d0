"""One study on paper: what was read, what the models say, where the CNN looked, what the reader said.

No file name is printed, because files may be named after patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from reportlab.platypus import Flowable, KeepTogether, Spacer

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, Scores, scores_of_card
from hemodetect.imaging.study import Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.registry.bundle import Card
from hemodetect.reports.pdf import (
    BODY,
    CAPTION,
    HEADING,
    NAME_LENGTH,
    TITLE,
    document,
    paragraph,
    printable,
    table,
)
from hemodetect.reports.study_pictures import SlicePicture, picture_section
from hemodetect.reports.words import (
    CANNOT_TELL,
    NO_HOUNSFIELD_UNITS,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
    trained_on_sentence,
)
from hemodetect.reviews.session import Call, Read, Stage

NOTE_LENGTH = 1000
"""Most characters of a reader's note."""
_MOST_FILES, _MOST_REMARKS = 8, 4
_ID_LENGTH, _SLICES_LENGTH, _TYPES_LENGTH = 40, 80, 120
"""Most characters of the pseudonym, and of a read's slices and types."""
_STAGES: dict[Stage, str] = {
    "blind": "Before seeing the models",
    "shown": "After seeing the models",
}
_CALLS: dict[Call, str] = {"hemorrhage": "Hemorrhage", "none": "No hemorrhage", "unsure": "Unsure"}


def study_pdf(
    prediction: StudyPrediction,
    cards: Mapping[str, Card],
    pictures: Sequence[SlicePicture],
    reads: Sequence[Read],
    when: datetime,
    trained_on: Mapping[str, bool] | None = None,
) -> bytes:
    """A PDF on A4 of one study, two pages as a rule; the same arguments give the same bytes.

    Args:
        prediction: of the models in use.
        cards: family -> card of the bundle that predicted. Where it is missing, or is another
            bundle's, the track record and the files are printed as not known.
        pictures: see `hemodetect.reports.study_pictures.slice_pictures`; the first four are shown.
        reads: of this study by one reader; may be empty.
        when: the report was made; without a time zone it is taken for UTC.
        trained_on: version -> whether it was trained on this patient, where that is known.
    """
    study = prediction.study
    known = {
        family: cards[family]
        for family, found in prediction.families.items()
        if family in cards and cards[family].version == found.version
    }
    records = {f: record for f, card in known.items() if (record := _record(card)) is not None}
    title = f"Head CT {printable(study.id, _ID_LENGTH)}"
    made = when.astimezone(UTC) if when.tzinfo else when
    stamp = [
        f"{title}. Made {made:%Y-%m-%d %H:%M} UTC with hemodetect {__version__}.",
        RESEARCH_USE_ONLY,
    ]
    story = [
        paragraph(title, style=TITLE),
        paragraph(_what_was_read(study), f"{RESEARCH_USE_ONLY} Made {made:%Y-%m-%d %H:%M} UTC."),
        *_first_words(prediction, {family: known[family] for family in records}, trained_on or {}),
        *_models(prediction, records),
        *picture_section(pictures, study.units, len(study.slices)),
        *_reads(reads),
        *_bundles(prediction, known),
    ]
    return document(story, f"hemodetect: {title}", stamp)


def _record(card: Card) -> Scores | None:
    """The figures by patient, where the card holds them."""
    try:
        return scores_of_card(card.metrics.get("patient", {}))
    except EvaluationError:
        return None


def _what_was_read(study: Study) -> str:
    """The description of the series begins with the number of its slices."""
    series = study.series[study.chosen]
    parts = [f"Read: {printable(series.description, 120)}"]
    if series.set_aside:
        parts.append(f"not read by default ({printable(series.set_aside, NAME_LENGTH)})")
    if len(study.series) > 1:
        parts.append(f"one of {len(study.series)} series found")
    refused = len(study.refused)
    parts.append(f"{_counted(refused, 'file')} could not be read" if refused else "no file refused")
    if study.ignored:
        parts.append(f"{_counted(study.ignored, 'file')} without images passed over")
    return "; ".join(parts) + "."


def _first_words(
    prediction: StudyPrediction, recorded: Mapping[str, Card], trained_on: Mapping[str, bool]
) -> list[Flowable]:
    """What the Read page says first, in its words."""
    if not prediction.families:
        return [paragraph(reliability_sentence({}), style=HEADING)]
    lines = [reliability_sentence(recorded)] if recorded else []
    lost = [FAMILY_NAMES[family] for family in prediction.families if family not in recorded]
    if lost:
        lines.append(f"How often it is right is not known here for: {', '.join(lost)}.")
    if seen := trained_on_sentence(prediction, trained_on):
        lines.append(seen)
    if no_head := no_head_sentence(prediction):
        lines.append(no_head)
    if prediction.study.units == "grey":
        lines.append(NO_HOUNSFIELD_UNITS)
    return [
        paragraph(agreement_sentence(prediction), style=HEADING),
        *(paragraph(line) for line in lines),
    ]


def _models(prediction: StudyPrediction, records: Mapping[str, Scores]) -> list[Flowable]:
    families = prediction.families
    rows = [
        _model_row(name, families[family], records.get(family))
        if family in families
        else (name, "Not in use", *[""] * 5)
        for family, name in FAMILY_NAMES.items()
    ]
    heads = (
        "Model", "Call", "Probability for the patient", "Calls hemorrhage from",
        "Slices suspicious", "Track record: sensitivity", "Track record: specificity",
    )  # fmt: skip
    notes = [
        "Track record, from each model's card: by patient, on patients held out of training, with"
        " 95 % intervals that resample patients; in brackets, patient folders. A slice is suspicious"
        " from the probability that the model calls hemorrhage from; a model that judges the whole"
        " study gives every slice a probability in the light of the others."
    ]
    if any(found.undecided for found in families.values()):
        notes.insert(0, f"Cannot tell: {CANNOT_TELL[0].lower()}{CANNOT_TELL[1:]}")
    return [
        paragraph("What the models say", style=HEADING),
        table(heads, rows, (109, 67, 51, 56, 80, 73.5, 73.5)),
        paragraph(*notes, style=CAPTION),
    ]


def _model_row(
    name: str, found: FamilyPrediction, record: Scores | None
) -> tuple[str | tuple[str, ...], ...]:
    n = len(found.probabilities)
    suspicious: tuple[str, ...] = (f"{found.suspicious} of {n}",)
    if n > 1:
        suspicious += (f"most {', '.join(str(index + 1) for index in found.top_slices[:3])}",)
    sensitivity: tuple[str, ...] = ("not known",)
    specificity: tuple[str, ...] = ("not known",)
    if record is not None:
        counts = record.confusion
        sensitivity = _rate(record.sensitivity, counts.tp, counts.tp + counts.fn)
        specificity = _rate(record.specificity, counts.tn, counts.tn + counts.fp)
    return (
        (name, printable(found.version, NAME_LENGTH)),
        _call(found),
        _percent(found.patient),
        _percent(found.threshold),
        suspicious,
        sensitivity,
        specificity,
    )


def _call(found: FamilyPrediction) -> str:
    if found.undecided:
        return "Cannot tell"
    return "Hemorrhage" if found.call == "hemorrhage" else "No hemorrhage"


def _rate(metric: Metric, right: int, of: int) -> tuple[str, str]:
    """E.g. ``83 % (15 of 18)`` and ``62 % to 100 %``."""
    interval = (
        f"{100 * metric.low:.0f} % to {100 * metric.high:.0f} %"
        if metric.has_interval
        else "no interval"
    )
    return f"{100 * metric.value:.0f} % ({right} of {of})", interval


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"


def _reads(reads: Sequence[Read]) -> list[Flowable]:
    if not reads:
        return []
    ordered = sorted(reads, key=lambda read: list(_STAGES).index(read.stage))
    rows = [
        (
            _STAGES[read.stage],
            _CALLS[read.answer.call],
            f"{read.answer.confidence} of 5",
            _slices(read.answer.slices),
            printable(", ".join(read.answer.types), _TYPES_LENGTH) or "none named",
        )
        for read in ordered
    ]
    story: list[Flowable] = [
        KeepTogether(
            [
                paragraph("What the reader says", style=HEADING),
                table(("Read", "Call", "How sure", "Slices", "Types"), rows, (24, 16, 11, 26, 32)),
            ]
        )
    ]
    if [read.stage for read in ordered] == list(_STAGES):
        before, after = ordered
        kept = "stayed the same" if before.answer.call == after.answer.call else "changed"
        story.append(paragraph(f"The call {kept} after the models were seen.", style=CAPTION))
    story.append(Spacer(0, 2))
    story += [line for read in ordered for line in _note(read)]
    return story


def _note(read: Read) -> list[Flowable]:
    note = read.answer.note
    whole = printable(note, max(len(note), 1))
    if not whole:
        return []
    stage = _STAGES[read.stage].lower()
    found: list[Flowable] = [
        paragraph(f"Note {stage}:", printable(whole, NOTE_LENGTH), style=BODY, limit=NOTE_LENGTH)
    ]
    if len(whole) > NOTE_LENGTH:
        told = f"The note is cut here; it has {len(whole):,} characters."
        found.append(paragraph(told, style=CAPTION))
    return found


def _slices(slices: Iterable[int]) -> str:
    """Numbers of slices, e.g. ``3-5, 9``; those that find no room are counted."""
    numbers = sorted(set(slices))
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    named = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    if len(named) > _SLICES_LENGTH:
        return f"{printable(named, _SLICES_LENGTH)} ({len(numbers)} in all)"
    return named or "none named"


def _bundles(prediction: StudyPrediction, known: Mapping[str, Card]) -> list[Flowable]:
    families = prediction.families
    if not families:
        return []
    rows = [
        (
            FAMILY_NAMES[family],
            printable(families[family].version, NAME_LENGTH),
            _weights(known[family]) if family in known else "not known",
        )
        for family in FAMILY_NAMES
        if family in families
    ]
    heads = ("Model", "Version", "Weights, with the first 16 digits of the SHA-256")
    block: list[Flowable] = [
        paragraph("Which models these were", style=HEADING),
        table(heads, rows, (18, 26, 65)),
    ]
    if told := _remarks(known):
        block.append(paragraph(*told, style=CAPTION))
    return [KeepTogether(block)]


def _remarks(cards: Mapping[str, Card]) -> list[str]:
    """What the cards say, in their words, each remark once."""
    whose: dict[str, list[str]] = {}
    for family, card in cards.items():
        for remark in card.remarks:
            whose.setdefault(remark, []).append(FAMILY_NAMES[family])
    told = [
        f'{"All" if len(names) == len(cards) else ", ".join(names)}: "{printable(remark, 300)}"'
        for remark, names in list(whose.items())[:_MOST_REMARKS]
    ]
    more = len(whose) - len(told)
    rest = [f"{_counted(more, 'more remark')}."] if more else []
    return ["What the models' cards say besides.", *told, *rest] if told else []


def _weights(card: Card) -> tuple[str, ...]:
    """Two files a line, so that none is parted from its hash."""
    files = [
        f"{printable(name, NAME_LENGTH)} {digest[:16]}"
        for name, digest in card.files.items()
        if name.endswith((".keras", ".skops"))
    ]
    told = files[:_MOST_FILES]
    if len(told) < len(files):
        told.append(f"and {len(files) - len(told)} more")
    return tuple(", ".join(told[start : start + 2]) for start in range(0, len(told), 2))


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
