"""Trainings that outlive the page, the browser and the app that started them.

A job is a row of the database and a supervisor process (`hemodetect.training.jobs.supervisor`). The
supervisor waits for the device, runs ``hemodetect train`` and records how it ended. The database alone
does not show whether a job is alive: the supervisor holds a lock on a file from before the row is
added until it ends, and the kernel frees that lock however it ends. A read that finds the lock of an
alive job free corrects its row first.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hemodetect import __version__
from hemodetect.dataset.joined import SUFFIX, folders_of
from hemodetect.dataset.lookup import data_folders
from hemodetect.errors import BundleError
from hemodetect.registry.bundle import read_card
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import Person
from hemodetect.storage.whole_file import write_once
from hemodetect.training.jobs.rows import (
    ALIVE,
    RESUMABLE,
    Job,
    JobError,
    add,
    change,
    listed,
    read,
)
from hemodetect.training.plan import PlanError, TrainingPlan
from hemodetect.training.versions import installed

SILENCE = timedelta(minutes=15)
"""A job of another machine without a sign of life for this long counts as interrupted. Its supervisor
gives up sooner if it cannot reach the database."""

_EXIT_SECONDS = 10.0  # a supervisor that has recorded the end may still be exiting
_LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "scikit-learn", "numpy")


def start(plan: TrainingPlan, who: Person) -> Job:
    """Queues a training and returns at once.

    Raises:
        NotAllowed: not a trainer.
        PlanError: a value out of range, or data outside the folders that data sets may lie in.
        JobError: no process could be started.
    """
    who.require("trainer")
    plan.checked_recipe()
    for folder in (plan.data, plan.backbone_data):
        if folder is not None:
            _check_allowed(Path(folder))
    if settings().ray_address and importlib.util.find_spec("ray") is None:
        raise JobError(
            "HEMODETECT_RAY_ADDRESS is set and ray is not installed; install the extra"
            ' (pip install "hemodetect[ray]"), or unset it to train on this machine.'
        )
    if plan.split not in ("patient", "paper"):
        raise PlanError(f"The split is {plan.split!r}; a job takes patient or paper.")
    if plan.backbone is not None:
        artifacts = settings().artifacts.resolve()
        if artifacts not in Path(plan.backbone).resolve().parents:
            raise PlanError(
                f"{plan.backbone}: the backbone of a job is a bundle inside {artifacts}."
            )
    if plan.device == "gpus" and settings().ray_address:
        raise PlanError("A cluster gives a job one GPU; choose gpu.")
    job_id = secrets.token_hex(6)
    lock = _take_lock(job_id)
    if lock is None:
        raise JobError("Another job has this id; try again.")
    try:
        now = datetime.now(UTC)
        row = {
            "id": job_id,
            "plan": asdict(plan),
            "device": "gpu:0" if plan.device == "gpu" else plan.device,
            "who": who.name,
            "host": host(),
            "state": "queued",
            "reason": "",
            "cancelling": False,
            "created": now,
            "heard": now,
            "versions": {"python": sys.version.split()[0], "hemodetect": __version__}
            | installed(_LIBRARIES),
        }
        audit_trail.record(who.name, "train", job_id, asdict(plan))
        add(row)
        _supervise(job_id, lock)
    finally:
        os.close(lock)
    return job(job_id)


def jobs() -> list[Job]:
    """All jobs, newest first; rows of jobs that died are corrected first.

    Raises:
        DatabaseDown: the database cannot be read.
    """
    return [_corrected(stored_job) for stored_job in listed()]


def job(job_id: str) -> Job:
    """One job; raises `JobError` where there is none."""
    return _corrected(read(job_id))


def cancel(job_id: str, who: Person) -> Job:
    """Cancels a job; its supervisor ends all processes of the training within seconds.

    Raises:
        NotAllowed: not a trainer.
        JobError: it is neither queued nor running.
    """
    who.require("trainer")
    current = job(job_id)
    audit_trail.record(who.name, "cancel", current.id)
    if not change(job_id, ALIVE, cancelling=True):
        raise JobError(f"Job {current.number} is {job(job_id).state}; there is nothing to cancel.")
    return job(job_id)


def resume(job_id: str, who: Person) -> Job:
    """Queues a job again; it continues from its last epoch.

    Raises:
        NotAllowed: not a trainer.
        JobError: it is alive or finished, or belongs to another machine.
    """
    who.require("trainer")
    old = job(job_id)
    if old.host != host():
        raise JobError(f"Job {old.number} was started on another machine; resume it there.")
    audit_trail.record(who.name, "resume", old.id)
    lock = None
    deadline = time.monotonic() + _EXIT_SECONDS
    while lock is None and read(job_id).state in RESUMABLE and time.monotonic() < deadline:
        lock = _take_lock(job_id)
        time.sleep(0 if lock else 0.05)
    if lock is None:
        raise JobError(f"Job {old.number} is {job(job_id).state}; it cannot be resumed.")
    try:
        requeued = change(
            job_id,
            RESUMABLE,
            state="queued",
            reason="",
            cancelling=False,
            started=None,
            ended=None,
            exit_status=None,
            heard=datetime.now(UTC),
        )
        if not requeued:
            raise JobError(f"Job {old.number} is {job(job_id).state}; it cannot be resumed.")
        _supervise(job_id, lock)
    finally:
        os.close(lock)
    return job(job_id)


def host() -> str:
    """Identifier of the state folder; its locks show which of its jobs are alive."""
    path = settings().state / "host-id"
    if not path.is_file():
        write_once(path, secrets.token_hex(8))
    return path.read_text()


def fingerprint(job: Job) -> str | None:
    """Fingerprint of the data that a job trains on, from its files; None while there are none."""
    with contextlib.suppress(BundleError):
        return read_card(job.bundle).fingerprint
    for file, name in (
        (job.folder / "bundle.work" / "plan.json", "data"),
        (job.result, "fingerprint"),
    ):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(file.read_text())[name])
    return None


def has_result(job: Job) -> bool:
    """Whether the job's bundle or search results exist and are complete."""
    if job.plan.task == "search":
        return job.result.is_file()
    try:
        read_card(job.bundle)
    except BundleError:
        return False
    return True


