"""Sessions that the tests of reviews share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hemodetect.people import Person, local_person
from hemodetect.reviews.session import Answer, Call, Mode, ReviewSession
from hemodetect.reviews.sessions import answer, create
from hemodetect.reviews.sources import MadeUp, Source, Truth

Make = Callable[..., ReviewSession]


@pytest.fixture
def lead() -> Person:
    return local_person("Lena")


@pytest.fixture
def make(lead: Person) -> Make:
    """Makes a session of made-up heads, the first half with a bleed."""

    def made(
        readers: tuple[str, ...] = ("Ada", "Bo"), mode: Mode = "blind-first", n: int = 4
    ) -> ReviewSession:
        studies: list[tuple[Source, Truth | None]] = [
            (MadeUp(seed, "subdural", 20.0), "hemorrhage")
            if seed < n / 2
            else (MadeUp(seed), "none")
            for seed in range(n)
        ]
        return create(lead, "A session", studies, readers, mode, seed=7)

    return made


def read_all(session: ReviewSession, reader: str, calls: dict[int, tuple[Call, Call]]) -> None:
    """Reads every study in order: study -> the call without and with the models."""
    for number in session.order(reader):
        for stage in session.stages(reader, number):
            call = calls[number][stage == "shown"]
            answer(local_person(reader), session, number, stage, Answer(call, 3), 10.0)
