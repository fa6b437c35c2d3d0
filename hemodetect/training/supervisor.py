"""The process beside a training: waits for the device, runs it, ends it, writes down how it ended.

Started by `hemodetect.training.jobs` with the job's lock as an open descriptor; it holds the lock for
as long as it lives. If it is killed, the kernel kills the training too.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import psutil
import sqlalchemy as sql

from hemodetect.settings import settings
from hemodetect.training import jobs
from hemodetect.training.jobs import ALIVE, Job
from hemodetect.training.processes import die_with

LOOK_SECONDS = 0.5
"""Between looks at the queue, the training, and whether it shall end."""
SIGN_SECONDS = 20.0
"""Between signs of life in the database."""
GRACE_SECONDS = 5.0
"""A training that shall end has this long to do so by itself."""
_LAST_LINES = 4096  # bytes at the end of a log that a reason is looked for in

log = logging.getLogger(__name__)


def main(job_id: str) -> int:
    """Carries one job through; 0 whatever becomes of it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    job = jobs.read(job_id)
    device = _turn(job)
    if device is None:
        jobs.change(job.id, ALIVE, state="cancelled", ended=datetime.now(UTC))
        return 0
    now = datetime.now(UTC)
    if not jobs.change(job.id, ("queued",), state="running", started=now, heard=now):
        return 0
    training = _training(job, device)
    cancelled = _watched(job, training)
    _write_down(job, training.returncode, cancelled)
    os.close(device)
    return 0


def _turn(job: Job) -> int | None:
    """Waits until the job is first in line and the device is free; the device's lock, held.

    None where it was cancelled before.
    """
    folder = settings().state / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    device = os.open(folder / job.device.replace(":", "-"), os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        before = [
            other
            for other in jobs.jobs()
            if other.state in ALIVE
            and (other.device, other.host) == (job.device, job.host)
            and other.number < job.number
        ]
        # Asked even for the first in line: the one before may have said its end and not gone yet.
        if not before:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not jobs.read(job.id).cancelling:
                    return device
        if jobs.read(job.id).cancelling:
            os.close(device)
            return None
        jobs.change(job.id, ALIVE, heard=datetime.now(UTC))
        time.sleep(LOOK_SECONDS)


def _training(job: Job, device: int) -> subprocess.Popen[bytes]:
    """The training's own process, at the head of a group of its own.

    It inherits the device's lock: should this process be killed, the device is free only when the
    training is gone too.
    """
    command = [sys.executable, "-m", "hemodetect", *job.plan.arguments(job.result)]
    kind, _, number = job.device.partition(":")
    environment = dict(os.environ)
    if kind == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif number:
        environment["CUDA_VISIBLE_DEVICES"] = number
    parent = os.getpid()

    with job.log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=(device,),
            preexec_fn=lambda: die_with(parent),
        )


def _watched(job: Job, training: subprocess.Popen[bytes]) -> bool:
    """Waits for the training's end; whether that was because it was cancelled."""
    last_sign = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            training.wait(LOOK_SECONDS)
            return False
        try:
            if jobs.read(job.id).cancelling:
                end_tree(training)
                return True
            if time.monotonic() - last_sign > SIGN_SECONDS:
                jobs.change(job.id, ALIVE, heard=datetime.now(UTC))
                last_sign = time.monotonic()
        except sql.exc.SQLAlchemyError as error:
            log.warning("the database cannot be reached (%s); the training goes on", error)


def end_tree(training: subprocess.Popen[bytes]) -> None:
    """Ends a process and all it has started, those that left its group included."""
    try:
        family = [psutil.Process(training.pid)]
        family += family[0].children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    training.wait()


def _write_down(job: Job, status: int, cancelled: bool) -> None:
    """The end of a job; tried again while the database cannot be written (a full disk)."""
    if jobs.has_result(job):
        state, reason = "finished", ""
    elif cancelled:
        state, reason = "cancelled", ""
    elif status < 0:
        state, reason = "interrupted", _signal_sentence(-status)
    else:
        state, reason = "failed", last_sentence(job)
    values = {
        "state": state,
        "reason": reason,
        "exit_status": status,
        "ended": datetime.now(UTC),
        "fingerprint": jobs.fingerprint(job),
    }
    for wait in (1, 5, 30, 60, 300):
        try:
            jobs.change(job.id, ALIVE, **values)
            return
        except sql.exc.SQLAlchemyError as error:
            log.warning("the end of the job cannot be written (%s); trying again", error)
            time.sleep(wait)


def _signal_sentence(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    often = " Often that is the system, short of memory." if number == signal.SIGKILL else ""
    return f"The training was ended from outside ({name}).{often} Resume it to go on."


def last_sentence(job: Job) -> str:
    """What the training said last; where it said nothing for people, that the log knows more."""
    try:
        with job.log.open("rb") as file:
            file.seek(max(0, job.log.stat().st_size - _LAST_LINES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    told = [line for line in lines if line.startswith("hemodetect: ")]
    if told:
        return told[-1].removeprefix("hemodetect: ")
    return "The training ended with an error of ours; its log has the details."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
