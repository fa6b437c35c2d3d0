"""Jobs and their processes, as another process sees them."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from hemodetect.storage.people import local_person
from hemodetect.training.jobs import control
from hemodetect.training.jobs.rows import ALIVE, Job

PATIENCE = 120.0
ADA, BO = local_person("ada"), local_person("bo")


def until(condition: Callable[[], bool], event: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{event} did not happen"
        time.sleep(0.1)


def ended(job: Job) -> Job:
    until(lambda: control.job(job.id).state not in ALIVE, f"the end of job {job.number}")
    return control.job(job.id)


def running(job: Job) -> None:
    until(lambda: control.job(job.id).state == "running", f"the start of job {job.number}")


def epochs_done(job: Job) -> list[str]:
    if not job.log.exists():
        return []
    return [line for line in job.log.read_text().splitlines() if "epoch" in line]


def processes(job: Job) -> list[psutil.Process]:
    """The supervisor of a job, its training, and the processes that the training has started."""
    matching = []
    for process in psutil.process_iter(["cmdline"]):
        if any(job.id in part for part in process.info["cmdline"] or ()):
            matching.append(process)
    return matching


def supervisor(job: Job) -> psutil.Process:
    (process,) = (p for p in processes(job) if "hemodetect.training.jobs.supervisor" in p.cmdline())
    return process
