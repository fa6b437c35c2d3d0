"""`make prove` says so when a promise is broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prove import __main__ as prove
from prove import hostile, models, privacy
from prove.outcome import Outcome, Promise, run_tests


def _promise(check: Callable[[bool], Outcome], *, full_only: bool = False) -> Promise:
    return Promise("one", "What is promised", "an aim", check, "a command", full_only)


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prove, "ROOT", tmp_path)
    monkeypatch.setattr(prove, "DOCUMENT", tmp_path / "evidence.md")
    return tmp_path / "evidence.md"


def _broken(full: bool) -> Outcome:
    raise RuntimeError("no network")


@pytest.mark.parametrize(
    ("promise", "status", "verdict"),
    [
        (_promise(lambda full: Outcome("0 of 9", True)), 0, "| 0 of 9 | kept |"),
        (_promise(lambda full: Outcome("1 of 9", False)), 1, "| 1 of 9 | **falls short** |"),
        (_promise(_broken), 1, "the check itself failed: RuntimeError: no network"),
        (_promise(_broken, full_only=True), 0, "| only in the full version | not run |"),
    ],
)
def test_a_promise_that_falls_short_ends_in_status_one_and_in_the_table(
    document: Path, monkeypatch: pytest.MonkeyPatch, promise: Promise, status: int, verdict: str
) -> None:
    monkeypatch.setattr(prove, "PROMISES", (promise,))
    assert prove.main([]) == status
    assert verdict in document.read_text()


def test_every_promise_has_its_own_name() -> None:
    names = [promise.name for promise in prove.PROMISES]
    assert len(set(names)) == len(names)


def _crash(data: bytes) -> None:
    if data:
        raise ValueError("unexpected")


def _sleep(data: bytes) -> None:
    if data:
        time.sleep(5)


def _grow(data: bytes) -> None:
    if data:
        held = bytearray(200_000_000)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("opener", "expected"), [(_crash, "crash: ValueError: unexpected"), (_sleep, "hang")]
)
def test_a_crash_and_a_hang_are_seen(
    monkeypatch: pytest.MonkeyPatch, opener: Callable[[bytes], None], expected: str
) -> None:
    monkeypatch.setitem(hostile.OPENERS, "study", opener)
    monkeypatch.setattr(hostile, "HANG_SECONDS", 0.3)
    (opened,) = hostile._open_all([("a", "study", b"x")], False)
    assert opened.result == expected


def test_memory_that_grows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hostile.OPENERS, "study", _grow)
    (opened,) = hostile._open_all([("a", "study", b"x")], True)
    assert opened.peak_mb > hostile.MOST_GROWTH_MB


def test_code_that_ran_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    monkeypatch.setattr(hostile, "CODE_RAN", ran)
    monkeypatch.setitem(hostile.OPENERS, "study", lambda data: ran.touch())
    (opened,) = hostile._open_all([("a", "study", b"x")], False)
    assert opened.result == "code ran"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_planted_word_is_seen_in_either_encoding(encoding: str) -> None:
    assert privacy._holds(b"\0" + "xx QX4711-77 yy".encode(encoding), "qx4711-77")
    assert not privacy._holds("QX4712".encode(encoding), "QX4711")


def test_a_forbidding_licence_is_seen() -> None:
    assert models._FORBIDDEN.search("CC BY-NC 4.0")
    assert not models._FORBIDDEN.search("BSD-3-Clause")


@pytest.mark.slow
def test_a_failing_test_and_one_that_is_missing_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("def test_it():\n    assert False\n")
    assert not run_tests(str(file), processes=0).kept
    assert not run_tests(str(tmp_path / "test_nothing.py"), processes=0).kept