def _corrected(stored_job: Job) -> Job:
    """The job, its row corrected where it has no supervisor any more."""
    if stored_job.state == "interrupted" and stored_job.result.exists() and has_result(stored_job):
        # On a cluster it continues without its supervisor.
        change(stored_job.id, ("interrupted",), state="finished", reason="")
        return read(stored_job.id)
    if stored_job.state not in ALIVE:
        return stored_job
    if stored_job.host != host():
        if datetime.now(UTC) - stored_job.heard < SILENCE:
            return stored_job
        reason = "Its machine has not reported for some time."
        change(stored_job.id, ALIVE, state="interrupted", reason=reason, ended=stored_job.heard)
        return read(stored_job.id)
    lock = _take_lock(stored_job.id)
    if lock is None:
        return stored_job
    try:
        stored_job = read(stored_job.id)  # it may have ended normally a moment ago
        ended = {"ended": datetime.now(UTC), "fingerprint": fingerprint(stored_job)}
        if has_result(stored_job):
            change(stored_job.id, ALIVE, state="finished", reason="", **ended)
        elif stored_job.cancelling and not settings().ray_address:
            change(stored_job.id, ALIVE, state="cancelled", reason="", **ended)
        else:
            reason = "Its process or this machine stopped before the end. Resume it to continue."
            change(stored_job.id, ALIVE, state="interrupted", reason=reason, **ended)
        return read(stored_job.id)
    finally:
        os.close(lock)


def _take_lock(job_id: str) -> int | None:
    """Descriptor of the job's lock, now held; None where its supervisor holds it."""
    folder = settings().state / "jobs" / job_id
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _supervise(job_id: str, lock: int) -> None:
    """Starts the supervisor; it inherits the lock, so that the lock is never free in between."""
    command = [sys.executable, "-m", "hemodetect.training.jobs.supervisor", job_id]
    try:
        with (settings().state / "jobs" / job_id / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
                env=os.environ | settings_environment(),
            )
        # Without a wait it stays in the process table, as a zombie, until this process ends.
        threading.Thread(target=process.wait, daemon=True).start()
    except OSError as error:
        reason = f"Its process could not be started ({error.strerror})."
        change(job_id, ALIVE, state="failed", reason=reason, ended=datetime.now(UTC))
        raise JobError(reason) from error


def settings_environment() -> Mapping[str, str]:
    """The settings as environment variables, for a process that may not find secrets.toml."""
    current = settings()
    return {
        "HEMODETECT_STATE": str(current.state.resolve()),
        "HEMODETECT_CACHE": str(current.cache.resolve()),
        "HEMODETECT_ARTIFACTS": str(current.artifacts.resolve()),
        "HEMODETECT_DATA": current.data,
        "HEMODETECT_DATABASE_URL": current.database_url,
        "HEMODETECT_RAY_ADDRESS": current.ray_address,
    }


def _check_allowed(folder: Path) -> None:
    if folder.suffix == SUFFIX:  # a list of sets: one of ours, and each of its folders
        artifacts = settings().artifacts.resolve()
        if artifacts not in folder.resolve().parents:
            raise PlanError(f"{folder}: a job takes a list of sets from {artifacts}.")
        for part in folders_of(folder):
            _check_allowed(part)
        return
    resolved = folder.resolve()
    allowed = [root.resolve() for root in data_folders()]
    if not any(root in resolved.parents for root in allowed):
        folder_names = ", ".join(str(root) for root in allowed) or "none"
        raise PlanError(
            f"{folder}: jobs train on folders inside those of HEMODETECT_DATA ({folder_names})."
        )
