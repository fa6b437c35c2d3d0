"""Review sessions in the database: created once, then filled with one read after the other.

A read is added and never changed. It is on disk when `answer` returns.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import get_args

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.reviews import tables
from hemodetect.reviews.rows import (
    stored_reads,
    stored_session,
    stored_skips,
    stored_versions,
)
from hemodetect.reviews.saved import StudyGone
from hemodetect.reviews.session import (
    Answer,
    Assignment,
    Mode,
    Read,
    ReviewError,
    ReviewSession,
    ReviewStudy,
    Skip,
    Stage,
)
from hemodetect.reviews.sources import OfSet, Source, Truth, as_json, open_source
from hemodetect.storage import audit_trail
from hemodetect.storage.database import reading, writing
from hemodetect.storage.people import LONGEST_NAME, Person

MOST_STUDIES, MOST_READERS, LONGEST_TITLE = 500, 50, 200
_SLOWEST = 7 * 24 * 3600.0  # seconds


def create(
    who: Person,
    title: str,
    studies: Sequence[tuple[Source, Truth | None]],
    readers: Sequence[str],
    mode: Mode,
    seed: int | None = None,
) -> ReviewSession:
    """Creates a session.

    Args:
        who: needs the role lead.
        title: shown on the pages.
        studies: each with its label where the label is known.
        readers: their names, as they sign in or enter them.
        mode: see `hemodetect.reviews.session`.
        seed: drawn at random where None; stored with the session.

    Raises:
        NotAllowed: not a lead.
        ReviewError: a title, study or reader is missing, repeated or too long, or there are too many.
    """
    who.require("lead")
    title, names = title.strip(), [name.strip() for name in readers]
    if not 0 < len(title) <= LONGEST_TITLE:
        raise ReviewError(f"A session needs a title of at most {LONGEST_TITLE} characters.")
    if not 0 < len(studies) <= MOST_STUDIES:
        raise ReviewError(f"A session has 1 to {MOST_STUDIES} studies; {len(studies)} were given.")
    if len({source for source, _ in studies}) < len(studies):
        raise ReviewError("A study was given twice; every reader reads a study only once.")
    if not 0 < len(names) <= MOST_READERS:
        raise ReviewError(f"A session has 1 to {MOST_READERS} readers; {len(names)} were given.")
    if len({name.casefold() for name in names}) < len(names):
        raise ReviewError("A reader was named twice.")
    if not all(0 < len(name) <= LONGEST_NAME for name in names):
        raise ReviewError(f"A reader's name has 1 to {LONGEST_NAME} characters.")
    if mode not in get_args(Mode):
        raise ReviewError(f"The mode is {mode!r}; expected {', '.join(get_args(Mode))}.")
    created_session = ReviewSession(
        id=secrets.token_hex(6),
        title=title,
        mode=mode,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        created=datetime.now(UTC),
        created_by=who.name,
        readers=tuple(names),
        studies=tuple(
            ReviewStudy(number, source, truth)
            for number, (source, truth) in enumerate(studies, start=1)
        ),
    )
    with writing() as connection:
        connection.execute(
            sql.insert(tables.sessions).values(
                id=created_session.id,
                title=created_session.title,
                mode=created_session.mode,
                seed=created_session.seed,
                created=created_session.created,
                created_by=created_session.created_by,
            )
        )
        connection.execute(
            sql.insert(tables.readers),
            [
                {"session": created_session.id, "reader": name, "place": n}
                for n, name in enumerate(names)
            ],
        )
        connection.execute(
            sql.insert(tables.studies),
            [
                {
                    "session": created_session.id,
                    "number": study.number,
                    "source": as_json(study.source),
                    "truth": study.truth,
                }
                for study in created_session.studies
            ],
        )
        audit_trail.record(
            who.name,
            "session",
            created_session.id,
            {"title": title, "mode": mode, "studies": len(studies), "readers": names},
            connection=connection,
        )
    return created_session


def sessions() -> list[ReviewSession]:
    """All sessions, newest first."""
    query = sql.select(tables.sessions.c.id).order_by(tables.sessions.c.created.desc())
    with reading() as connection:
        return [stored_session(connection, name) for name in connection.scalars(query).all()]


def session(session_id: str) -> ReviewSession:
    """One session; raises `ReviewError` where there is none."""
    with reading() as connection:
        return stored_session(connection, session_id)


def reads(session_id: str) -> list[Read]:
    """Every read of a session, in the order they were made."""
    with reading() as connection:
        return stored_reads(connection, session_id)


def skips(session_id: str) -> list[Skip]:
    """Every study that a reader of the session had to skip, in the order of the skips."""
    with reading() as connection:
        return stored_skips(connection, session_id)


def next_assignment(review_session: ReviewSession, reader: str) -> Assignment | None:
    """The next read of this reader; None where everything is read."""
    with reading() as connection:
        return _next(connection, review_session, reader)


def reading_from(sets: Collection[str], reader: str | None = None) -> list[ReviewSession]:
    """Sessions with studies of these sets in which any reader, or `reader`, still has reads to do."""
    unfinished = []
    for listed_session in sessions():
        own_name = None if reader is None else listed_session.reader_named(reader)
        readers = listed_session.readers if reader is None else (own_name,) if own_name else ()
        sources = (study.source for study in listed_session.studies)
        if any(isinstance(source, OfSet) and source.set in sets for source in sources) and any(
            next_assignment(listed_session, name) for name in readers
        ):
            unfinished.append(listed_session)
    return unfinished


def shares_read(review_session: ReviewSession) -> dict[str, float]:
    """Reader -> share of their reads that are done, 0 to 1; a skipped study no longer counts."""
    with reading() as connection:
        session_reads, session_skips = (
            stored_reads(connection, review_session.id),
            stored_skips(connection, review_session.id),
        )
    done = {
        reader: sum(read.reader == reader for read in session_reads)
        for reader in review_session.readers
    }
    due = {
        reader: len(review_session.still_due(reader, session_reads, session_skips))
        for reader in review_session.readers
    }
    return {
        reader: done[reader] / (done[reader] + due[reader]) if due[reader] else 1.0
        for reader in review_session.readers
    }


def answer(
    who: Person,
    review_session: ReviewSession,
    study: int,
    stage: Stage,
    new_answer: Answer,
    seconds: float,
    bundles: Sequence[str] = (),
) -> Read:
    """Adds a read; it is on disk when this returns.

    Args:
        who: needs the role reader and to be one of the session's readers.

        review_session: the session.
        study, stage: must be the reader's `next_assignment`.
        new_answer: the reader's answer.
        seconds: how long the study was on the screen.
        bundles: versions of the models on the screen; their answers must be stored before
            (`keep_model_reads`).

    Raises:
        NotAllowed: the person does not have the role reader.
        ReviewError: the person is not a reader of this session; the answer is not valid, was given
            before, or another read comes first; or the answer of a shown model is not stored.
    """
    reader = _reader(who, review_session)
    new_answer.check()
    if not 0 <= seconds <= _SLOWEST:
        raise ReviewError(f"The time is {seconds:.0f} s; expected 0 to {_SLOWEST:.0f}.")
    with writing() as connection:
        session_reads = stored_reads(connection, review_session.id)
        earlier_reads = [
            r for r in session_reads if (r.reader, r.study, r.stage) == (reader, study, stage)
        ]
        if earlier_reads:
            raise ReviewError("This was answered before; the first answer is kept.")
        _check_due(_next(connection, review_session, reader), study, stage)
        if unsaved := set(bundles) - set(stored_versions(connection, review_session.id, study)):
            raise ReviewError(
                f"The answer of {', '.join(sorted(unsaved))} for this study is not stored."
            )
        new_read = Read(
            study, reader, stage, new_answer, round(seconds, 1), datetime.now(UTC), tuple(bundles)
        )
        connection.execute(
            sql.insert(tables.reads).values(
                session=review_session.id,
                study=study,
                reader=reader,
                stage=stage,
                call=new_answer.call,
                confidence=new_answer.confidence,
                slices=list(new_answer.slices),
                types=list(new_answer.types),
                note=new_answer.note,
                seconds=new_read.seconds,
                at=new_read.at,
                bundles=list(bundles),
                mark=new_answer.mark and asdict(new_answer.mark),
            )
        )
        audit_trail.record(
            who.name,
            "read",
            f"{review_session.id}/{study}",
            {"stage": stage, "call": new_answer.call, "bundles": list(bundles)},
            connection=connection,
        )
    return new_read


def skip(who: Person, review_session: ReviewSession, study: int) -> Skip:
    """Records that a reader skips a study whose images are gone for good.

    Args:
        who: needs the role reader and to be one of the session's readers.

        review_session: the session.
        study: number of the study of `next_assignment`.

    Raises:
        NotAllowed: the person does not have the role reader.
        ReviewError: the person is not a reader of this session, another study comes first, or the
            study can be opened now or perhaps later.
    """
    reader = _reader(who, review_session)
    try:
        open_source(review_session.study(study).source)
    except StudyGone as error:
        new_skip = Skip(study, reader, str(error), datetime.now(UTC))
    except HemodetectError as error:
        raise ReviewError(f"{error} This may be temporary, so the study is not skipped.") from error
    else:
        raise ReviewError("The images of this study can be opened; read it instead of skipping it.")
    with writing() as connection:
        _check_due(_next(connection, review_session, reader), study)
        connection.execute(
            sql.insert(tables.skips).values(session=review_session.id, **asdict(new_skip))
        )
        detail = {"reason": new_skip.reason}
        audit_trail.record(
            who.name, "skip", f"{review_session.id}/{study}", detail, connection=connection
        )
    return new_skip


def may_read(who: Person, review_session: ReviewSession) -> bool:
    """Whether this person is one of the session's readers."""
    return "reader" in who.roles and review_session.reader_named(who.name) is not None


