"""The process that supervises a training: waits for the device, runs it, records how it ended.

Started by `training.jobs.control` with the job's lock as an open descriptor; it holds the lock for as
long as it lives. If it is killed, the kernel kills a training of this machine too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime

from hemodetect.errors import SettingError
from hemodetect.settings import settings
from hemodetect.storage.database import DatabaseDown
from hemodetect.training.jobs import control
from hemodetect.training.jobs.rows import ALIVE, Job, State, change, read
from hemodetect.training.jobs.runs import JobRun, LocalRun, RayRun, RunError, end_on_cluster

LOOK_SECONDS = 0.5
"""Between checks of the queue, the training, and a cancellation."""
HEARD_SECONDS = 20.0
"""Between signs of life in the database."""
NO_ANSWER_SECONDS = 600.0
"""A job whose cluster does not answer for this long counts as interrupted."""
NO_DATABASE = (DatabaseDown, SettingError)
"""Errors of a database that does not answer; a training continues meanwhile."""
_LAST_LINES = 4096  # bytes at the end of a log that are searched for a reason

log = logging.getLogger(__name__)


def main(job_id: str) -> int:
    """Supervises one job until its end; always 0."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    job = read(job_id)
    on_cluster = bool(settings().ray_address)
    # A cluster has its own queue.
    device = None if on_cluster else _turn(job)
    try:
        if _cancelling(job):
            if on_cluster:
                end_on_cluster(job)
            _record_end(job, state="cancelled")
            return 0
        run: JobRun = RayRun(job) if device is None else LocalRun(job, device)
    except (RunError, OSError) as error:
        _record_end(job, state="failed", reason=str(error))
        return 0
    try:
        status, cancelled = _watched(job, run)
    except RunError as error:
        # A training of this machine ends with this process.
        _record_end(job, state="interrupted", reason=str(error))
        return 0
    _record_result(job, status, cancelled)
    return 0


def _cancelling(job: Job) -> bool:
    """Whether the job was cancelled; False where the database does not answer."""
    try:
        return read(job.id).cancelling
    except NO_DATABASE as error:
        log.warning("%s", error)
        return False


def _record_end(job: Job, **values: object) -> None:
    """Records the end of a job; tries again while the database cannot be written (a full disk).

    This also overwrites "interrupted", which another machine sets after a long silence.
    """
    for wait in (1, 5, 30, 60, 300, 0):
        try:
            change(job.id, (*ALIVE, "interrupted"), ended=datetime.now(UTC), **values)
            return
        except NO_DATABASE as error:
            log.warning("the end of the job cannot be written (%s)", error)
            time.sleep(wait)


def _sign_of_life(job: Job, state: State) -> None:
    now = datetime.now(UTC)
    if not change(job.id, ALIVE, heard=now):
        change(job.id, ("interrupted",), state=state, reason="", ended=None, heard=now)


def _turn(job: Job) -> tuple[int, ...]:
    """Waits until the job is first in line and its device is free; returns the device's locks.

    They are not held where the job was cancelled during the wait.
    """
    folder = settings().state / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    lock_kinds = {
        os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600): kind
        for name, kind in device_locks(job.device).items()
    }
    last_heard = time.monotonic()
    while not _cancelling(job):
        try:
            earlier = [
                other
                for other in control.jobs()
                if other.state in ALIVE
                and other.host == job.host
                and other.number < job.number
                and _in_the_way(other.device, job.device)
            ]
            if not earlier and _taken(lock_kinds):
                break
            if time.monotonic() - last_heard > HEARD_SECONDS:
                _sign_of_life(job, "queued")
                last_heard = time.monotonic()
        except NO_DATABASE as error:
            log.warning("%s", error)
        time.sleep(LOOK_SECONDS)
    return tuple(lock_kinds)


def device_locks(device: str) -> dict[str, int]:
    """File -> kind of lock (`fcntl`) of a device; a single card also takes a shared lock."""
    if device == "gpus":
        return {"gpus": fcntl.LOCK_EX}
    if device.startswith("gpu:"):
        return {"gpus": fcntl.LOCK_SH, device.replace(":", "-"): fcntl.LOCK_EX}
    return {device: fcntl.LOCK_EX}


def _in_the_way(device: str, other: str) -> bool:
    """Whether two devices cannot be used at once."""
    first, second = device_locks(device), device_locks(other)
    return any(
        fcntl.LOCK_EX in (first[name], second[name]) for name in first.keys() & second.keys()
    )


def _taken(lock_kinds: dict[int, int]) -> bool:
    """Takes all locks or none, and returns whether it did.

    Even the first job in line needs them, because an earlier job may have recorded its
    end while its process still exits.
    """
    held: list[int] = []
    for descriptor, kind in lock_kinds.items():
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            for held_descriptor in held:
                fcntl.flock(held_descriptor, fcntl.LOCK_UN)
            return False
        held.append(descriptor)
    return True


def _watched(job: Job, run: JobRun) -> tuple[int, bool]:
    """Waits for the training's end: its exit status, and whether it was cancelled."""
    last_heard = last_answer = time.monotonic()
    is_running = False
    while True:
        try:
            if read(job.id).cancelling:
                run.end()
                return run.status() or 0, True
            if not is_running and run.begun():
                is_running = change(job.id, ("queued",), state="running", started=datetime.now(UTC))
            if time.monotonic() - last_heard > HEARD_SECONDS:
                _sign_of_life(job, "running" if is_running else "queued")
                last_heard = time.monotonic()
        except (*NO_DATABASE, OSError, RuntimeError) as error:
            log.warning("no answer (%s); the training continues", error)
        try:
            status = run.status()
            if status is not None:
                return status, False
            last_answer = time.monotonic()
        except (OSError, RuntimeError) as error:
            log.warning("no answer of the cluster (%s); the training continues", error)
            if time.monotonic() - last_answer > NO_ANSWER_SECONDS:
                raise RunError(
                    f"Its cluster did not answer for {NO_ANSWER_SECONDS / 60:.0f} minutes;"
                    " resume it when it answers again."
                ) from error
        time.sleep(LOOK_SECONDS)


def _record_result(job: Job, status: int, cancelled: bool) -> None:
    """Records the end of a job, from its files and its exit status."""
    if control.has_result(job):
        state, reason = "finished", ""
    elif cancelled:
        state, reason = "cancelled", ""
    elif status < 0:
        state, reason = "interrupted", _signal_sentence(-status)
    else:
        state, reason = "failed", last_sentence(job)
    _record_end(
        job, state=state, reason=reason, exit_status=status, fingerprint=control.fingerprint(job)
    )


def _signal_sentence(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    usual_cause = " The usual cause is too little memory." if number == signal.SIGKILL else ""
    return f"The training was killed ({name}).{usual_cause} Resume it to continue."


def last_sentence(job: Job) -> str:
    """The last error message of the training, or a sentence that points to the log."""
    try:
        with job.log.open("rb") as file:
            file.seek(max(0, job.log.stat().st_size - _LAST_LINES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    sentences = [line for line in lines if line.startswith("hemodetect: ")]
    if sentences:
        return sentences[-1].removeprefix("hemodetect: ")
    return "The training ended with an unexpected error; its log has the details."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
