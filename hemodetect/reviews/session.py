"""The parts of a review session: its studies, its readers, and the readers' answers.

In mode *blind-first* a reader calls a study without the models, then sees their answers and calls it
again. In mode *models-at-once* there is one call, with the models' answers on the screen. In mode
*crossed* every reader reads half of the studies with the models and half without, and the next reader
the other way round, so that about half of the readers read a study with the models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np

from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.errors import HemodetectError
from hemodetect.reviews.sources import Source, Truth

Mode = Literal["blind-first", "models-at-once", "crossed"]
Stage = Literal["blind", "shown"]
Call = Literal["hemorrhage", "none", "unsure"]
TYPES = SUBTYPES
LONGEST_NOTE = 10_000
"""Characters."""


class ReviewError(HemodetectError):
    """A session or a read is not valid."""


@dataclass(frozen=True)
class ReviewStudy:
    """A study of a session; readers see its number, never its source or its truth."""

    number: int
    source: Source
    truth: Truth | None


@dataclass(frozen=True)
class ReviewSession:
    """A session; it never changes after it was created.

    Attributes:
        id: used in addresses.
        seed: decides every reader's order, and in mode crossed which studies come with the models.
        readers: in the order entered; in mode crossed a reader's place decides the half.
        studies: numbered from 1.
    """

    id: str
    title: str
    mode: Mode
    seed: int
    created: datetime
    created_by: str
    readers: tuple[str, ...]
    studies: tuple[ReviewStudy, ...]

    def order(self, reader: str) -> tuple[int, ...]:
        """Numbers of the studies in this reader's order; the same on every machine."""
        digest = hashlib.sha256(f"{self.seed}/{reader}".encode()).digest()
        shuffled = np.random.default_rng(list(digest)).permutation(len(self.studies))
        return tuple(self.studies[index].number for index in shuffled)

    def stages(self, reader: str, number: int) -> tuple[Stage, ...]:
        """The stages at which this reader reads a study, in order."""
        if self.mode == "blind-first":
            return ("blind", "shown")
        if self.mode == "models-at-once":
            return ("shown",)
        places = np.random.default_rng(self.seed).permutation(len(self.studies))
        index = next(i for i, study in enumerate(self.studies) if study.number == number)
        aided = (int(places[index]) + self.readers.index(reader)) % 2 == 0
        return ("shown",) if aided else ("blind",)

    def reader_named(self, name: str) -> str | None:
        """The reader of this name as the session spells it; capitals do not matter."""
        casefolded = name.strip().casefold()
        return next((reader for reader in self.readers if reader.casefold() == casefolded), None)

    def still_due(
        self, reader: str, reads: Iterable[Read], skips: Iterable[Skip]
    ) -> list[Assignment]:
        """The reads that this reader has still to do, in order.

        Args:
            reader: name, as the session spells it.
            reads, skips: of all readers so far.
        """
        done_stages = {(record.study, record.stage) for record in reads if record.reader == reader}
        skipped = {record.study for record in skips if record.reader == reader}
        return [
            Assignment(self.study(number), stage, place)
            for place, number in enumerate(self.order(reader), start=1)
            if number not in skipped
            for stage in self.stages(reader, number)
            if (number, stage) not in done_stages
        ]

    def study(self, number: int) -> ReviewStudy:
        """The study of this number; raises `ReviewError` where there is none."""
        for study in self.studies:
            if study.number == number:
                return study
        raise ReviewError(f"The session has no study {number}.")


@dataclass(frozen=True)
class Mark:
    """The place of a bleed that a reader clicked.

    Attributes:
        slice: number of the slice, from 1.
        row, column: of the slice as it is stored, in pixels from 0.
        millimetres: in the DICOM patient coordinate system; None where the slice has no position.
    """

    slice: int
    row: int
    column: int
    millimetres: tuple[float, float, float] | None = None

    @property
    def sentence(self) -> str:
        """E.g. ``slice 14, row 210, column 305 (-31.0, 12.5, 80.0 mm)``."""
        where = ""
        if self.millimetres is not None:
            where = f" ({', '.join(f'{value:.1f}' for value in self.millimetres)} mm)"
        return f"slice {self.slice}, row {self.row}, column {self.column}{where}"


@dataclass(frozen=True)
class Answer:
    """A reader's answer for a study.

    Attributes:
        confidence: 1 (guess) to 5 (certain).
        slices: numbers, from 1, of the slices that show the hemorrhage.
        types: of `TYPES`.
        note: free text.
        mark: the place of the bleed, where the reader clicked it.
    """

    call: Call
    confidence: int
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    note: str = ""
    mark: Mark | None = None

    def check(self) -> None:
        """Raises `ReviewError` where the answer is not valid."""
        if self.call not in get_args(Call):
            raise ReviewError("A call is needed: hemorrhage, none or not sure.")
        if not 1 <= self.confidence <= 5:
            raise ReviewError(f"The confidence is {self.confidence}; expected 1 to 5.")
        if any(number < 1 for number in self.slices):
            raise ReviewError("A slice number is below 1; slices are counted from 1.")
        unknown_types = set(self.types) - set(TYPES)
        if unknown_types:
            raise ReviewError(
                f"{', '.join(sorted(unknown_types))} is not a type; expected {', '.join(TYPES)}."
            )
        if self.call == "none" and (self.slices or self.types or self.mark):
            raise ReviewError(
                "No hemorrhage was called, but slices, types or a place of one were given."
            )
        if self.mark and (self.mark.slice < 1 or min(self.mark.row, self.mark.column) < 0):
            raise ReviewError("The marked place is not in a slice.")
        if len(self.note) > LONGEST_NOTE:
            raise ReviewError(f"The note is longer than {LONGEST_NOTE:,} characters.")


@dataclass(frozen=True)
class Read:
    """One reader's answer for one study at one stage.

    Attributes:
        seconds: how long the study was on the screen.
        bundles: versions of the models on the screen, in the order of families.
    """

    study: int
    reader: str
    stage: Stage
    answer: Answer
    seconds: float
    at: datetime
    bundles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skip:
    """A study that a reader skipped because its images are gone."""

    study: int
    reader: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Assignment:
    """The next read of a reader.

    Attributes:
        place: of the study in the reader's own order, from 1.
    """

    study: ReviewStudy
    stage: Stage
    place: int