def may_see_results(who: Person, review_session: ReviewSession) -> bool:
    """Whether the results can no longer influence a read of this person.

    True for a reader who has read everything, for the lead who created the session and is not one of
    its readers, and for any other lead once everything is read.
    """
    reader = review_session.reader_named(who.name)
    if reader is not None and "reader" in who.roles:
        return next_assignment(review_session, reader) is None
    if "lead" not in who.roles or reader is not None:
        return False
    is_creator = who.name.strip().casefold() == review_session.created_by.strip().casefold()
    return is_creator or all(
        next_assignment(review_session, name) is None for name in review_session.readers
    )


def _reader(who: Person, review_session: ReviewSession) -> str:
    """The person's name as the session spells it."""
    who.require("reader")
    name = review_session.reader_named(who.name)
    if name is None:
        raise ReviewError(f"{who.name} is not one of the readers of this session.")
    return name


def _next(
    connection: sql.Connection, review_session: ReviewSession, reader: str
) -> Assignment | None:
    due = review_session.still_due(
        reader,
        stored_reads(connection, review_session.id),
        stored_skips(connection, review_session.id),
    )
    return due[0] if due else None


def _check_due(due: Assignment | None, study: int, stage: Stage | None = None) -> None:
    """Raises `ReviewError` where the next read is not of this study and, if given, this stage."""
    if due is None or due.study.number != study or stage not in (None, due.stage):
        raise ReviewError("Another read comes first; open the session again to continue with it.")
