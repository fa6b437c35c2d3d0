"""Trainings that outlive the page, the browser and the app that started them.

A job is a row of the database and a supervisor process (`hemodetect.training.jobs.supervisor`), which
waits for its turn on the device, runs ``hemodetect train`` and writes down how it ended. Whether a
job lives is not a matter of what the database says: its supervisor holds a lock on a file from
before the row says "queued" until it ends, and the kernel frees that lock however it ends. Who
looks at the jobs and finds a lock free puts the row right first.
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
"""A job of another machine that has not been heard of for this long is taken for interrupted; its
supervisor gives up sooner where it cannot reach the database."""

_PARTING_SECONDS = 10.0  # a supervisor that has written down the end may not be gone yet
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
    held = _held(job_id)
    if held is None:
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
        _supervise(job_id, held)
    finally:
        os.close(held)
    return job(job_id)


def jobs() -> list[Job]:
    """All jobs, newest first; what the database still takes for alive and is not is put right.

    Raises:
        DatabaseDown: the database cannot be read.
    """
    return [_settled(one) for one in listed()]


def job(job_id: str) -> Job:
    """One job; raises `JobError` where there is none."""
    return _settled(read(job_id))


def cancel(job_id: str, who: Person) -> Job:
    """Asks for a job's end; its supervisor ends the training's whole process tree within seconds.

    Raises:
        NotAllowed: not a trainer.
        JobError: it is neither queued nor running.
    """
    who.require("trainer")
    asked = job(job_id)
    audit_trail.record(who.name, "cancel", asked.id)
    if not change(job_id, ALIVE, cancelling=True):
        raise JobError(f"Job {asked.number} is {job(job_id).state}; there is nothing to cancel.")
    return job(job_id)


def resume(job_id: str, who: Person) -> Job:
    """Queues a job again; it goes on from its last epoch.

    Raises:
        NotAllowed: not a trainer.
        JobError: it is alive, finished, of another machine, or somebody else resumed it just now.
    """
    who.require("trainer")
    old = job(job_id)
    if old.host != host():
        raise JobError(f"Job {old.number} was started on another machine; resume it there.")
    audit_trail.record(who.name, "resume", old.id)
    held = None
    deadline = time.monotonic() + _PARTING_SECONDS
    while held is None and read(job_id).state in RESUMABLE and time.monotonic() < deadline:
        held = _held(job_id)
        time.sleep(0 if held else 0.05)
    if held is None:
        raise JobError(f"Job {old.number} is {job(job_id).state}; it cannot be resumed.")
    try:
        renewed = change(
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
        if not renewed:
            raise JobError(f"Job {old.number} is {job(job_id).state}; it cannot be resumed.")
        _supervise(job_id, held)
    finally:
        os.close(held)
    return job(job_id)


def host() -> str:
    """Stands for the state folder: whoever sees its locks knows which of its jobs live."""
    path = settings().state / "host-id"
    if not path.is_file():
        write_once(path, secrets.token_hex(8))
    return path.read_text()


def fingerprint(of: Job) -> str | None:
    """Fingerprint of the data that a job trains on, from what it has left behind so far."""
    with contextlib.suppress(BundleError):
        return read_card(of.bundle).fingerprint
    for file, name in (
        (of.folder / "bundle.work" / "plan.json", "data"),
        (of.result, "fingerprint"),
    ):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(file.read_text())[name])
    return None


def has_result(of: Job) -> bool:
    """Whether what it was to make is there, whole."""
    if of.plan.task == "search":
        return of.result.is_file()
    try:
        read_card(of.bundle)
    except BundleError:
        return False
    return True


def _settled(found: Job) -> Job:
    """The job, put right where nobody supervises it any more."""
    if found.state == "interrupted" and found.result.exists() and has_result(found):
        # On a cluster it went on without its supervisor.
        change(found.id, ("interrupted",), state="finished", reason="")
        return read(found.id)
    if found.state not in ALIVE:
        return found
    if found.host != host():
        if datetime.now(UTC) - found.heard < SILENCE:
            return found
        reason = "Nothing was heard of its machine any more."
        change(found.id, ALIVE, state="interrupted", reason=reason, ended=found.heard)
        return read(found.id)
    held = _held(found.id)
    if held is None:
        return found
    try:
        found = read(found.id)  # it may have ended properly a moment ago
        ended = {"ended": datetime.now(UTC), "fingerprint": fingerprint(found)}
        if has_result(found):
            change(found.id, ALIVE, state="finished", reason="", **ended)
        elif found.cancelling and not settings().ray_address:
            change(found.id, ALIVE, state="cancelled", reason="", **ended)
        else:
            reason = "Its process or this machine ended before it did; resume it to go on."
            change(found.id, ALIVE, state="interrupted", reason=reason, **ended)
        return read(found.id)
    finally:
        os.close(held)


def _held(job_id: str) -> int | None:
    """Descriptor of the job's lock, taken; None where its supervisor has it."""
    folder = settings().state / "jobs" / job_id
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _supervise(job_id: str, held: int) -> None:
    """Starts the supervisor, which inherits the lock, so that at no moment nobody holds it."""
    command = [sys.executable, "-m", "hemodetect.training.jobs.supervisor", job_id]
    try:
        with (settings().state / "jobs" / job_id / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(held,),
                env=os.environ | own_settings(),
            )
        # Somebody has to take note of its end, or it stays in the process table as long as we do.
        threading.Thread(target=process.wait, daemon=True).start()
    except OSError as error:
        reason = f"Its process could not be started ({error.strerror})."
        change(job_id, ALIVE, state="failed", reason=reason, ended=datetime.now(UTC))
        raise JobError(reason) from error


def own_settings() -> Mapping[str, str]:
    """Settings as this process has them: a supervisor may run elsewhere than secrets.toml lies."""
    own = settings()
    return {
        "HEMODETECT_STATE": str(own.state.resolve()),
        "HEMODETECT_CACHE": str(own.cache.resolve()),
        "HEMODETECT_ARTIFACTS": str(own.artifacts.resolve()),
        "HEMODETECT_DATA": own.data,
        "HEMODETECT_DATABASE_URL": own.database_url,
        "HEMODETECT_RAY_ADDRESS": own.ray_address,
    }


def _check_allowed(folder: Path) -> None:
    wanted = folder.resolve()
    allowed = [root.resolve() for root in data_folders()]
    if not any(root in wanted.parents for root in allowed):
        places = ", ".join(str(root) for root in allowed) or "none"
        raise PlanError(
            f"{folder}: jobs train on folders inside those of HEMODETECT_DATA ({places})."
        )
