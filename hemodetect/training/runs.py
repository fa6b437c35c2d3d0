"""Where a training runs: as a process of this machine, or as a job of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import Any, Protocol

import psutil

from hemodetect.errors import HemodetectError
from hemodetect.settings import settings
from hemodetect.training.jobs import Job, own_settings
from hemodetect.training.processes import die_with

GRACE_SECONDS = 5.0
"""A training that shall end has this long to do so by itself."""
_RAY_END_SECONDS = 60.0
_RAY_ENDED = ("STOPPED", "SUCCEEDED", "FAILED")


class RunError(HemodetectError):
    """A training could not be started where it shall run."""


class JobRun(Protocol):
    """A training that was started."""

    def begun(self) -> bool:
        """Whether it computes, and does not wait for a card."""
        ...

    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs. Brings the log up to date."""
        ...

    def end(self) -> None:
        """Ends it and all it has started; returns when it is gone."""
        ...


class LocalRun:
    """A process of its own, at the head of a group of its own, that dies with this one.

    It inherits the device's locks: should this process be killed, the device is free only when the
    training is gone too.
    """

    def __init__(self, job: Job, held: tuple[int, ...]) -> None:
        command = [sys.executable, "-m", "hemodetect", *job.plan.arguments(job.result)]
        parent = os.getpid()
        with job.log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | _cards(job.device),
                start_new_session=True,
                pass_fds=held,
                preexec_fn=lambda: die_with(parent),
            )

    def begun(self) -> bool:
        return True

    def status(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        try:
            started = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            started = []
        self._process.terminate()
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, stubborn = psutil.wait_procs(started, timeout=GRACE_SECONDS)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class RayRun:
    """A Ray job that asks for the card it needs.

    Its nodes need this program in the same place and the same state and cache folders. It lives
    without its supervisor: a job that was interrupted and is resumed is found again by its name.
    """

    def __init__(self, job: Job) -> None:
        from ray.job_submission import JobSubmissionClient

        self._job, self._written = job, 0
        try:
            self._client: Any = JobSubmissionClient(settings().ray_address)
            self._name = self._living() or self._submitted()
        except (ConnectionError, RuntimeError) as error:
            raise RunError(
                "The Ray cluster of HEMODETECT_RAY_ADDRESS does not take the job"
                f" ({str(error).splitlines()[0] if str(error) else type(error).__name__})."
            ) from error

    def begun(self) -> bool:
        return self._state() != "PENDING"

    def status(self) -> int | None:
        log = self._client.get_job_logs(self._name)
        if len(log) > self._written:
            with self._job.log.open("a", encoding="utf-8") as file:
                file.write(log[self._written :])
            self._written = len(log)
        state = self._state()
        if state not in _RAY_ENDED:
            return None
        if state == "STOPPED":
            return -signal.SIGTERM
        told = self._client.get_job_info(self._name).driver_exit_code
        return 0 if state == "SUCCEEDED" else (1 if told is None else int(told) or 1)

    def end(self) -> None:
        self._client.stop_job(self._name)
        deadline = time.monotonic() + _RAY_END_SECONDS
        while self._state() not in _RAY_ENDED and time.monotonic() < deadline:
            time.sleep(0.2)
        self.status()  # the last of the log

    def _state(self) -> str:
        return str(self._client.get_job_status(self._name).value)

    def _living(self) -> str | None:
        for found in self._client.list_jobs():
            name = found.submission_id or ""
            if name.startswith(self._prefix()) and str(found.status.value) not in _RAY_ENDED:
                return name
        return None

    def _prefix(self) -> str:
        return f"hemodetect-{self._job.id}-"

    def _submitted(self) -> str:
        command = [sys.executable, "-m", "hemodetect", *self._job.plan.arguments(self._job.result)]
        needs: dict[str, float] = {"entrypoint_num_cpus": 1}
        if self._job.device != "cpu":
            needs["entrypoint_num_gpus"] = 1
        return str(
            self._client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=f"{self._prefix()}{time.time_ns()}",
                # An own copy of the settings; the address would make the job submit itself again.
                runtime_env={"env_vars": {**own_settings(), "HEMODETECT_RAY_ADDRESS": ""}},
                **needs,
            )
        )


def _cards(device: str) -> dict[str, str]:
    """What the process may see of the GPUs."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    return {"CUDA_VISIBLE_DEVICES": number} if number else {}
