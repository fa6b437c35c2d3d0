"""PDF reports of one study for tests, and functions that read the text and images of a PDF."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from hemodetect.imaging.study import Series, Slice, Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.registry.bundle import Card
from hemodetect.reports.study_pdf import study_pdf
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reviews.session import Answer, Read, Stage

FAMILIES = tuple(FAMILY_NAMES)
WHEN = datetime(2026, 11, 27, 14, 3, tzinfo=UTC)
MARKUP = "<b>&<para><img src='file:///etc/passwd'/>"


def read_of(stage: Stage, answer: Answer) -> Read:
    return Read(study=1, reader="ada", stage=stage, answer=answer, seconds=30.0, at=WHEN)


def with_note(read: Read, note: str) -> Read:
    return dataclasses.replace(read, answer=dataclasses.replace(read.answer, note=note))


BLIND = read_of("blind", Answer("unsure", 2, (14, 15, 16, 21), ("Subdural",), "A dense rim."))
SHOWN = read_of("shown", Answer("hemorrhage", 5, (14,), ("Subdural", "Epidural"), "It is blood."))


def card_of(family: str, digit: str = "a", **changes: object) -> Card:
    """A card with 4 of 5 bleeding patients and 9 of 10 others right; its hashes repeat one digit."""
    figure = {"value": 0.8, "low": 0.61, "high": 0.97}
    by_patient = {
        "level": "patient", "n": 15, "n_positive": 5, "n_groups": 15, "threshold": 0.5,
        "majority_baseline": 0.5, "accuracy": figure, "balanced_accuracy": figure,
        "sensitivity": figure, "specificity": {"value": 0.9, "low": 0.72, "high": 0.98},
        "auroc": figure, "confusion": {"tn": 9, "fp": 1, "fn": 1, "tp": 4},
    }  # fmt: skip
    card = Card(
        family=family, recipe="study", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=0.5, threshold_reason="as published",
        metrics={"patient": by_patient}, seconds={}, versions={}, commit="unknown",
        created="2026-01-02", remarks=("Trained for 5 epochs.",),
        files={"blood.keras": digit * 64, "scale.skops": "f" * 64, "split.json": "0" * 64},
    )  # fmt: skip
    return dataclasses.replace(card, **changes)


def cards_of(families: Sequence[str] = FAMILIES) -> dict[str, Card]:
    return {
        family: card_of(family, digit) for family, digit in zip(families, "abcde", strict=False)
    }


def predicted(
    cards: Mapping[str, Card],
    patient: Mapping[str, float] | None = None,
    *,
    slices: int = 30,
    shape: tuple[int, int] = (40, 40),
    units: str = "HU",
    **study_fields: object,
) -> StudyPrediction:
    """Slice probabilities rise from 0 to 1; every patient has 0.9 unless `patient` says otherwise."""
    random = np.random.default_rng(2)
    if units == "HU":
        values = random.integers(-100, 200, (slices, *shape)).astype(np.int16)
    else:
        values = random.integers(0, 256, (slices, *shape)).astype(np.uint8)
    images = tuple(Slice(v, units, f"DOE-JANE-{n}.dcm") for n, v in enumerate(values))
    series = Series("R-1", f"{slices} axial slices, 7.0 mm apart", images)
    families = {
        family: FamilyPrediction(
            probabilities=np.linspace(0, 1, slices, dtype=np.float32),
            patient=(patient or {}).get(family, 0.9),
            threshold=card.threshold,
            version=card.version,
            cannot_tell=card.cannot_tell,
        )
        for family, card in cards.items()
    }
    return StudyPrediction(Study("study-0a1b", (series,), **study_fields), families)


def pdf_of(
    prediction: StudyPrediction | None = None,
    cards: Mapping[str, Card] | None = None,
    *,
    pictures: Sequence[SlicePicture] = (),
    reads: Sequence[Read] = (),
    when: datetime = WHEN,
    trained_on: Mapping[str, bool] | None = None,
) -> bytes:
    cards = cards_of() if cards is None else cards
    return study_pdf(prediction or predicted(cards), cards, pictures, reads, when, trained_on)


def objects(pdf: bytes) -> list[tuple[bytes, bytes]]:
    """(dictionary, unpacked content) of every page, form and image."""
    streams = []
    for head, packed in re.findall(rb"<<((?:(?!endobj).)*?)>>\s*stream\n(.*?)endstream", pdf, re.S):
        if b"/ASCII85Decode" in head:
            data = base64.a85decode(b"<~" + packed.strip(), adobe=True)
            streams.append((head, zlib.decompress(data) if b"/FlateDecode" in head else data))
    return streams


def pages(pdf: bytes) -> list[str]:
    """The text of every page in drawing order, words separated by one space."""
    texts = []
    for head, content in objects(pdf):
        if b"/Subtype /Image" in head or b"Page " not in content:
            continue
        strings = re.findall(r"\(((?:\\.|[^\\)])*)\) Tj", content.decode("latin-1"))
        texts.append(" ".join(re.sub(r"\\([()\\])", r"\1", " ".join(strings)).split()))
    assert len(texts) == len(re.findall(rb"/Type /Page\b(?!s)", pdf))
    return texts


def words(pdf: bytes) -> str:
    return " ".join(pages(pdf))


def images(pdf: bytes) -> list[np.ndarray]:
    """Every image of the PDF, (rows, columns) or (rows, columns, 3) uint8."""
    arrays = []
    for head, content in objects(pdf):
        if b"/Subtype /Image" not in head:
            continue
        if b"/DCTDecode" in head:
            arrays.append(np.asarray(Image.open(io.BytesIO(content))))
            continue
        sizes = [re.search(rb"/%s (\d+)" % name, head) for name in (b"Height", b"Width")]
        shape = [int(size.group(1)) for size in sizes if size]
        values = np.frombuffer(content, np.uint8)
        arrays.append(values.reshape(*shape, 3) if b"/DeviceRGB" in head else values.reshape(shape))
    return arrays


def picture_of(shape: tuple[int, int] = (40, 40), index: int = 3, heat_map: bool = True):
    grey = np.random.default_rng(index).integers(0, 256, shape).astype(np.uint8)
    overlay = np.stack([np.full_like(grey, 40 + index), grey // 2, grey // 3], axis=2)
    return SlicePicture(index, grey, overlay if heat_map else None, 0.5 + index / 100)
