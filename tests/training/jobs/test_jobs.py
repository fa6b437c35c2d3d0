"""Jobs are real processes here: they are queued, watched, cancelled and killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from job_processes import (
    ADA,
    BO,
    PATIENCE,
    ended,
    epochs_done,
    processes,
    running,
    supervisor,
    until,
)

from hemodetect.errors import HemodetectError
from hemodetect.figures.searching import search_map
from hemodetect.registry.bundle import read_card
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import NotAllowed, Person, local_person
from hemodetect.training.jobs import control
from hemodetect.training.jobs.rows import ALIVE, Job, JobError
from hemodetect.training.jobs.supervisor import _in_the_way, _taken, device_locks
from hemodetect.training.plan import TrainingPlan
from hemodetect.training.search_results import GridSearch


@pytest.fixture(autouse=True)
def state_folder(
    blob_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A state folder of the test's own; data sets may lie beside the blobs."""
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_DATA", str(blob_folder.parent))
    settings.cache_clear()
    yield
    for job in control.jobs():
        if job.state in ALIVE:
            control.cancel(job.id, ADA)
            ended(job)
    settings.cache_clear()


@pytest.fixture
def plan(blob_folder: Path) -> TrainingPlan:
    return TrainingPlan(data=str(blob_folder), family="svm", folds=2)


@pytest.fixture
def long_plan(blob_folder: Path) -> TrainingPlan:
    return TrainingPlan(data=str(blob_folder), family="rnn", folds=2, epochs=50, depth=1)


def test_a_job_ends_with_a_bundle_and_all_that_is_known_of_it(plan: TrainingPlan) -> None:
    queued = control.start(plan, ADA)
    assert queued.state == "queued"
    job = ended(queued)
    assert (job.state, job.reason, job.exit_status) == ("finished", "", 0)
    card = read_card(job.bundle)
    assert (card.family, card.counts["patients"]) == ("svm", 12)
    assert job.fingerprint == card.fingerprint
    assert job.plan == plan
    assert job.started is not None
    assert job.ended is not None
    assert job.created <= job.started <= job.ended
    assert {"python", "keras", "scikit-learn"} <= set(job.versions)
    assert "fold-1 of 2 done" in job.log.read_text()


@pytest.mark.long
def test_a_search_is_a_job_too_and_its_workers_die_with_it(plan: TrainingPlan) -> None:
    search_plan = replace(plan, task="search")
    job = ended(control.start(search_plan, ADA))
    assert (job.state, job.reason) == ("finished", "")
    assert len(GridSearch.read(job.result).grid) == 55
    assert job.fingerprint == GridSearch.read(job.result).fingerprint
    assert len(search_map(GridSearch.read(job.result)).data) == 3
    # Killed in the middle, nothing of it keeps the device.
    second = control.start(search_plan, ADA)
    until(lambda: len(processes(second)) >= 3, "the search's workers")
    tree = processes(second)
    os.kill(supervisor(second).pid, signal.SIGKILL)
    assert ended(second).state == "interrupted"
    assert not psutil.wait_procs(tree, timeout=PATIENCE)[1]
    assert ended(control.start(plan, ADA)).state == "finished"


@pytest.mark.long
def test_one_job_a_device_and_the_rest_wait_in_order(
    plan: TrainingPlan, long_plan: TrainingPlan
) -> None:
    first, second, third = (control.start(p, ADA) for p in (long_plan, plan, plan))
    running(first)
    time.sleep(1.5)
    assert [control.job(j.id).state for j in (second, third)] == ["queued", "queued"]
    control.cancel(second.id, ADA)
    assert ended(second).state == "cancelled"
    control.cancel(first.id, ADA)
    assert ended(first).state == "cancelled"
    assert ended(third).state == "finished"


@pytest.mark.long
def test_cancel_ends_every_process_and_resume_goes_on_from_the_last_epoch(
    long_plan: TrainingPlan,
) -> None:
    job = control.start(long_plan, ADA)
    until(lambda: len(epochs_done(job)) >= 2, "the second epoch")
    tree = processes(job)
    assert len(tree) == 2
    control.cancel(job.id, ADA)
    job_after = ended(job)
    assert (job_after.state, job_after.exit_status) == ("cancelled", -signal.SIGTERM)
    until(lambda: not any(p.is_running() for p in tree), "the end of its processes")
    epochs_before = len(epochs_done(job))
    with pytest.raises(JobError, match="nothing to cancel"):
        control.cancel(job.id, ADA)
    control.resume(job.id, ADA)
    until(lambda: len(epochs_done(job)) > epochs_before, "another epoch")
    number = int(epochs_done(job)[epochs_before].split("epoch ")[1].split("/")[0])
    assert number >= 3


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_an_interrupted_job_that_can_go_on(
    long_plan: TrainingPlan,
) -> None:
    job, moments = control.start(long_plan, ADA), random.Random(3)
    for victim in ("training", "supervisor", "both"):
        until(lambda: len(processes(job)) == 2, "its processes")
        time.sleep(moments.uniform(0, 8))
        watcher = supervisor(job)
        (training,) = watcher.children()
        for process in {"training": [training], "supervisor": [watcher]}.get(
            victim, [watcher, training]
        ):
            os.kill(process.pid, signal.SIGKILL)
        job_after = ended(job)
        assert job_after.state == "interrupted", job_after.reason
        assert "Resume it" in job_after.reason or "resume it" in job_after.reason
        gone, alive = psutil.wait_procs([training], timeout=PATIENCE)
        assert (gone, alive) == ([training], [])
        assert not job.bundle.exists()
        control.resume(job.id, ADA)
    control.cancel(job.id, ADA)
    assert ended(job).state == "cancelled"


