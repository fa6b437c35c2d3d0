"""Events of a run are appended to its file, and a damaged line costs one event only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hemodetect.training.progress_events import (
    VARIABLE,
    ProgressEvent,
    read_events,
    report_progress,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress.jsonl"))
    return tmp_path / "progress.jsonl"


def test_events_are_read_as_they_were_written(file: Path) -> None:
    report_progress(fold=1, folds=5)
    report_progress(epoch=3, epochs=50, loss=0.5, val_loss=0.75)
    first, second = read_events(file)
    assert first.values() == {"fold": 1, "folds": 5}
    assert second.values() == {"epoch": 3, "epochs": 50, "loss": 0.5, "val_loss": 0.75}
    assert first.at <= second.at <= datetime.now(UTC)


def test_a_cut_off_line_is_left_out_and_a_resumed_run_begins_a_new_one(file: Path) -> None:
    report_progress(fold=0, folds=5)
    report_progress(fold=1, folds=5)
    file.write_bytes(file.read_bytes()[:-9])
    assert [event.fold for event in read_events(file)] == [0]
    report_progress(fold=2, folds=5)
    assert [event.fold for event in read_events(file)] == [0, 2]


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b"null", b"\xff", b'{"at": 3}', b'{"at": "x"}']
)
def test_a_line_that_is_no_event_is_left_out(line: bytes, file: Path) -> None:
    file.write_bytes(line + b"\n")
    report_progress(fold=2, folds=5)
    assert [event.fold for event in read_events(file)] == [2]


def test_a_new_fold_begins_without_epochs() -> None:
    now = datetime.now(UTC)
    fold, epoch = ProgressEvent(now, fold=1, folds=5), ProgressEvent(now, epoch=4, epochs=50)
    assert fold.followed_by(epoch).values() == {"fold": 1, "folds": 5, "epoch": 4, "epochs": 50}
    assert epoch.followed_by(fold).values() == {"fold": 1, "folds": 5}


def test_a_run_without_a_file_or_with_a_folder_that_is_away_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    report_progress(fold=0, folds=5)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "away" / "progress.jsonl"))
    report_progress(fold=0, folds=5)
    assert list(read_events(tmp_path / "away" / "progress.jsonl")) == []
    assert list(tmp_path.iterdir()) == []
