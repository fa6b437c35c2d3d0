"""What a review session is made of: its studies and readers, and what a reader says of a study.

In mode *blind-first* a reader calls a study without the models, sees what they say, and calls it again.
With *models-at-once* there is one call, the models beside it. *Crossed* gives every reader half of the
studies with the models and half without, and the next reader the other half: each study is read both
ways by about as many readers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np

from hemodetect.dataset.manifest import SUBTYPES
from hemodetect.errors import HemodetectError
from hemodetect.reviews.sources import Source, Truth

Mode = Literal["blind-first", "models-at-once", "crossed"]
Stage = Literal["blind", "shown"]
Call = Literal["hemorrhage", "none", "unsure"]
TYPES = SUBTYPES
LONGEST_NOTE = 10_000
"""Characters."""


class ReviewError(HemodetectError):
    """A session or a read that is not possible as it was asked for."""


@dataclass(frozen=True)
class ReviewStudy:
    """A study of a session; readers see its number and never its source or its truth."""

    number: int
    source: Source
    truth: Truth | None


@dataclass(frozen=True)
class ReviewSession:
    """A session as it was made; nothing of it changes.

    Attributes:
        id: names it in addresses.
        seed: of every reader's order and of who reads what with the models.
        readers: in the order given; in mode crossed their place decides their half.
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
        """Numbers of the studies as this reader meets them; the same on every machine."""
        digest = hashlib.sha256(f"{self.seed}/{reader}".encode()).digest()
        shuffled = np.random.default_rng(list(digest)).permutation(len(self.studies))
        return tuple(self.studies[index].number for index in shuffled)

    def stages(self, reader: str, number: int) -> tuple[Stage, ...]:
        """What this reader is asked of a study, in order."""
        if self.mode == "blind-first":
            return ("blind", "shown")
        if self.mode == "models-at-once":
            return ("shown",)
        places = np.random.default_rng(self.seed).permutation(len(self.studies))
        index = next(i for i, study in enumerate(self.studies) if study.number == number)
        aided = (int(places[index]) + self.readers.index(reader)) % 2 == 0
        return ("shown",) if aided else ("blind",)

    def reader_named(self, name: str) -> str | None:
        """The reader of this name as the session has it, however it is capitalised."""
        wanted = name.strip().casefold()
        return next((own for own in self.readers if own.casefold() == wanted), None)

    def still_due(
        self, reader: str, reads: Iterable[Read], skips: Iterable[Skip]
    ) -> list[Assignment]:
        """What this reader has not read of what is asked of them, in order.

        Args:
            reader: name, as the session has it.
            reads, skips: of all readers so far.
        """
        read = {(one.study, one.stage) for one in reads if one.reader == reader}
        skipped = {one.study for one in skips if one.reader == reader}
        return [
            Assignment(self.study(number), stage, place)
            for place, number in enumerate(self.order(reader), start=1)
            if number not in skipped
            for stage in self.stages(reader, number)
            if (number, stage) not in read
        ]

    def study(self, number: int) -> ReviewStudy:
        """Raises `ReviewError` where there is none of this number."""
        for study in self.studies:
            if study.number == number:
                return study
        raise ReviewError(f"The session has no study {number}.")


@dataclass(frozen=True)
class Answer:
    """What a reader says of a study.

    Attributes:
        confidence: 1 (guess) to 5 (certain).
        slices: numbers from 1 of those that show it.
        types: of `TYPES`.
        note: as written.
    """

    call: Call
    confidence: int
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    note: str = ""

    def check(self) -> None:
        """Raises `ReviewError` with what is wrong."""
        if self.call not in get_args(Call):
            raise ReviewError("A call is needed: hemorrhage, none, or not sure.")
        if not 1 <= self.confidence <= 5:
            raise ReviewError(f"How sure is {self.confidence}; expected 1 to 5.")
        if any(number < 1 for number in self.slices):
            raise ReviewError("Slices are counted from 1.")
        strange = set(self.types) - set(TYPES)
        if strange:
            raise ReviewError(f"{', '.join(sorted(strange))}: not a type of hemorrhage known here.")
        if self.call == "none" and (self.slices or self.types):
            raise ReviewError("No hemorrhage was called, but slices or types of one were given.")
        if len(self.note) > LONGEST_NOTE:
            raise ReviewError(f"The note is longer than {LONGEST_NOTE:,} characters.")


@dataclass(frozen=True)
class Read:
    """One reader's answer on one study at one stage.

    Attributes:
        seconds: that the study was in view.
        bundles: versions of the models that were shown with it, in the order of families.
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
    """A study that a reader went past, for its images were not there any more."""

    study: int
    reader: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Assignment:
    """What a reader is to do next.

    Attributes:
        place: of the study in the reader's own order, from 1.
    """

    study: ReviewStudy
    stage: Stage
    place: int
