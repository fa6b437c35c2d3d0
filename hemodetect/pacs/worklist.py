"""The worklist: a row a study, from its first file until it is removed.

A study is *arriving* while files come, *waiting* for the models, being *judged* by them, and then
*judged*, *stopped* (the input check, or nothing in it can be read) or *failed*. New files put it back
to arriving, whatever was going on.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.pacs import inbox
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.database import metadata, reading, stored_time, writing
from hemodetect.storage.people import Person

State = Literal["arriving", "waiting", "being judged", "judged", "stopped", "failed"]
MOST_ATTEMPTS = 3
"""Times that a study may end the process of the models before it counts as failed."""
ENDED_EARLY = (
    f"The models' process ended {MOST_ATTEMPTS} times while it read this study. Read it without"
    " the models."
)

_rows = sql.Table(
    "worklist",
    metadata,
    sql.Column("study", sql.String(64), primary_key=True),
    sql.Column("source", sql.String(200), nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("files", sql.Integer, nullable=False),
    sql.Column("received", sql.DateTime(timezone=True), nullable=False),
    sql.Column("heard", sql.DateTime(timezone=True), nullable=False),
    sql.Column("judged", sql.DateTime(timezone=True)),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("score", sql.Float),
    sql.Column("slices", sql.Integer, nullable=False),
    sql.Column("answers", sql.JSON, nullable=False),
    sql.Column("cautions", sql.JSON, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("taken_by", sql.String(200), nullable=False),
    sql.Column("taken", sql.DateTime(timezone=True)),
    sql.Column("done_by", sql.String(200), nullable=False),
    sql.Column("done", sql.DateTime(timezone=True)),
)
_NOT_JUDGED: dict[str, Any] = {
    "judged": None,
    "score": None,
    "slices": 0,
    "answers": {},
    "cautions": [],
    "reason": "",
}


class WorklistError(HemodetectError):
    """The study is not in the worklist, or somebody else has it."""


@dataclass(frozen=True)
class Entry:
    """A study of the worklist.

    Attributes:
        study: its pseudonym.
        source: who sent it: AE title and address, or the person who fetched it.
        state: see above.
        files: number of files.
        received, heard: when the first and the last file came, UTC.
        judged: when the models had read it.
        attempts: how often they began.
        score: the study's calibrated probability, see `hemodetect.pacs.judging.study_score`; None where
            no model had anything to judge by.
        slices: of the series that they read.
        answers: by family: "patient", "threshold", "call", "undecided", "suspicious", "version".
        cautions: sentences to read beside the calls.
        reason: why it was stopped or failed, in a sentence.
        taken_by, taken: who opened it last, and when; "" where nobody has it.
        done_by, done: who has read it, and when.
    """

    study: str
    source: str
    state: State
    files: int
    received: datetime
    heard: datetime
    judged: datetime | None
    attempts: int
    score: float | None
    slices: int
    answers: dict[str, dict[str, Any]]
    cautions: tuple[str, ...]
    reason: str
    taken_by: str
    taken: datetime | None
    done_by: str
    done: datetime | None

    @property
    def is_ended(self) -> bool:
        """Whether the models have done with it."""
        return self.state in ("judged", "stopped", "failed")

    @property
    def not_judged_reason(self) -> str:
        """Why no model could judge it, in a sentence; "" where one did, or it is not their turn yet."""
        if self.state in ("stopped", "failed"):
            return self.reason
        if self.state == "judged" and self.score is None:
            return "No model can tell anything about it."
        return ""


def in_reading_order(entries: Sequence[Entry]) -> list[Entry]:
    """First the studies that no model could judge, then by probability, then those not judged yet.

    Among equals the one that has waited longest. What has been read comes last.
    """

    def place(entry: Entry) -> tuple[bool, int, float, datetime]:
        if entry.not_judged_reason:
            group = 0
        elif entry.is_ended:
            group = 1
        else:
            group = 2
        return entry.done is not None, group, -(entry.score or 0.0), entry.received

    return sorted(entries, key=place)


def entries() -> list[Entry]:
    """All studies, in the order to read them; raises `DatabaseDown`."""
    with reading() as connection:
        rows = connection.execute(sql.select(_rows)).mappings().all()
    return in_reading_order([_entry(row) for row in rows])


def entry(study: str) -> Entry | None:
    """One study; raises `DatabaseDown`."""
    with reading() as connection:
        return _found(connection, study)


def arriving(study: str, source: str, now: datetime | None = None) -> None:
    """A new file of a study is about to be kept; raises `DatabaseDown`."""
    moment = now or datetime.now(UTC)
    with writing() as connection:
        changed = connection.execute(
            sql.update(_rows)
            .where(_rows.c.study == study)
            .values(state="arriving", source=source[:200], heard=moment, attempts=0, **_NOT_JUDGED)
            .values(done=None, done_by="")
        )
        if not changed.rowcount:
            _add(connection, study, source, moment)


def complete(study: str, now: datetime | None = None) -> None:
    """No more files will come: the study waits for the models, unless they have read all its files.

    Raises:
        DatabaseDown: the database cannot be written now.
    """
    count = inbox.count(study)
    with writing() as connection:
        connection.execute(
            sql.update(_rows)
            .where(_rows.c.study == study)
            .where((_rows.c.state == "arriving") | (_rows.c.files < count))
            .values(state="waiting", files=count, heard=now or datetime.now(UTC), attempts=0)
            .values(done=None, done_by="", **_NOT_JUDGED)
        )


def settle(now: datetime | None = None) -> int:
    """Takes up studies whose sender fell silent, and files that no row names; returns how many.

    Raises:
        DatabaseDown: the database cannot be written now.
    """
    moment, settled = now or datetime.now(UTC), 0
    folders = inbox.studies()  # before the rows: each has its row before its folder
    known = {one.study: one for one in entries()}
    for study in set(folders) - set(known):
        with writing() as connection:
            _add(connection, study, "not known", inbox.last_arrival(study) or moment)
    for one in known.values():
        try:
            settled += _settled(one, moment)
        except OSError:
            continue  # its files went while they were looked at
    return settled


def _settled(one: Entry, moment: datetime) -> bool:
    count = inbox.count(one.study)
    if one.state != "arriving" and count <= one.files:
        return False
    last = max(filter(None, (inbox.last_arrival(one.study), one.heard)))
    if moment - last < timedelta(seconds=settings().quiet_seconds):
        return False
    if count:
        complete(one.study, last)
        return True
    _remove_row(one.study, moment, ("arriving",))  # every file was refused
    return False


def next_to_judge() -> Entry | None:
    """The study that has waited longest, now being judged; None where none waits.

    Raises:
        DatabaseDown: the database cannot be written now.
    """
    longest = sql.select(_rows).where(_rows.c.state == "waiting")
    longest = longest.order_by(_rows.c.received, _rows.c.study).limit(1)
    with writing() as connection:
        row = connection.execute(longest).mappings().first()
        if row is None:
            return None
        begun = {"state": "being judged", "attempts": row["attempts"] + 1}
        connection.execute(sql.update(_rows).where(_rows.c.study == row["study"]).values(**begun))
    return _entry({**row, **begun})


def take_up_again() -> None:
    """Studies that were being judged when the models' process ended wait again, or have failed.

    Only for the one process of the models, at its start. Raises `DatabaseDown`.
    """
    with writing() as connection:
        begun = sql.update(_rows).where(_rows.c.state == "being judged")
        connection.execute(
            begun.where(_rows.c.attempts >= MOST_ATTEMPTS).values(
                state="failed", reason=ENDED_EARLY, judged=datetime.now(UTC)
            )
        )
        connection.execute(begun.values(state="waiting"))


def judged(study: str, result: Mapping[str, Any]) -> bool:
    """Keeps what the models said; False where new files came meanwhile. Raises `DatabaseDown`.

    Args:
        study: being judged.
        result: "state" (judged, stopped or failed), and of the other columns those that are known.
    """
    return _change(
        study, ("being judged",), **{**_NOT_JUDGED, "judged": datetime.now(UTC), **result}
    )


def take(study: str, who: Person, *, from_other: bool = False) -> None:
    """A person opens a study to read it; entered in the audit trail.

    Raises:
        WorklistError: it is gone, or another person has it and `from_other` is not set.
        NotAllowed: the person may not read.
        DatabaseDown: the database cannot be written now.
    """
    who.require("reader")
    with writing() as connection:
        row = _listed(connection, study)
        if row.taken_by not in ("", who.name) and not from_other:
            raise WorklistError(f"{row.taken_by} has this study.")
        connection.execute(
            sql.update(_rows)
            .where(_rows.c.study == study)
            .values(taken_by=who.name, taken=datetime.now(UTC))
        )
        detail = {"from": row.taken_by} if row.taken_by not in ("", who.name) else {}
        audit_trail.record(who.name, "take", study, detail, connection=connection)


def give_back(study: str, who: Person) -> None:
    """A person closes a study without having read it. Raises `DatabaseDown`."""
    with writing() as connection:
        connection.execute(
            sql.update(_rows)
            .where(_rows.c.study == study, _rows.c.taken_by == who.name)
            .values(taken_by="", taken=None)
        )


def finish(study: str, who: Person, files: int) -> None:
    """A person has read a study; entered in the audit trail.

    Args:
        study: its pseudonym.
        who: has taken it.
        files: number of files that the person saw.

    Raises:
        WorklistError: it is gone, another person has it, or new images came.
        NotAllowed: the person may not read.
        DatabaseDown: the database cannot be written now.
    """
    who.require("reader")
    with writing() as connection:
        row = _listed(connection, study)
        if row.taken_by != who.name:
            raise WorklistError(
                f"{row.taken_by or 'Nobody'} has this study; open it again from the worklist."
            )
        if row.files != files or row.state == "arriving":
            raise WorklistError("New images of this study came; open it again from the worklist.")
        connection.execute(
            sql.update(_rows)
            .where(_rows.c.study == study)
            .values(done=datetime.now(UTC), done_by=who.name, taken_by="", taken=None)
        )
        audit_trail.record(who.name, "finish", study, connection=connection)


def sweep(now: datetime | None = None) -> int:
    """Removes studies whose time in the worklist is over, with their files; returns how many.

    Raises:
        DatabaseDown: the database cannot be written now.
    """
    moment, removed = now or datetime.now(UTC), 0
    expired = moment - timedelta(days=settings().worklist_days)
    for one in entries():
        if one.heard < expired and one.is_ended:
            audit_trail.record("hemodetect", "sweep", one.study)
            removed += _remove_row(one.study, expired, ("judged", "stopped", "failed"))
    return removed


def _add(connection: sql.Connection, study: str, source: str, moment: datetime) -> None:
    connection.execute(
        sql.insert(_rows).values(
            study=study,
            source=source[:200],
            state="arriving",
            files=0,
            received=moment,
            heard=moment,
            attempts=0,
            taken_by="",
            done_by="",
            **_NOT_JUDGED,
        )
    )


def _found(connection: sql.Connection, study: str) -> Entry | None:
    row = connection.execute(sql.select(_rows).where(_rows.c.study == study)).mappings().first()
    return None if row is None else _entry(row)


def _listed(connection: sql.Connection, study: str) -> Entry:
    row = _found(connection, study)
    if row is None:
        raise WorklistError("The study is not in the worklist any more.")
    return row


def _change(study: str, only_from: tuple[State, ...], **values: Any) -> bool:
    with writing() as connection:
        query = sql.update(_rows).where(_rows.c.study == study, _rows.c.state.in_(only_from))
        return connection.execute(query.values(**values)).rowcount == 1


def _remove_row(study: str, heard_before: datetime, only_from: tuple[State, ...]) -> bool:
    """Removes a study with its files, unless new ones came meanwhile."""
    with writing() as connection:
        query = sql.delete(_rows).where(
            _rows.c.study == study, _rows.c.state.in_(only_from), _rows.c.heard <= heard_before
        )
        if not connection.execute(query).rowcount:
            return False
        folder = inbox.set_aside(study)  # while nobody else can announce new files
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _entry(row: Mapping[Any, Any]) -> Entry:
    values = {field.name: stored_time(row[field.name]) for field in fields(Entry)}
    return Entry(**values | {"cautions": tuple(values["cautions"])})
