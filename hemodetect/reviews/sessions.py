"""Review sessions in the database: made once, and read one answer after the other.

A read is added and never changed. What `answer` has returned is on disk.
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
from hemodetect.reviews.sources import OfSet, Source, Truth, as_json, from_json, open_source
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
    """Makes a session.

    Args:
        who: needs the role lead.
        title: for people.
        studies: with the answer where it is known.
        readers: names, as they sign in or name themselves.
        mode: see `hemodetect.reviews.session`.
        seed: drawn where not given; kept.

    Raises:
        NotAllowed: not a lead.
        ReviewError: no title, study or reader, too many of them, or one twice.
    """
    who.require("lead")
    title, names = title.strip(), [name.strip() for name in readers]
    if not 0 < len(title) <= LONGEST_TITLE:
        raise ReviewError(f"A session needs a title of at most {LONGEST_TITLE} characters.")
    if not 0 < len(studies) <= MOST_STUDIES:
        raise ReviewError(f"A session has 1 to {MOST_STUDIES} studies; {len(studies)} were given.")
    if len({source for source, _ in studies}) < len(studies):
        raise ReviewError("A study was given twice; every reader reads a study once.")
    if not 0 < len(names) <= MOST_READERS:
        raise ReviewError(f"A session has 1 to {MOST_READERS} readers; {len(names)} were given.")
    if len({name.casefold() for name in names}) < len(names):
        raise ReviewError("A reader was named twice.")
    if not all(0 < len(name) <= LONGEST_NAME for name in names):
        raise ReviewError(f"A reader's name has 1 to {LONGEST_NAME} characters.")
    if mode not in get_args(Mode):
        raise ReviewError(f"The mode is {mode!r}; expected {', '.join(get_args(Mode))}.")
    made = ReviewSession(
        id=secrets.token_hex(6),
        title=title,
        mode=mode,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        created=datetime.now(UTC),
        created_by=who.name,
        readers=tuple(names),
        studies=tuple(ReviewStudy(n, *given) for n, given in enumerate(studies, start=1)),
    )
    with writing() as connection:
        connection.execute(
            sql.insert(tables.sessions).values(
                id=made.id,
                title=made.title,
                mode=made.mode,
                seed=made.seed,
                created=made.created,
                created_by=made.created_by,
            )
        )
        connection.execute(
            sql.insert(tables.readers),
            [{"session": made.id, "reader": name, "place": n} for n, name in enumerate(names)],
        )
        connection.execute(
            sql.insert(tables.studies),
            [
                {
                    "session": made.id,
                    "number": study.number,
                    "source": as_json(study.source),
                    "truth": study.truth,
                }
                for study in made.studies
            ],
        )
        audit_trail.record(
            who.name,
            "session",
            made.id,
            {"title": title, "mode": mode, "studies": len(studies), "readers": names},
            connection=connection,
        )
    return made


def sessions() -> list[ReviewSession]:
    """All sessions, newest first."""
    query = sql.select(tables.sessions.c.id).order_by(tables.sessions.c.created.desc())
    with reading() as connection:
        return [_session(connection, name) for name in connection.scalars(query).all()]


def session(session_id: str) -> ReviewSession:
    """One session; raises `ReviewError` where there is none."""
    with reading() as connection:
        return _session(connection, session_id)


def reads(session_id: str) -> list[Read]:
    """Every read of a session, in the order they were made."""
    with reading() as connection:
        return _reads(connection, session_id)


def skips(session_id: str) -> list[Skip]:
    """Every study that a reader of the session had to go past, in the order they did."""
    with reading() as connection:
        return _skips(connection, session_id)


def next_assignment(of: ReviewSession, reader: str) -> Assignment | None:
    """Where this reader goes on; None where all is read."""
    with reading() as connection:
        return _next(connection, of, reader)


def reading_from(sets: Collection[str], reader: str | None = None) -> list[ReviewSession]:
    """Sessions with studies of these sets that are not read to their end, by anybody or by `reader`."""
    found = []
    for one in sessions():
        named = None if reader is None else one.reader_named(reader)
        readers = one.readers if reader is None else (named,) if named else ()
        sources = (study.source for study in one.studies)
        if any(isinstance(source, OfSet) and source.set in sets for source in sources) and any(
            next_assignment(one, name) for name in readers
        ):
            found.append(one)
    return found


def shares_read(of: ReviewSession) -> dict[str, float]:
    """Reader -> how much of what can be asked of them they have read, 0 to 1: what they had to skip
    is not asked any more.
    """
    with reading() as connection:
        made, gone = _reads(connection, of.id), _skips(connection, of.id)
    done = {reader: sum(read.reader == reader for read in made) for reader in of.readers}
    due = {reader: len(of.still_due(reader, made, gone)) for reader in of.readers}
    return {
        reader: done[reader] / (done[reader] + due[reader]) if due[reader] else 1.0
        for reader in of.readers
    }


def answer(
    who: Person,
    of: ReviewSession,
    study: int,
    stage: Stage,
    given: Answer,
    seconds: float,
    bundles: Sequence[str] = (),
) -> Read:
    """Adds a read; it is on disk when this returns.

    Args:
        who: needs the role reader and to be one of the session's readers.
        of: the session.
        study, stage: what is answered; must be what `next_assignment` says.
        given: the answer.
        seconds: that the study was in view.
        bundles: versions of the models shown with it, whose answers are kept (`keep_model_reads`).

    Raises:
        NotAllowed: no reader of this session.
        ReviewError: the answer is not possible, was given before, or another one comes first; or
            what a shown model said of the study is not kept.
    """
    reader = _reader(who, of)
    given.check()
    if not 0 <= seconds <= _SLOWEST:
        raise ReviewError(f"The time is {seconds:.0f} s; expected 0 to {_SLOWEST:.0f}.")
    with writing() as connection:
        before = _reads(connection, of.id)
        mine = [r for r in before if (r.reader, r.study, r.stage) == (reader, study, stage)]
        if mine:
            raise ReviewError("This was answered before; a read is kept as it was first given.")
        _check_due(_next(connection, of, reader), study, stage)
        if lost := set(bundles) - set(_versions(connection, of.id, study)):
            raise ReviewError(f"What {', '.join(sorted(lost))} said of this study was not kept.")
        added = Read(
            study, reader, stage, given, round(seconds, 1), datetime.now(UTC), tuple(bundles)
        )
        connection.execute(
            sql.insert(tables.reads).values(
                session=of.id,
                study=study,
                reader=reader,
                stage=stage,
                call=given.call,
                confidence=given.confidence,
                slices=list(given.slices),
                types=list(given.types),
                note=given.note,
                seconds=added.seconds,
                at=added.at,
                bundles=list(bundles),
            )
        )
        audit_trail.record(
            who.name,
            "read",
            f"{of.id}/{study}",
            {"stage": stage, "call": given.call, "bundles": list(bundles)},
            connection=connection,
        )
    return added


def skip(who: Person, of: ReviewSession, study: int) -> Skip:
    """Lets a reader go past a study whose images are gone for good; it is kept that they did.

    Args:
        who: needs the role reader and to be one of the session's readers.
        of: the session.
        study: what `next_assignment` says.

    Raises:
        NotAllowed: no reader of this session.
        ReviewError: the study can be opened, or may be again, or another one comes first.
    """
    reader = _reader(who, of)
    try:
        open_source(of.study(study).source)
    except StudyGone as error:
        added = Skip(study, reader, str(error), datetime.now(UTC))
    except HemodetectError as error:
        raise ReviewError(f"{error} That may pass, so the study is not skipped.") from error
    else:
        raise ReviewError("The images of this study are there; it can be read.")
    with writing() as connection:
        _check_due(_next(connection, of, reader), study)
        connection.execute(sql.insert(tables.skips).values(session=of.id, **asdict(added)))
        told = {"reason": added.reason}
        audit_trail.record(who.name, "skip", f"{of.id}/{study}", told, connection=connection)
    return added


def may_read(who: Person, of: ReviewSession) -> bool:
    """Whether this person is one of the session's readers."""
    return "reader" in who.roles and of.reader_named(who.name) is not None


