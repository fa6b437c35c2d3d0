"""One study on paper: what was read, what the models say, where the CNN looked, what the reader said.

No file name is printed, because files may be named after patients.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from PIL import Image
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table, TableStyle
from reportlab.platypus import Image as Picture

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, Scores, scores_of_card
from hemodetect.families import FAMILY_NAMES
from hemodetect.imaging.overlay import heatmap_overlay
from hemodetect.imaging.study import Study, Units
from hemodetect.imaging.windows import BRAIN, brain_grey
from hemodetect.models.bundle import Card
from hemodetect.models.prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.pdf import (
    BODY,
    CAPTION,
    CELL,
    HEADING,
    NAME_LENGTH,
    TITLE,
    WIDTH,
    document,
    paragraph,
    printable,
    table,
)
from hemodetect.reports.words import agreement_sentence, reliability_sentence

MOST_PICTURES = 4
"""Slices that are shown."""
NOTE_LENGTH = 1000
"""Most characters of a reader's note."""
PICTURE_SIDE = 512
"""Most pixels along a picture's side: 300 to the inch where four stand in a row."""
_LARGEST, _GAP = 160.0, 6.0
"""Points: the side of a picture at most, and between two."""
_OPACITY = 0.6
_MOST_FILES, _MOST_REMARKS = 8, 4
_ID_LENGTH, _SLICES_LENGTH, _TYPES_LENGTH = 40, 80, 120
"""Most characters of the pseudonym, and of a read's slices and types."""
_STAGES = {"blind": "Before seeing the models", "shown": "After seeing the models"}
_CALLS = {"hemorrhage": "Hemorrhage", "none": "No hemorrhage", "unsure": "Unsure"}
_CANNOT_TELL = (
    "Cannot tell: measured on patients the model had not seen, a probability like this one does not"
    " settle the answer at 90 % confidence; or there were too few slices to judge a study by, or no"
    " head could be made out."
)


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """A suspicious slice as it is printed.

    Attributes:
        index: of the slice in its series, from 0.
        grey: (rows, columns) uint8, in the brain window, or the picture's own grey.
        overlay: (rows, columns, 3) uint8 RGB, the same with the CNN's heat map; None without one.
        mean_probability: of the models in use, for this slice.
    """

    index: int
    grey: np.ndarray
    overlay: np.ndarray | None
    mean_probability: float


@dataclass(frozen=True)
class ReaderCall:
    """What a reader said of the study.

    Attributes:
        stage: "blind" before the reader saw the models, "shown" after.
        call: "none" is no hemorrhage.
        confidence: 1 (least sure) to 5.
        slices: that show it, from 0.
        types: of hemorrhage.
        note: in the reader's words; may be empty.
    """

    stage: Literal["blind", "shown"]
    call: Literal["hemorrhage", "none", "unsure"]
    confidence: int
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    note: str = ""


def slice_pictures(
    prediction: StudyPrediction, maps: np.ndarray | None
) -> tuple[SlicePicture, ...]:
    """The slices most suspicious by the models' mean, highest first, no larger than they are printed.

    Args:
        prediction: of the study; without any model there is no picture.
        maps: (n, rows, columns) float32 as `hemodetect.explain.study_maps` makes them, not below 0;
            full strength is the strongest of the study. None where there is no CNN.
    """
    if not prediction.families:
        return ()
    strongest = 1.0 if maps is None else float(maps.max()) or 1.0
    pictures = []
    for index in prediction.top_slices()[:MOST_PICTURES]:
        grey = _shrunk(brain_grey(prediction.study.slices[index]))
        mean = np.mean([found.probabilities[index] for found in prediction.families.values()])
        overlay = None if maps is None else _overlaid(grey, maps[index] / strongest)
        pictures.append(SlicePicture(index, grey, overlay, float(mean)))
    return tuple(pictures)


