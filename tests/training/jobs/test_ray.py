"""Jobs on a real one-node Ray cluster: run, watched, cancelled, found again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from job_processes import ADA, ended, epochs_done, running, supervisor, until

from hemodetect.registry.bundle import read_card
from hemodetect.settings import settings
from hemodetect.training.jobs import control, runs
from hemodetect.training.jobs.rows import Job, JobError
from hemodetect.training.jobs.runs import RunError
from hemodetect.training.plan import TrainingPlan
from hemodetect.training.search_results import GridSearch

pytest.importorskip("ray", reason="the extra ray is not installed")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class TokenMissing(Exception):
    """As Ray raises it: of no class that Python has."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a head node with one processor."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=1",
        f"--port={free_port()}", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}",
        "--disable-usage-stats", "--object-store-memory=100000000",
        # Short: the sockets in it may have names of 107 characters at most.
        f"--temp-dir=/tmp/ray-{os.getpid()}",
    ]  # fmt: skip
    head = subprocess.Popen(command, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/jobs/", timeout=5).close()
                break
            except OSError:
                assert head.poll() is None, "ray ended before it could be reached"
                assert time.monotonic() < deadline, "ray does not answer"
                time.sleep(0.5)
        yield address
    finally:
        family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
        for process in reversed(family):
            if process.is_running():
                process.kill()
        head.wait(30)


@pytest.fixture
def plan(
    cluster: str, blob_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrainingPlan]:
    monkeypatch.setenv("HEMODETECT_RAY_ADDRESS", cluster)
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_DATA", str(blob_folder.parent))
    settings.cache_clear()
    yield TrainingPlan(data=str(blob_folder), family="svm", folds=2)
    settings.cache_clear()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_job_runs_on_the_cluster_and_is_watched_cancelled_and_found_again(
    plan: TrainingPlan,
) -> None:
    job = ended(control.start(plan, ADA))
    assert (job.state, job.reason) == ("finished", "")
    assert read_card(job.bundle).family == "svm"
    assert "fold-1 of 2 done" in job.log.read_text()

    search = ended(control.start(replace(plan, family="logistic", task="search"), ADA))
    assert (search.state, search.reason) == ("finished", "")
    assert GridSearch.read(search.result).auroc_patient.value > 0.9

    long = control.start(replace(plan, family="rnn", epochs=100), ADA)
    running(long)
    until(lambda: len(epochs_done(long)) >= 2, "the second epoch")
    (training,) = trainings(long)
    os.kill(supervisor(long).pid, signal.SIGKILL)
    assert ended(long).state == "interrupted"
    assert training.is_running()
    control.resume(long.id, ADA)
    epochs_before = len(epochs_done(long))
    until(lambda: len(epochs_done(long)) > epochs_before, "another epoch")
    assert trainings(long) == [training]

    control.cancel(long.id, ADA)
    assert ended(long).state == "cancelled"
    assert not psutil.wait_procs([training], timeout=60)[1]


def trainings(job: Job) -> list[psutil.Process]:
    """The training itself; Ray starts it from a shell."""
    matching = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any(job.id in part for part in command) and command[1:3] == ["-m", "hemodetect"]:
            matching.append(process)
    return matching


def test_a_cluster_that_does_not_answer_fails_the_job_with_a_sentence(
    plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMODETECT_RAY_ADDRESS", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    job = ended(control.start(plan, ADA))
    assert job.state == "failed"
    assert "The Ray cluster of HEMODETECT_RAY_ADDRESS does not take the job" in job.reason


@pytest.mark.parametrize(("module", "kind"), [("ray.exceptions", RunError), ("ours", TokenMissing)])
def test_an_error_of_ray_is_told_and_one_of_ours_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, module: str, kind: type[Exception]
) -> None:
    def client() -> None:
        raise TokenMissing("no token")

    monkeypatch.setattr(TokenMissing, "__module__", module)
    monkeypatch.setattr(runs, "_ray_client", client)
    with pytest.raises(kind, match="no token"):
        runs.end_on_cluster(None)  # type: ignore[arg-type]


def test_without_ray_it_says_what_to_install(
    plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(JobError, match=r"hemodetect\[ray\]"):
        control.start(plan, ADA)