def may_see_results(who: Person, of: ReviewSession) -> bool:
    """Whether nothing they see can change a read: a reader of it who has read all, the lead who made
    it and does not read in it, or any lead when all is read.
    """
    reader = of.reader_named(who.name)
    if reader is not None and "reader" in who.roles:
        return next_assignment(of, reader) is None
    if "lead" not in who.roles or reader is not None:
        return False
    made_it = who.name.strip().casefold() == of.created_by.strip().casefold()
    return made_it or all(next_assignment(of, name) is None for name in of.readers)


def _reader(who: Person, of: ReviewSession) -> str:
    """The person's name as the session has it."""
    who.require("reader")
    name = of.reader_named(who.name)
    if name is None:
        raise ReviewError(f"{who.name} is not one of the readers of this session.")
    return name


def _next(connection: sql.Connection, of: ReviewSession, reader: str) -> Assignment | None:
    due = of.still_due(reader, _reads(connection, of.id), _skips(connection, of.id))
    return due[0] if due else None


def _check_due(due: Assignment | None, study: int, stage: Stage | None = None) -> None:
    """Raises `ReviewError` where something else is to be read; of any stage where none is given."""
    if due is None or due.study.number != study or stage not in (None, due.stage):
        raise ReviewError("Another read comes first; open the session again to go on there.")


