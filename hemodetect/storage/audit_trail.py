"""Who did what, when, with which bundle: entries are only added, each chained to the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.storage.database import metadata, reading, writing
from hemodetect.storage.hash_chain import FIRST_LINK, ChainBroken, checked_entries, entry_digest

Action = Literal[
    "sign-in",
    "upload",
    "open",
    "session",
    "read",
    "skip",
    "export",
    "train",
    "cancel",
    "resume",
    "promote",
    "rollback",
    "remove",
    "sweep",
    "receive",
    "search",
    "take",
    "finish",
    "send",
]
_LONGEST = 200  # characters of a name or subject

_trail = sql.Table(
    "audit_trail",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("at", sql.String(40), nullable=False),
    sql.Column("who", sql.String(200), nullable=False),
    sql.Column("action", sql.String(40), nullable=False),
    sql.Column("subject", sql.String(200), nullable=False),
    sql.Column("detail", sql.Text, nullable=False),
    sql.Column("previous", sql.String(64), nullable=False),
    sql.Column("digest", sql.String(64), nullable=False),
)


class TrailBroken(HemodetectError):
    """An entry of the audit trail was changed, removed or inserted."""


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        number: from 1, without gaps.
        at: UTC, ISO 8601.
        who: a person, as they signed in or named themselves.
        action: what was done.
        subject: to what: a study's pseudonym, a session, a bundle's version, a job.
        detail: more of it, as canonical JSON.
        previous: digest of the entry before; zeros for the first.
    """

    number: int
    at: str
    who: str
    action: str
    subject: str
    detail: str
    previous: str

    @property
    def digest(self) -> str:
        """SHA-256 of all fields."""
        return entry_digest(self)


def record(
    who: str,
    action: Action,
    subject: str,
    detail: Mapping[str, object] | None = None,
    *,
    connection: sql.Connection | None = None,
) -> Entry:
    """Adds an entry; it is on disk when this returns, or with the transaction it is part of.

    What cannot be part of a transaction (moving a file) is recorded before it is done. An entry may
    then name something that was begun and not completed, but nothing is done without an entry.

    Args:
        who, action, subject, detail: see `Entry`; names and values of `detail` as JSON has them.
        connection: a transaction of `database.writing` that the entry becomes part of.

    Raises:
        ValueError: the action is none of `Action`.
        DatabaseDown: the database cannot be written now.
    """
    if action not in get_args(Action):
        raise ValueError(
            f"The action is {action!r}; expected one of {', '.join(get_args(Action))}."
        )
    if connection is not None:
        return _insert_next(connection, who, action, subject, detail)
    with writing() as new_connection:
        return _insert_next(new_connection, who, action, subject, detail)


def entries(last: int | None = None) -> list[Entry]:
    """The trail, oldest first; only the newest `last` entries where a number is given.

    Raises:
        DatabaseDown: the database cannot be read now.
    """
    query = sql.select(_trail).order_by(_trail.c.number.desc()).limit(last)
    with reading() as connection:
        return [_entry(row) for row in reversed(connection.execute(query).mappings().all())]


def verify(seal: str | None = None) -> tuple[int, str]:
    """Checks every entry against its digest and the entry before.

    Args:
        seal: a digest from an earlier check, which must still be in the trail. The chain alone does
            not show that its end was cut off.

    Returns:
        The number of entries, and the digest of the last one: the seal for the next check.

    Raises:
        TrailBroken: names the first entry that was changed or removed.
        DatabaseDown: the database cannot be read now.
    """
    count, digest, seal_found = 0, FIRST_LINK, seal is None
    with reading() as connection:
        try:
            for entry in checked_entries(_chain(connection)):
                count, digest = entry.number, entry.digest
                seal_found = seal_found or digest == seal
        except ChainBroken as broken:
            changed = broken.entry
            assert isinstance(changed, Entry)
            raise TrailBroken(
                f"Entry {changed.number} of the audit trail ({changed.at}, {changed.action}), or the"
                " one before it, was changed after it was written."
            ) from None
    if not seal_found:
        raise TrailBroken(
            f"None of the {count} entries of the audit trail has the digest {seal}: the end of the"
            " trail, or all of it, was replaced."
        )
    return count, digest


def _chain(connection: sql.Connection) -> Iterator[tuple[Entry, str]]:
    """Every entry with its digest as written; raises `TrailBroken` where a number is missing."""
    rows = connection.execute(sql.select(_trail).order_by(_trail.c.number)).mappings()
    for number, row in enumerate(rows, start=1):
        entry = _entry(row)
        if entry.number != number:
            raise TrailBroken(f"The audit trail lacks entry {number}: it was removed.")
        yield entry, row["digest"]


def _insert_next(
    connection: sql.Connection,
    who: str,
    action: str,
    subject: str,
    detail: Mapping[str, object] | None,
) -> Entry:
    last = connection.execute(
        sql.select(_trail.c.number, _trail.c.digest).order_by(_trail.c.number.desc()).limit(1)
    ).one_or_none()
    entry = Entry(
        number=1 if last is None else last.number + 1,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        who=who[:_LONGEST],
        action=action,
        subject=subject[:_LONGEST],
        detail=json.dumps(dict(detail or {}), sort_keys=True, ensure_ascii=True),
        previous=FIRST_LINK if last is None else last.digest,
    )
    connection.execute(sql.insert(_trail).values(**asdict(entry), digest=entry.digest))
    return entry


def _entry(row: sql.RowMapping) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
