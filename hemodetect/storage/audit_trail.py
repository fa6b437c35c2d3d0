"""Who did what, when, with which bundle: entries only added, each chained to the last by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.storage.database import metadata, reading, writing

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
]
_FIRST = "0" * 64
_LONGEST = 200

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
    """An entry of the audit trail was changed, removed or put in."""


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
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def record(
    who: str,
    action: Action,
    subject: str,
    detail: Mapping[str, object] | None = None,
    *,
    connection: sql.Connection | None = None,
) -> Entry:
    """Adds an entry; it is on disk when this returns, or with the transaction it is part of.

    What cannot be part of a transaction (a file that moves) is recorded before it is done: an entry
    may then speak of what was begun and not ended, and nothing happens without one.

    Args:
        who, action, subject, detail: see `Entry`; names and values of `detail` as JSON has them.
        connection: of `database.writing`, where the entry shall stand or fall with something else.
    """
    if action not in get_args(Action):
        raise ValueError(
            f"The action is {action!r}; expected one of {', '.join(get_args(Action))}."
        )
    if connection is not None:
        return _added(connection, who, action, subject, detail)
    with writing() as own:
        return _added(own, who, action, subject, detail)


def entries(last: int | None = None) -> list[Entry]:
    """The trail, oldest first; only the `last` ones where a number is given."""
    query = sql.select(_trail).order_by(_trail.c.number.desc()).limit(last)
    with reading() as connection:
        return [_entry(row) for row in reversed(connection.execute(query).mappings().all())]


def verify(seal: str | None = None) -> tuple[int, str]:
    """Checks every entry against its hash and the one before.

    Args:
        seal: a digest that was noted down earlier and must still be in the trail. The chain alone
            does not show that its end was cut off.

    Returns:
        Number of entries, and the digest of the last one to note down.

    Raises:
        TrailBroken: says which entry.
    """
    previous, number, seen = _FIRST, 0, seal is None
    with reading() as connection:
        for row in connection.execute(sql.select(_trail).order_by(_trail.c.number)).mappings():
            entry, number = _entry(row), number + 1
            if entry.number != number:
                raise TrailBroken(f"The audit trail lacks entry {number}: it was removed.")
            if entry.previous != previous or entry.digest != row["digest"]:
                raise TrailBroken(
                    f"Entry {number} of the audit trail ({entry.at}, {entry.action}), or the one before"
                    " it, was changed after it was written."
                )
            previous = entry.digest
            seen = seen or previous == seal
    if not seen:
        raise TrailBroken(
            f"None of the {number} entries of the audit trail has the digest {seal}: the end of the"
            " trail, or all of it, was replaced."
        )
    return number, previous


def _added(
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
        previous=_FIRST if last is None else last.digest,
    )
    connection.execute(sql.insert(_trail).values(**asdict(entry), digest=entry.digest))
    return entry


def _entry(row: sql.RowMapping) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