def _session(connection: sql.Connection, session_id: str) -> ReviewSession:
    kept = connection.execute(
        sql.select(tables.sessions).where(tables.sessions.c.id == session_id)
    ).one_or_none()
    if kept is None:
        raise ReviewError("There is no such review session.")
    names = sql.select(tables.readers.c.reader).where(tables.readers.c.session == session_id)
    studies = sql.select(tables.studies).where(tables.studies.c.session == session_id)
    return ReviewSession(
        id=kept.id,
        title=kept.title,
        mode=kept.mode,
        seed=kept.seed,
        created=_aware(kept.created),
        created_by=kept.created_by,
        readers=tuple(connection.scalars(names.order_by(tables.readers.c.place))),
        studies=tuple(
            ReviewStudy(row.number, from_json(row.source), row.truth)
            for row in connection.execute(studies.order_by(tables.studies.c.number))
        ),
    )


def _reads(connection: sql.Connection, session_id: str) -> list[Read]:
    query = sql.select(tables.reads).where(tables.reads.c.session == session_id)
    return [
        Read(
            study=row.study,
            reader=row.reader,
            stage=row.stage,
            answer=Answer(row.call, row.confidence, tuple(row.slices), tuple(row.types), row.note),
            seconds=row.seconds,
            at=_aware(row.at),
            bundles=tuple(row.bundles),
        )
        for row in connection.execute(query.order_by(tables.reads.c.id))
    ]


def _skips(connection: sql.Connection, session_id: str) -> list[Skip]:
    query = sql.select(tables.skips).where(tables.skips.c.session == session_id)
    return [
        Skip(row.study, row.reader, row.reason, _aware(row.at))
        for row in connection.execute(query.order_by(tables.skips.c.at))
    ]


def _versions(connection: sql.Connection, session_id: str, study: int) -> list[str]:
    kept = tables.model_reads.c
    query = sql.select(kept.version).where(kept.session == session_id, kept.study == study)
    return list(connection.scalars(query.order_by(kept.family)))


def _aware(time: datetime) -> datetime:
    """SQLite keeps no zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