def study_pdf(
    prediction: StudyPrediction,
    cards: Mapping[str, Card],
    pictures: Sequence[SlicePicture],
    reads: Sequence[ReaderCall],
    when: datetime,
) -> bytes:
    """A PDF on A4 of one study, two pages as a rule; the same arguments give the same bytes.

    Args:
        prediction: of the models in use.
        cards: family -> card of the bundle that predicted. Where it is missing, or is another
            bundle's, the track record and the files are printed as not known.
        pictures: see `slice_pictures`; the first four are shown.
        reads: of one reader; may be empty.
        when: the report was made; without a time zone it is taken for UTC.
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
        *_first_words(prediction, {family: known[family] for family in records}),
        *_models(prediction, records),
        *_pictures(pictures[:MOST_PICTURES], study.units, len(study.slices)),
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


def _first_words(prediction: StudyPrediction, recorded: Mapping[str, Card]) -> list[Flowable]:
    """What the Read page says first, in its words."""
    if not prediction.families:
        return [paragraph(reliability_sentence({}), style=HEADING)]
    lines = [reliability_sentence(recorded)] if recorded else []
    lost = [FAMILY_NAMES[family] for family in prediction.families if family not in recorded]
    if lost:
        lines.append(f"How often it is right is not known here for: {', '.join(lost)}.")
    unseen = max(
        (
            int((~found.seen).sum())
            for found in prediction.families.values()
            if found.seen is not None
        ),
        default=0,
    )
    if unseen:
        lines.append(
            f"In {unseen} of {_counted(len(prediction.study.slices), 'slice')} no head could be made"
            " out; models that look for one say nothing of these."
        )
    if prediction.study.units == "grey":
        lines.append(
            "These are pictures without Hounsfield units. The models take them for slices in a brain"
            " window."
        )
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
        notes.insert(0, _CANNOT_TELL)
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


def _pictures(pictures: Sequence[SlicePicture], units: Units, slices: int) -> list[Flowable]:
    """Slices with the heat map beside each, as many in a row as leaves four panels at most."""
    if not pictures:
        return []
    mapped = any(picture.overlay is not None for picture in pictures)
    panels = 2 if mapped else 1
    per_row = min(MOST_PICTURES // panels, len(pictures))
    side = min(WIDTH / (panels * per_row) - _GAP, _LARGEST)
    window = (
        f"Slices in the brain window (width {BRAIN.width:.0f} HU, level {BRAIN.level:.0f} HU)."
        if units == "HU"
        else "Slices in their own grey levels."
    )
    heading = paragraph("Most suspicious slices (mean of the models)", style=HEADING)
    block: list[Flowable] = [heading]
    for start in range(0, len(pictures), per_row):
        block.append(_row_of(pictures[start : start + per_row], per_row, panels, side, slices))
    if mapped:
        block += [Spacer(0, 3), _colour_scale()]
    maps = (
        "Heat maps show what moved a model's answer towards hemorrhage, not where a hemorrhage is."
        " The strongest of a study has the full colour even where no model calls hemorrhage."
        if mapped
        else "There are no heat maps, which need the CNN."
    )
    block.append(paragraph(f"{maps} {window}", style=CAPTION))
    return [KeepTogether(block)]


def _row_of(
    pictures: Sequence[SlicePicture], per_row: int, panels: int, side: float, slices: int
) -> Table:
    images: list[Flowable | str] = []
    captions: list[Flowable | str] = []
    for picture in pictures:
        images.append(_picture(picture.grey, side))
        mean = _percent(picture.mean_probability)
        where = f"Slice {picture.index + 1} of {slices}, mean probability {mean}"
        captions.append(paragraph(where, style=CELL))
        if panels == 2:
            images.append(
                paragraph("no heat map", style=CAPTION)
                if picture.overlay is None
                else _picture(picture.overlay, side)
            )
            captions.append("")
    empty = [""] * (panels * per_row - len(images))
    spans = [
        ("SPAN", (start, 1), (start + panels - 1, 1)) for start in range(0, len(images), panels)
    ]
    return _bare([images + empty, captions + empty], [side + _GAP] * len(images + empty), spans)


def _colour_scale() -> Table:
    """The colours as they look over mid grey."""
    heat = np.tile(np.linspace(0, 1, 256), (8, 1))
    bar = _encoded(heatmap_overlay(np.full(heat.shape, 100, np.uint8), heat, _OPACITY), "png")
    ends = ("CNN (Grad-CAM), evidence for hemorrhage: none", "strongest in this study")
    left, right = (paragraph(text, style=CAPTION) for text in ends)
    return _bare([[left, Picture(bar, 96, 7), right]], [190, 96 + _GAP, 120])


def _bare(
    cells: Sequence[Sequence[Flowable | str]],
    widths: Sequence[float],
    spans: Sequence[tuple[str, tuple[int, int], tuple[int, int]]] = (),
) -> Table:
    """A table without lines, from the left margin; widths in points."""
    style = [
        *spans,
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), _GAP),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    return Table(cells, colWidths=widths, hAlign="LEFT", style=TableStyle(style))


def _picture(image: np.ndarray, side: float) -> Picture:
    """A uint8 image, (rows, columns) or with 3 colours, in a square of `side` points."""
    rows, columns = image.shape[:2]
    scale = side / max(rows, columns)
    # Grey stays lossless; overlays are colour over anatomy, and far smaller so.
    data = _encoded(_shrunk(image), "png" if image.ndim == 2 else "jpeg")
    return Picture(data, max(scale * columns, 1), max(scale * rows, 1))


def _encoded(image: np.ndarray, kind: Literal["png", "jpeg"]) -> io.BytesIO:
    data = io.BytesIO()
    options = {"quality": 90} if kind == "jpeg" else {}
    Image.fromarray(np.ascontiguousarray(image)).save(data, kind, **options)
    data.seek(0)
    return data


def _shrunk(image: np.ndarray) -> np.ndarray:
    """A uint8 image, its longer side `PICTURE_SIDE` pixels at most."""
    if max(image.shape[:2]) <= PICTURE_SIDE:
        return image
    smaller = Image.fromarray(np.ascontiguousarray(image))
    smaller.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(smaller)


def _overlaid(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    # Here, not above: it brings TensorFlow, which takes seconds that a report without maps is spared.
    from hemodetect.explain import in_register

    shape = (grey.shape[0], grey.shape[1])
    return heatmap_overlay(grey, np.clip(in_register(heat, shape), 0, 1), _OPACITY)


def _reads(reads: Sequence[ReaderCall]) -> list[Flowable]:
    if not reads:
        return []
    ordered = sorted(reads, key=lambda read: list(_STAGES).index(read.stage))
    rows = [
        (
            _STAGES[read.stage],
            _CALLS[read.call],
            f"{read.confidence} of 5",
            _slices(read.slices),
            printable(", ".join(read.types), _TYPES_LENGTH) or "none named",
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
        kept = "stayed the same" if before.call == after.call else "changed"
        story.append(paragraph(f"The call {kept} after the models were seen.", style=CAPTION))
    story.append(Spacer(0, 2))
    story += [line for read in ordered for line in _note(read)]
    return story


def _note(read: ReaderCall) -> list[Flowable]:
    whole = printable(read.note, max(len(read.note), 1))
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
    """Slices from 0 as numbers from 1, e.g. ``3-5, 9``; those that find no room are counted."""
    numbers = sorted({index + 1 for index in slices})
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
