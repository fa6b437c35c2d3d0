"""Looking at jobs and their processes from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from hemodetect.storage.people import local_person
from hemodetect.training.jobs import control
from hemodetect.training.jobs.rows import ALIVE, Job

PATIENCE = 120.0
ADA, BO = local_person("ada"), local_person("bo")


def until(asked: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not asked():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.1)


def ended(one: Job) -> Job:
    until(lambda: control.job(one.id).state not in ALIVE, f"the end of job {one.number}")
    return control.job(one.id)


def running(one: Job) -> None:
    until(lambda: control.job(one.id).state == "running", f"the start of job {one.number}")


def epochs_done(one: Job) -> list[str]:
    if not one.log.exists():
        return []
    return [line for line in one.log.read_text().splitlines() if "epoch" in line]


def processes(one: Job) -> list[psutil.Process]:
    """The supervisor of a job, its training, and what that has started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(one.id in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def supervisor(one: Job) -> psutil.Process:
    (found,) = (p for p in processes(one) if "hemodetect.training.jobs.supervisor" in p.cmdline())
    return found