@pytest.mark.long
def test_of_ten_who_resume_and_cancel_at_once_each_is_answered_and_none_is_stuck(
    plan: TrainingPlan, long_plan: TrainingPlan
) -> None:
    job = control.start(long_plan, ADA)
    running(job)
    answers: list[str] = []

    def ask(what: Callable[[str, Person], Job]) -> None:
        try:
            what(job.id, ADA)
            answers.append("done")
        except JobError as error:
            answers.append(str(error))

    for what in (control.cancel, control.resume):
        crowd = [threading.Thread(target=ask, args=(what,)) for _ in range(5)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        if what is control.cancel:
            assert ended(job).state == "cancelled"
    assert len(answers) == 10
    assert answers[5:].count("done") == 1
    assert sum("cannot be resumed" in answer for answer in answers[5:]) == 4
    control.cancel(job.id, ADA)
    assert ended(job).state == "cancelled"
    assert ended(control.start(plan, BO)).state == "finished"


def test_data_that_vanish_fail_the_job_with_a_sentence(
    blob_folder: Path, plan: TrainingPlan
) -> None:
    gone = blob_folder.parent / "gone"
    gone.mkdir()
    job = ended(control.start(TrainingPlan(data=str(gone), family="svm"), ADA))
    assert (job.state, job.exit_status) == ("failed", 1)
    assert "gone" in job.reason
    gone.rmdir()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": 201}, "The number of epochs is 201; expected 1 to 200"),
        ({"batch": 0}, "The batch size is 0; expected 1 to 256"),
        ({"learning_rate": float("nan")}, "learning rate is nan; expected 1e-06 to 0.1"),
        ({"folds": 1}, "expected 2 to 10"),
        ({"seed": -1}, "The seed is -1"),
        ({"device": "gpu:x"}, "expected cpu, gpu, gpu:<number> or gpus"),
        ({"family": "svm", "batch": 8}, "cannot be chosen for svm"),
        ({"family": "svm", "recipe": "study"}, "needs a backbone"),
        ({"task": "search", "split": "paper"}, "a split by patient"),
        ({"task": "search", "dropout": 0.2}, "chooses learning rate, dropout, L2 and depth itself"),
        ({"depth": 2}, "The depth is 2; CNN takes 3 to 5"),
        ({"l2": 2.0}, "The L2 is 2.0; expected 0 to 1"),
        ({"trials": 1}, "The number of trials is 1; expected 2 to 500"),
        ({"data": "/etc"}, "HEMODETECT_DATA"),
        ({"data": "{root}/../../etc"}, "HEMODETECT_DATA"),
    ],
)
def test_a_plan_out_of_range_is_refused_with_the_range(change, match, blob_folder: Path) -> None:
    values = {"data": str(blob_folder), "family": "cnn", **change}
    values["data"] = values["data"].format(root=blob_folder)
    with pytest.raises(HemodetectError, match=match):
        control.start(TrainingPlan(**values), ADA)
    assert control.jobs() == []


def test_a_job_is_started_cancelled_and_resumed_by_a_trainer_with_a_name(
    plan: TrainingPlan,
) -> None:
    job = ended(control.start(plan, ADA))
    for who in (local_person(" "), Person("eve", frozenset({"reader", "lead"}))):
        for forbidden in (
            lambda who=who: control.start(plan, who),
            lambda who=who: control.cancel(job.id, who),
            lambda who=who: control.resume(job.id, who),
        ):
            with pytest.raises(
                NotAllowed, match=r"A name is needed|does not have the role trainer"
            ):
                forbidden()
    assert control.jobs() == [job]
    assert [entry.who for entry in audit_trail.entries()][-1] == "ada"


def test_an_unknown_job_gets_a_sentence() -> None:
    with pytest.raises(JobError, match="There is no job"):
        control.cancel("../../etc", ADA)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that is soon full")
def test_a_full_disk_fails_the_job_with_a_sentence_and_room_lets_it_go_on(
    long_plan: TrainingPlan, tmp_path: Path
) -> None:
    disk = settings().state / "jobs"
    disk.mkdir(parents=True)
    size = ["-o", "size=3m"]
    if subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", str(disk)]).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        # One state of the network has 3.8 MB with its optimizer.
        job = ended(control.start(replace(long_plan, epochs=2), ADA))
        assert (job.state, job.exit_status) == ("failed", 1)
        assert "The disk is full" in job.reason
        assert not job.bundle.exists()
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        control.resume(job.id, ADA)
        assert ended(job).state == "finished"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize(
    ("device", "other", "together"),
    [
        ("gpu:0", "gpu:1", True),
        ("gpu:0", "gpu:0", False),
        ("gpus", "gpu:1", False),
        ("gpus", "gpus", False),
        ("cpu", "gpus", True),
        ("cpu", "cpu", False),
    ],
)
def test_two_jobs_run_at_once_only_on_different_devices(
    device: str, other: str, together: bool, tmp_path: Path
) -> None:
    def opened(name_of_device: str) -> dict[int, int]:
        return {
            os.open(tmp_path / name, os.O_RDWR | os.O_CREAT): kind
            for name, kind in device_locks(name_of_device).items()
        }

    first, second = opened(device), opened(other)
    assert _taken(first)
    assert _taken(second) == together
    assert _in_the_way(device, other) != together
    for descriptor in first:
        os.close(descriptor)
    assert _taken(second)
    for descriptor in second:
        os.close(descriptor)
