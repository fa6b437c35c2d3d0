"""What the page learns of a job while it trains: share done, curves, confusion, log, cards."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.splits import patient_split
from hemodetect.errors import HemodetectError
from hemodetect.models.recipes import recipe_named
from hemodetect.registry.bundle import COUNTS
from hemodetect.settings import settings
from hemodetect.training.estimate import estimated_seconds
from hemodetect.training.jobs.gpus import Gpu, cards_have_bfloat16, gpus
from hemodetect.training.jobs.progress import confusion_of_last_epoch, log_tail, progress
from hemodetect.training.jobs.rows import Job
from hemodetect.training.plan import TrainingPlan
from hemodetect.training.progress_events import VARIABLE, report_progress
from hemodetect.training.train import train_bundle


class CutOff(Exception):
    """The power fails."""


@pytest.fixture
def job(tmp_path: Path, blob_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path))
    settings.cache_clear()
    now = datetime.now(UTC)
    plan = TrainingPlan(data=str(blob_folder), family="rnn", folds=2, epochs=2)
    yield Job(
        number=1, id="abc", plan=plan, device="cpu", who="ada", host="here", state="running",
        reason="", cancelling=False, created=now, started=now - timedelta(minutes=1), ended=None,
        heard=now, exit_status=None, versions={}, fingerprint=None,
    )  # fmt: skip
    settings.cache_clear()


@pytest.mark.long
def test_a_training_that_is_halfway_says_so(
    job: Job, blob_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(job.progress_file))
    assert progress(job).share == 0
    dataset = open_dataset(blob_folder)
    split = patient_split(dataset, {p: p for p in dataset.slices["patient"]}, folds=2)
    job.folder.mkdir(parents=True)

    def stop(line: str) -> None:
        if line.startswith("fold-1: epoch 1/"):
            raise CutOff

    with pytest.raises(CutOff):
        train_bundle(
            dataset, split, recipe_named("rnn", "paper"), job.bundle, epochs=2, report=stop
        )
    halfway = progress(job)
    # Of two folds and the model for use, one part and half of the next are done.
    assert halfway.share == pytest.approx(0.5)
    assert halfway.activity == "Training fold 2 of 2, 1 of at most 2 epochs done"
    assert job.started is not None
    spent = (datetime.now(UTC) - job.started).total_seconds()
    assert halfway.seconds_left is not None
    assert 60 <= halfway.seconds_left <= spent  # as long as until now
    assert list(halfway.history["fold"]) == [0, 0, 1]
    confusion = confusion_of_last_epoch(halfway.history)
    assert confusion is not None
    # Validation patients are whole patients of 6 slices, of both classes.
    assert (confusion.tn + confusion.fp) % 6 == 0
    assert (confusion.fn + confusion.tp) % 6 == 0
    assert confusion.tn + confusion.fp + confusion.fn + confusion.tp > 0
    accuracy = (confusion.tn + confusion.tp) / (
        confusion.tn + confusion.fp + confusion.fn + confusion.tp
    )
    assert halfway.history["val_accuracy"].iloc[-1] == pytest.approx(accuracy, abs=1e-6)
    assert not set(COUNTS) & set(halfway.history)  # of the training slices, nobody asks


@pytest.mark.parametrize(
    ("family", "activity"),
    [
        ("rnn", "Searching fold 2 of 2, 5 of 20 trials done"),
        ("svm", "Searching, 1 of 2 folds done"),
    ],
)
def test_a_search_reports_its_folds_and_trials(
    job: Job, family: str, activity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching = replace(job, plan=replace(job.plan, family=family, task="search", epochs=None))
    monkeypatch.setenv(VARIABLE, str(job.progress_file))
    job.folder.mkdir(parents=True)
    assert progress(searching).share == 0
    report_progress(fold=1, folds=2, trial=5, trials=20)
    assert progress(searching).activity == activity
    assert progress(searching).share == pytest.approx(0.625 if family == "rnn" else 0.5)
    report_progress(fold=0, folds=2, trial=0, trials=20)  # begun anew
    assert progress(searching).share == 0


def test_a_history_without_counts_has_no_confusion_matrix() -> None:
    assert confusion_of_last_epoch(pd.DataFrame({"epoch": [0], "val_loss": [1.0]})) is None
    assert confusion_of_last_epoch(pd.DataFrame()) is None


def test_the_tail_of_a_log_is_its_last_lines(job: Job) -> None:
    assert log_tail(job) == []
    job.folder.mkdir(parents=True)
    job.log.write_bytes(b"\xff\n" * 5000 + b"one\ntwo\n")
    assert log_tail(job, 2) == ["one", "two"]


@pytest.mark.usefixtures("uncompiled")
def test_an_estimate_grows_with_the_epochs_and_unknown_ones_are_refused(blob_folder: Path) -> None:
    dataset = open_dataset(blob_folder)
    split = patient_split(dataset, {p: p for p in dataset.slices["patient"]}, folds=2)
    assert estimated_seconds(dataset, split, recipe_named("svm", "paper")) > 0
    network = replace(recipe_named("cnn", "paper"), batch=4)
    long = estimated_seconds(dataset, split, network, 5000)
    short = estimated_seconds(dataset, split, network, 5)
    assert long > 20 * short > 0
    with pytest.raises(HemodetectError, match="no estimate"):
        estimated_seconds(dataset, split, recipe_named("cnn", "blood"))


def _fake_nvidia_smi(folder: Path, script: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_cards_are_listed_by_name_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    _fake_nvidia_smi(
        tmp_path,
        "echo '0, NVIDIA H100 80GB HBM3, 81559, 4, 0'; echo '1, Tesla T4, 15360, 12, [N/A]';"
        "echo '2, [Unknown Error], [Unknown Error], 0, 0'",
    )
    assert gpus() == [
        Gpu("gpu:0", "NVIDIA H100 80GB HBM3", 81559, 4, 0.0),
        Gpu("gpu:1", "Tesla T4", 15360, 12, None),
    ]
    _fake_nvidia_smi(tmp_path, "echo 'No devices were found'; exit 6")
    assert gpus() == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("echo 9.0", True),
        ("echo 8.0; echo 9.0", True),
        ("echo 7.5", False),
        ("echo 9.0; echo 7.5", False),
        ("echo '[Unknown Error]'", False),
        ("exit 6", False),
    ],
)
def test_bfloat16_is_taken_only_where_every_card_has_it(
    answer: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    _fake_nvidia_smi(tmp_path, answer)
    assert cards_have_bfloat16() is expected
