"""Results on their way to the PACS: in order, each once, later where the PACS is down.

    STATE/outbox/12/report.dcm.sealed

The files carry the patient's identity, so they are encrypted, and removed once they are there. A
delivery that was cut off is sent again with the same UIDs, which a PACS keeps once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.pacs.outcomes import Refused
from hemodetect.pacs.sealed import SealBroken, read_sealed, write_sealed
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.database import DatabaseDown, metadata, reading, stored_time, writing

Send = Callable[[Mapping[str, bytes]], None]
"""Sends files by name; raises `Refused` where the PACS will never take them, else any error."""
State = Literal["being written", "waiting", "sent", "refused"]
_SUFFIX = ".sealed"
CUT_OFF = "They were not written whole; send them again."
_LONGEST_WRITING = timedelta(minutes=10)
_SOONEST, _LATEST = 5.0, 600.0  # seconds until the next try

_rows = sql.Table(
    "deliveries",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("study", sql.String(64), nullable=False),
    sql.Column("who", sql.String(200), nullable=False),
    sql.Column("files", sql.Integer, nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("created", sql.DateTime(timezone=True), nullable=False),
    sql.Column("next_try", sql.DateTime(timezone=True), nullable=False),
    sql.Column("ended", sql.DateTime(timezone=True)),
)


@dataclass(frozen=True)
class Delivery:
    """Results of one study.

    Attributes:
        number: counts deliveries in the order of asking.
        study: its pseudonym.
        who: asked for it.
        files: number of files.
        state: being written (only while it is made), waiting, sent, or refused for good.
        attempts: how often it was tried.
        reason: what the last try met, in a sentence; "" where nothing did.
        created, next_try, ended: UTC.
    """

    number: int
    study: str
    who: str
    files: int
    state: State
    attempts: int
    reason: str
    created: datetime
    next_try: datetime
    ended: datetime | None


def queue_results(study: str, files: Mapping[str, bytes], who: str) -> int:
    """Has results sent; returns the delivery's number. Entered in the audit trail.

    Args:
        study: pseudonym of the study.
        files: of `dicom_results`, with the study's own identity.
        who: asks for it.

    Raises:
        DatabaseDown: the database cannot be written now.
        OSError: the disk is full; then nothing is sent.
    """
    now = datetime.now(UTC)
    with writing() as connection:
        number = connection.execute(
            sql.insert(_rows)
            .values(study=study, who=who, files=len(files), state="being written", attempts=0)
            .values(reason="", created=now, next_try=now)
            .returning(_rows.c.number)
        ).scalar_one()
    try:
        for name, data in files.items():
            write_sealed(_folder(number) / f"{name}{_SUFFIX}", data)
    except OSError:
        shutil.rmtree(_folder(number), ignore_errors=True)
        _change(number, state="refused", reason="The disk is full.", ended=datetime.now(UTC))
        raise
    with writing() as connection:
        audit_trail.record(
            who,
            "send",
            study,
            {"delivery": number, "files": len(files), "state": "queued", "to": settings().send_to},
            connection=connection,
        )
        connection.execute(
            sql.update(_rows).where(_rows.c.number == number).values(state="waiting")
        )
    return number


def deliver_due(send: Send, now: datetime | None = None) -> int:
    """Sends what is due, oldest first, until one cannot be sent now; returns how many were.

    Only one process may call this. Raises `DatabaseDown`.

    Args:
        send: `hemodetect.pacs.sending.send`.
        now: UTC.
    """
    sent = 0
    _end_cut_off()
    while (first := _first_waiting()) is not None:
        if first.next_try > (now or datetime.now(UTC)):
            return sent  # the others wait behind it
        try:
            send(_files(first.number))
        except (Refused, SealBroken) as error:
            _end(first, "refused", str(error))
            continue
        except DatabaseDown:
            raise
        except Exception as error:  # noqa: BLE001  whatever else may pass: a password, a setting, a PACS
            known = isinstance(error, HemodetectError)
            reason = str(error) if known else f"They cannot be sent now ({type(error).__name__})."
            seconds = min(_SOONEST * 2 ** min(first.attempts, 10), _LATEST)
            _change(
                first.number,
                attempts=first.attempts + 1,
                reason=reason,
                next_try=datetime.now(UTC) + timedelta(seconds=seconds),
            )
            return sent
        _end(first, "sent", "")
        sent += 1
    return sent


def deliveries(study: str | None = None) -> list[Delivery]:
    """Deliveries, newest first; of one study where it is named. Raises `DatabaseDown`."""
    query = sql.select(_rows).order_by(_rows.c.number.desc())
    if study is not None:
        query = query.where(_rows.c.study == study)
    with reading() as connection:
        return [_delivery(row) for row in connection.execute(query).mappings()]


def _end_cut_off() -> None:
    """Deliveries whose process was killed while it wrote their files."""
    now = datetime.now(UTC)
    cut_off = (_rows.c.state == "being written") & (_rows.c.created < now - _LONGEST_WRITING)
    with reading() as connection:
        numbers = connection.scalars(sql.select(_rows.c.number).where(cut_off)).all()
    if not numbers:
        return
    for number in numbers:
        shutil.rmtree(_folder(number), ignore_errors=True)
    with writing() as connection:
        connection.execute(
            sql.update(_rows).where(cut_off).values(state="refused", reason=CUT_OFF, ended=now)
        )


def _first_waiting() -> Delivery | None:
    query = sql.select(_rows).where(_rows.c.state == "waiting").order_by(_rows.c.number).limit(1)
    with reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else _delivery(row)


def _end(delivery: Delivery, state: State, reason: str) -> None:
    with writing() as connection:
        detail = {"delivery": delivery.number, "files": delivery.files, "state": state}
        audit_trail.record(delivery.who, "send", delivery.study, detail, connection=connection)
        connection.execute(
            sql.update(_rows)
            .where(_rows.c.number == delivery.number)
            .values(
                state=state,
                reason=reason,
                attempts=delivery.attempts + 1,
                ended=datetime.now(UTC),
            )
        )
    shutil.rmtree(_folder(delivery.number), ignore_errors=True)


def _files(number: int) -> dict[str, bytes]:
    found = sorted(_folder(number).glob(f"[!.]*{_SUFFIX}"))
    if not found:
        raise SealBroken("The files of the results are gone; send them again.")
    return {path.name.removesuffix(_SUFFIX): read_sealed(path) for path in found}


def _folder(number: int) -> Path:
    return settings().state / "outbox" / str(number)


def _change(number: int, **values: Any) -> None:
    with writing() as connection:
        connection.execute(sql.update(_rows).where(_rows.c.number == number).values(**values))


def _delivery(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(**{field.name: stored_time(row[field.name]) for field in fields(Delivery)})
