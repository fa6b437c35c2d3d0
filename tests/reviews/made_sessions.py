"""Reading a session as a reader would, without the page."""

from __future__ import annotations

from collections.abc import Callable

from hemodetect.reviews.session import Answer, Call, ReviewSession
from hemodetect.reviews.sessions import answer
from hemodetect.storage.people import local_person

Make = Callable[..., ReviewSession]


def read_all(session: ReviewSession, reader: str, calls: dict[int, tuple[Call, Call]]) -> None:
    """Reads every study in order: study -> the call without and with the models."""
    for number in session.order(reader):
        for stage in session.stages(reader, number):
            call = calls[number][stage == "shown"]
            answer(local_person(reader), session, number, stage, Answer(call, 3), 10.0)
