"""Jobs as stored in the database; `hemodetect.training.jobs.control` knows which are alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sql

from hemodetect.errors import HemodetectError
from hemodetect.settings import settings
from hemodetect.storage.database import metadata, reading, stored_time, writing
from hemodetect.training.plan import TrainingPlan

State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
ALIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")
SEARCHED = "search.json"

_EARLIER_NAMES = {"teacher": "backbone", "teacher_data": "backbone_data"}
"""Fields of plans that earlier versions stored under other names."""

_jobs = sql.Table(
    "jobs",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("id", sql.String(16), nullable=False, unique=True),
    sql.Column("plan", sql.JSON, nullable=False),
    sql.Column("device", sql.String(32), nullable=False),
    sql.Column("who", sql.String(200), nullable=False),
    sql.Column("host", sql.String(200), nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("reason", sql.Text, nullable=False, default=""),
    sql.Column("cancelling", sql.Boolean, nullable=False, default=False),
    sql.Column("created", sql.DateTime(timezone=True), nullable=False),
    sql.Column("started", sql.DateTime(timezone=True)),
    sql.Column("ended", sql.DateTime(timezone=True)),
    sql.Column("heard", sql.DateTime(timezone=True), nullable=False),
    sql.Column("exit_status", sql.Integer),
    sql.Column("versions", sql.JSON, nullable=False),
    sql.Column("fingerprint", sql.String(64)),
)


class JobError(HemodetectError):
    """There is no such job, or it cannot be started, cancelled or resumed now."""


@dataclass(frozen=True)
class Job:
    """One training and its current state.

    Attributes:
        number: counts jobs in the order of their start.
        id: names its folder.
        plan: what is trained.
        device: the device it runs on or waits for.
        who: the person who started it.
        host: identifies the state folder that holds its files and locks.
        state: queued -> running -> finished, failed, cancelled or interrupted (its process or
            machine died); the last three can be resumed.
        reason: a sentence that explains the state, or "".
        cancelling: cancelled, but its processes have not ended yet.
        created, started, ended: UTC; started and ended of the latest run.
        heard: when its supervisor last reported, UTC.
        exit_status: of the training process; negative is the signal that ended it.
        versions: of Python and the libraries.
        fingerprint: of the data it was trained on, once known.
    """

    number: int
    id: str
    plan: TrainingPlan
    device: str
    who: str
    host: str
    state: State
    reason: str
    cancelling: bool
    created: datetime
    started: datetime | None
    ended: datetime | None
    heard: datetime
    exit_status: int | None
    versions: dict[str, str]
    fingerprint: str | None

    @property
    def folder(self) -> Path:
        """Holds the log, and the bundle once there is one."""
        return settings().state / "jobs" / self.id

    @property
    def bundle(self) -> Path:
        """The bundle that a training writes."""
        return self.folder / "bundle"

    @property
    def result(self) -> Path:
        """The bundle, or the file of a search's results."""
        return self.folder / SEARCHED if self.plan.task == "search" else self.bundle

    @property
    def progress_file(self) -> Path:
        """Its events (`hemodetect.training.progress_events`)."""
        return self.folder / "progress.jsonl"

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.folder / "train.log"


def add(row: Mapping[str, object]) -> None:
    """Adds a job, given by column."""
    with writing() as connection:
        connection.execute(sql.insert(_jobs).values(dict(row)))


def listed() -> list[Job]:
    """All jobs, newest first."""
    with reading() as connection:
        rows = connection.execute(sql.select(_jobs).order_by(_jobs.c.number.desc())).mappings()
        return [_job(row) for row in rows]


def read(job_id: str) -> Job:
    """One job as stored; of a job whose supervisor died the state may be out of date.

    Raises:
        JobError: there is no such job.
        DatabaseDown: the database cannot be read now.
    """
    with reading() as connection:
        query = sql.select(_jobs).where(_jobs.c.id == job_id)
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise JobError(f"There is no job {job_id!r}.")
    return _job(row)


def change(job_id: str, only_from: tuple[State, ...], **values: object) -> bool:
    """Changes a job that is in one of the states `only_from`; returns whether it was."""
    with writing() as connection:
        query = sql.update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_(only_from))
        return connection.execute(query.values(**values)).rowcount == 1


def _job(row: Mapping[Any, Any]) -> Job:
    values = dict(row)
    stored_plan = values.pop("plan")
    plan = TrainingPlan(**{_EARLIER_NAMES.get(key, key): v for key, v in stored_plan.items()})
    times = {}
    for name in ("created", "started", "ended", "heard"):
        times[name] = stored_time(values.pop(name))
    return Job(plan=plan, **times, **values)
