"""One study as a PDF: the series read, the models' answers, CNN heat maps and the reader's answers.

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
    STOPPED,
    agreement_sentence,
    no_head_sentence,
    reliability_sentence,
    series_sentences,
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
    """An A4 PDF of one study, usually two pages; the same arguments give the same bytes.

    Args:
        prediction: answers of the models in use.
        cards: family -> card of the bundle that predicted. Where a card is missing or belongs to
            another bundle, the track record and the files are printed as not known.
        pictures: see `hemodetect.reports.study_pictures.slice_pictures`; the first four are shown.
        reads: one reader's reads of this study; may be empty.
        when: time of the report; a time without a time zone counts as UTC.
        trained_on: version -> whether it was trained on this patient, where this is known.
    """
    study = prediction.study
    known_cards = {
        family: cards[family]
        for family, family_prediction in prediction.families.items()
        if family in cards and cards[family].version == family_prediction.version
    }
    records = {
        f: record for f, card in known_cards.items() if (record := _record(card)) is not None
    }
    title = f"Head CT {printable(study.id, _ID_LENGTH)}"
    made_at = when.astimezone(UTC) if when.tzinfo else when
    stamp = [
        f"{title}. Made {made_at:%Y-%m-%d %H:%M} UTC with hemodetect {__version__}.",
        RESEARCH_USE_ONLY,
    ]
    story = [
        paragraph(title, style=TITLE),
        paragraph(_what_was_read(study), f"{RESEARCH_USE_ONLY} Made {made_at:%Y-%m-%d %H:%M} UTC."),
        *_first_words(
            prediction, {family: known_cards[family] for family in records}, trained_on or {}
        ),
        *_models(prediction, records),
        *picture_section(pictures, study.units, len(study.slices)),
        *_reads(reads),
        *_bundles(prediction, known_cards),
    ]
    return document(story, f"hemodetect: {title}", stamp)


def _record(card: Card) -> Scores | None:
    """The figures by patient; None where the card does not hold them."""
    try:
        return scores_of_card(card.metrics.get("patient", {}))
    except EvaluationError:
        return None


def _what_was_read(study: Study) -> str:
    """The series that was read, those that were not, cautions and refused files."""
    parts = [printable(sentence, 600).removesuffix(".") for sentence in series_sentences(study)]
    refused = len(study.refused)
    parts.append(f"{_counted(refused, 'file')} could not be read" if refused else "no file refused")
    if study.ignored:
        parts.append(f"{_counted(study.ignored, 'file')} without images passed over")
    return "; ".join(parts) + "."


def _first_words(
    prediction: StudyPrediction, recorded: Mapping[str, Card], trained_on: Mapping[str, bool]
) -> list[Flowable]:
    """The first sentences of the Read page."""
    if prediction.stopped:
        lines = [prediction.stopped, *prediction.cautions]
        return [paragraph(STOPPED, style=HEADING), *(paragraph(line) for line in lines)]
    if not prediction.families:
        return [paragraph(reliability_sentence({}), style=HEADING)]
    lines = [reliability_sentence(recorded)] if recorded else []
    without_record = [
        FAMILY_NAMES[family] for family in prediction.families if family not in recorded
    ]
    if without_record:
        lines.append(f"The accuracy is not known here for: {', '.join(without_record)}.")
    if training := trained_on_sentence(prediction, trained_on):
        lines.append(training)
    if no_head := no_head_sentence(prediction):
        lines.append(no_head)
    lines += prediction.cautions
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
        "Model", "Call", "Probability for the patient", "Threshold",
        "Suspicious slices", "Track record: sensitivity", "Track record: specificity",
    )  # fmt: skip
    notes = [
        "Track record, from each model's card: by patient, on patients held out of training, with"
        " 95 % intervals from resampling patients; in brackets, patient folders.",
    ]
    if families:
        notes[0] += (
            " A slice's probability says whether that slice shows a hemorrhage; a slice is suspicious"
            f" from {_slice_limits(families)} on."
        )
    if any(family_prediction.undecided for family_prediction in families.values()):
        notes.insert(0, f"Cannot tell: {CANNOT_TELL[0].lower()}{CANNOT_TELL[1:]}")
    return [
        paragraph("Models' answers", style=HEADING),
        table(heads, rows, (109, 67, 51, 56, 80, 73.5, 73.5)),
        paragraph(*notes, style=CAPTION),
    ]


def _slice_limits(families: Mapping[str, FamilyPrediction]) -> str:
    """The models' threshold of slices, or its range."""
    limits = sorted({round(answer.slice_limit, 3) for answer in families.values()})
    return " to ".join(_percent(limit) for limit in dict.fromkeys((limits[0], limits[-1])))


