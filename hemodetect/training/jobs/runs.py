"""Where a training runs: as a process of this machine, or as a job of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import psutil

from hemodetect.errors import HemodetectError
from hemodetect.models.recipes import DEPTHS
from hemodetect.settings import settings
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.jobs.control import settings_environment
from hemodetect.training.jobs.gpus import gpus
from hemodetect.training.jobs.processes import die_with
from hemodetect.training.jobs.rows import Job
from hemodetect.training.progress_events import VARIABLE

GRACE_SECONDS = 5.0
"""Time that a training has to end after SIGTERM, before SIGKILL."""
_RAY_END_SECONDS = 60.0
_RAY_TAKE_SECONDS = 60.0
_RAY_ENDED = ("STOPPED", "SUCCEEDED", "FAILED")


class RunError(HemodetectError):
    """A training could not be started on this machine or the cluster."""


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
    """A new process, with a new process group, that dies with this one.

    It inherits the device's locks: should this process be killed, the device is free only when the
    training is gone too.
    """

    def __init__(self, job: Job, locks: tuple[int, ...]) -> None:
        command = [sys.executable, "-m", "hemodetect", *job.plan.arguments(job.result)]
        parent = os.getpid()
        with job.log.open("ab") as out:
            out.write(f"--- begun {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            out.flush()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | visible_cards(job.device) | {VARIABLE: str(job.progress_file)},
                start_new_session=True,
                pass_fds=locks,
                preexec_fn=lambda: die_with(parent),
            )

    def begun(self) -> bool:
        """Whether it computes, and does not wait for a GPU."""
        return True

    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        """Ends it and all that it started; returns when it is gone."""
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self._process.terminate()
        for process in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, stubborn = psutil.wait_procs(children, timeout=GRACE_SECONDS)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class RayRun:
    """A Ray job that asks for the card it needs.

    Its nodes need this program in the same place and the same state and cache folders. It lives
    without its supervisor: a job that was interrupted and is resumed is found again by its name.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        with _ray_errors():
            self._client = _ray_client()
            self._name = self._find_or_submit()
        self._begin = self._log_begin()
        self._written = 0

    def begun(self) -> bool:
        """Whether it computes, and does not wait for a GPU."""
        return self._state() != "PENDING"

    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        # Its node may be gone, and its log with it.
        with contextlib.suppress(RuntimeError, OSError):
            log = self._client.get_job_logs(self._name).encode()
            if len(log) != self._written:
                with self._job.log.open("r+b") as file:
                    file.seek(self._begin)
                    file.write(log)
                    file.truncate()
                self._written = len(log)
        state = self._state()
        if state not in _RAY_ENDED:
            return None
        if state == "STOPPED":
            return -signal.SIGTERM
        exit_code = self._client.get_job_info(self._name).driver_exit_code
        return 0 if state == "SUCCEEDED" else (1 if exit_code is None else int(exit_code) or 1)

    def end(self) -> None:
        """Ends it and all that it started; returns when it is gone."""
        _stop(self._client, self._name)
        self.status()  # the last of the log

    def _log_begin(self) -> int:
        """Offset of this submission's lines in the job's log, stored for a later supervisor."""
        note_file = self._job.folder / "ray-log.txt"
        fields = note_file.read_text().split() if note_file.is_file() else []
        if len(fields) == 2 and fields[0] == self._name:
            return int(fields[1])
        self._job.log.touch()
        begin = self._job.log.stat().st_size
        with whole_file(note_file) as partial:
            partial.write_text(f"{self._name} {begin}")
        return begin

    def _state(self) -> str:
        return str(self._client.get_job_status(self._name).value)

    def _find_or_submit(self) -> str:
        """Name of the job's submission; tries again while a new cluster refuses jobs."""
        name = f"{_prefix(self._job)}{time.time_ns()}"
        deadline = time.monotonic() + _RAY_TAKE_SECONDS
        while True:
            name_on_cluster = _living(self._client, self._job)
            if name_on_cluster is not None:
                return name_on_cluster
            try:
                return self._submit(name)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _submit(self, name: str) -> str:
        command = [sys.executable, "-m", "hemodetect", *self._job.plan.arguments(self._job.result)]
        plan = self._job.plan
        # A grid search only waits for its folds, which ask for a processor each.
        waits = plan.task == "search" and plan.family not in DEPTHS
        needs: dict[str, float] = {"entrypoint_num_cpus": 0 if waits else 1}
        if self._job.device != "cpu":
            needs["entrypoint_num_gpus"] = 1
        return str(
            self._client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=name,
                # A training needs neither database nor cluster, and the cluster displays its variables.
                runtime_env={
                    "env_vars": {
                        **settings_environment(),
                        "HEMODETECT_RAY_ADDRESS": "",
                        "HEMODETECT_DATABASE_URL": "",
                        VARIABLE: str(self._job.progress_file.resolve()),
                    }
                },
                **needs,
            )
        )


def end_on_cluster(job: Job) -> None:
    """Ends what runs of a job on the cluster, if anything does; raises `RunError` without an answer."""
    with _ray_errors():
        client = _ray_client()
        name = _living(client, job)
        if name is not None:
            _stop(client, name)


def _ray_client() -> Any:
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(settings().ray_address)


@contextlib.contextmanager
def _ray_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Ray's own errors (a missing token, for one) have no common class outside its package.
        known = (ConnectionError, RuntimeError, ValueError, ImportError)
        if not isinstance(error, known) and not type(error).__module__.startswith("ray."):
            raise
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(
            f"The Ray cluster of HEMODETECT_RAY_ADDRESS does not take the job ({cause})."
        ) from error


def _living(client: Any, job: Job) -> str | None:
    """Name of the job's submission that has not ended."""
    for submission in client.list_jobs():
        name = submission.submission_id or ""
        if name.startswith(_prefix(job)) and str(submission.status.value) not in _RAY_ENDED:
            return str(name)
    return None


def _prefix(job: Job) -> str:
    return f"hemodetect-{job.id}-"


def _stop(client: Any, name: str) -> None:
    """Stops a submission; raises `RuntimeError` where it still runs after a minute."""
    client.stop_job(name)
    deadline = time.monotonic() + _RAY_END_SECONDS
    while str(client.get_job_status(name).value) not in _RAY_ENDED:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} does not end")
        time.sleep(0.2)


def visible_cards(device: str) -> dict[str, str]:
    """Environment in which a process sees the GPUs of a device alone, numbered as the driver does."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "-1"}
    if kind == "gpus":
        number = ",".join(card.device.removeprefix("gpu:") for card in gpus())
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": number or "0"}
