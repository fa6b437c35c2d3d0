"""Rows of the tables of review sessions as the values of `session`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql

from hemodetect.reviews import tables
from hemodetect.reviews.session import (
    Answer,
    Mark,
    Read,
    ReviewError,
    ReviewSession,
    ReviewStudy,
    Skip,
)
from hemodetect.reviews.sources import from_json
from hemodetect.storage.database import stored_time


def stored_session(connection: sql.Connection, session_id: str) -> ReviewSession:
    """The session; raises `ReviewError` where there is none."""
    row = connection.execute(
        sql.select(tables.sessions).where(tables.sessions.c.id == session_id)
    ).one_or_none()
    if row is None:
        raise ReviewError("There is no such review session.")
    names = sql.select(tables.readers.c.reader).where(tables.readers.c.session == session_id)
    studies = sql.select(tables.studies).where(tables.studies.c.session == session_id)
    return ReviewSession(
        id=row.id,
        title=row.title,
        mode=row.mode,
        seed=row.seed,
        created=stored_time(row.created),
        created_by=row.created_by,
        readers=tuple(connection.scalars(names.order_by(tables.readers.c.place))),
        studies=tuple(
            ReviewStudy(row.number, from_json(row.source), row.truth)
            for row in connection.execute(studies.order_by(tables.studies.c.number))
        ),
    )


def stored_reads(connection: sql.Connection, session_id: str) -> list[Read]:
    """All reads of a session, in the order in which they were submitted."""
    query = sql.select(tables.reads).where(tables.reads.c.session == session_id)
    return [
        Read(
            study=row.study,
            reader=row.reader,
            stage=row.stage,
            answer=Answer(
                row.call,
                row.confidence,
                tuple(row.slices),
                tuple(row.types),
                row.note,
                _mark(row.mark),
            ),
            seconds=row.seconds,
            at=stored_time(row.at),
            bundles=tuple(row.bundles),
        )
        for row in connection.execute(query.order_by(tables.reads.c.id))
    ]


def _mark(facts: dict[str, Any] | None) -> Mark | None:
    if facts is None:
        return None
    place = facts["millimetres"]
    return Mark(facts["slice"], facts["row"], facts["column"], place and tuple(place))


def stored_skips(connection: sql.Connection, session_id: str) -> list[Skip]:
    """All skipped studies of a session, by time."""
    query = sql.select(tables.skips).where(tables.skips.c.session == session_id)
    return [
        Skip(row.study, row.reader, row.reason, stored_time(row.at))
        for row in connection.execute(query.order_by(tables.skips.c.at))
    ]


def stored_versions(connection: sql.Connection, session_id: str, study: int) -> list[str]:
    """Versions of the models whose answers for a study are stored, by family."""
    columns = tables.model_reads.c
    query = sql.select(columns.version).where(columns.session == session_id, columns.study == study)
    return list(connection.scalars(query.order_by(columns.family)))