def _model_row(
    name: str, family_prediction: FamilyPrediction, record: Scores | None
) -> tuple[str | tuple[str, ...], ...]:
    n = len(family_prediction.probabilities)
    suspicious: tuple[str, ...] = (f"{family_prediction.suspicious} of {n}",)
    if n > 1:
        suspicious += (
            f"highest {', '.join(str(index + 1) for index in family_prediction.top_slices[:3])}",
        )
    sensitivity: tuple[str, ...] = ("not known",)
    specificity: tuple[str, ...] = ("not known",)
    if record is not None:
        counts = record.confusion
        sensitivity = _rate(record.sensitivity, counts.tp, counts.tp + counts.fn)
        specificity = _rate(record.specificity, counts.tn, counts.tn + counts.fp)
    return (
        (name, printable(family_prediction.version, NAME_LENGTH)),
        _call(family_prediction),
        _percent(family_prediction.patient),
        _percent(family_prediction.threshold),
        suspicious,
        sensitivity,
        specificity,
    )


def _call(family_prediction: FamilyPrediction) -> str:
    if family_prediction.undecided:
        return "Cannot tell"
    return "Hemorrhage" if family_prediction.call == "hemorrhage" else "No hemorrhage"


def _rate(metric: Metric, n_correct: int, n_total: int) -> tuple[str, str]:
    """E.g. ``83 % (15 of 18)`` and ``62 % to 100 %``."""
    interval = (
        f"{100 * metric.low:.0f} % to {100 * metric.high:.0f} %"
        if metric.has_interval
        else "no interval"
    )
    return f"{100 * metric.value:.0f} % ({n_correct} of {n_total})", interval


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
                paragraph("Reader's answers", style=HEADING),
                table(
                    ("Read", "Call", "Confidence", "Slices", "Types"), rows, (24, 16, 11, 26, 32)
                ),
            ]
        )
    ]
    if [read.stage for read in ordered] == list(_STAGES):
        blind, shown = ordered
        change = "stayed the same" if blind.answer.call == shown.answer.call else "changed"
        story.append(paragraph(f"The call {change} after the models were seen.", style=CAPTION))
    story.append(Spacer(0, 2))
    story += [line for read in ordered for line in _note(read)]
    return story


def _note(read: Read) -> list[Flowable]:
    note = read.answer.note
    full_note = printable(note, max(len(note), 1))
    if not full_note:
        return []
    stage = _STAGES[read.stage].lower()
    flowables: list[Flowable] = [
        paragraph(
            f"Note {stage}:", printable(full_note, NOTE_LENGTH), style=BODY, limit=NOTE_LENGTH
        )
    ]
    if len(full_note) > NOTE_LENGTH:
        cut_sentence = f"The note is cut here; it has {len(full_note):,} characters."
        flowables.append(paragraph(cut_sentence, style=CAPTION))
    return flowables


def _slices(slices: Iterable[int]) -> str:
    """Slice numbers, e.g. ``3-5, 9``; a list that is too long is cut and gives their number."""
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


def _bundles(prediction: StudyPrediction, known_cards: Mapping[str, Card]) -> list[Flowable]:
    families = prediction.families
    if not families:
        return []
    rows = [
        (
            FAMILY_NAMES[family],
            printable(families[family].version, NAME_LENGTH),
            _weights(known_cards[family]) if family in known_cards else "not known",
        )
        for family in FAMILY_NAMES
        if family in families
    ]
    heads = ("Model", "Version", "Weights, with the first 16 digits of the SHA-256")
    block: list[Flowable] = [
        paragraph("Models used", style=HEADING),
        table(heads, rows, (18, 26, 65)),
    ]
    if remarks := _remarks(known_cards):
        block.append(paragraph(*remarks, style=CAPTION))
    return [KeepTogether(block)]


def _remarks(cards: Mapping[str, Card]) -> list[str]:
    """The cards' remarks, each remark once."""
    families_by_remark: dict[str, list[str]] = {}
    for family, card in cards.items():
        for remark in card.remarks:
            families_by_remark.setdefault(remark, []).append(FAMILY_NAMES[family])
    lines = [
        f'{"All" if len(names) == len(cards) else ", ".join(names)}: "{printable(remark, 300)}"'
        for remark, names in list(families_by_remark.items())[:_MOST_REMARKS]
    ]
    n_more = len(families_by_remark) - len(lines)
    more_line = [f"{_counted(n_more, 'more remark')}."] if n_more else []
    return ["Remarks on the models' cards.", *lines, *more_line] if lines else []


def _weights(card: Card) -> tuple[str, ...]:
    """Two files per line, so that each file stays on one line with its hash."""
    files = [
        f"{printable(name, NAME_LENGTH)} {digest[:16]}"
        for name, digest in card.files.items()
        if name.endswith((".keras", ".skops"))
    ]
    names = files[:_MOST_FILES]
    if len(names) < len(files):
        names.append(f"and {len(files) - len(names)} more")
    return tuple(", ".join(names[start : start + 2]) for start in range(0, len(names), 2))


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
