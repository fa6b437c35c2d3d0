"""What a command prints when it cannot do what it was asked."""

from __future__ import annotations

import argparse
import errno

import pytest

from hemodetect import cli


def test_a_value_out_of_range_ends_with_a_sentence_and_not_with_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["train", "--data=x", "--model=cnn", "--out=y", "--learning-rate=7"]
    assert cli.main(arguments) == 1
    message = capsys.readouterr().err
    assert message == "hemodetect: The learning rate is 7.0; expected 1e-06 to 0.1.\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left", "/a/b"), "The disk is full (/a/b)"),
        (MemoryError(), "out of memory"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
            "smaller batch",
        ),
    ],
)
def test_what_the_machine_runs_out_of_is_said(
    error: Exception,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(cli.jobs, "jobs", fails)
    assert cli.main(["jobs"]) == 1
    assert message in capsys.readouterr().err
