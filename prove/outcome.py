"""What came of checking one promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Outcome:
    """A figure, and whether it is as promised."""

    figure: str
    kept: bool


@dataclass(frozen=True)
class Promise:
    """One row of the table.

    Attributes:
        name: for --only, one word.
        promise: what is promised.
        aim: the figure that keeps it.
        check: measures it; True is the full version.
        command: that a person can run alone.
        full_only: takes too long, or needs image sets, so that the short version leaves it out.
    """

    name: str
    promise: str
    aim: str
    check: Callable[[bool], Outcome]
    command: str
    full_only: bool = False


def run_tests(*nodes: str, chosen: str = "", processes: int = 2) -> Outcome:
    """Runs existing tests, long ones too; kept where some passed and none failed or was skipped.

    Args:
        nodes: files, or tests in them.
        chosen: expression of pytest's -k.
        processes: that run them side by side; 0: in pytest's own.
    """
    command = [
        sys.executable, "-m", "pytest", "-m", "", "-n", str(processes), "--timeout", "900",
        *nodes, *(["-k", chosen] if chosen else []),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=_required(), capture_output=True, text=True, check=False
    )
    counts = {
        word: int(number)
        for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout[-400:])
    }
    passed = counts.get("passed", 0)
    others = {word: n for word, n in counts.items() if word != "passed" and n}
    figure = f"{passed} tests passed" + "".join(f", {n} {word}" for word, n in others.items())
    if not counts:
        figure = "the tests did not run"
    return Outcome(figure, passed > 0 and not others and done.returncode == 0)


def benchmark(script: str, *arguments: str, last_lines: int = 1) -> tuple[str, int]:
    """Runs a benchmark; returns its last lines in one, and its exit status."""
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(lines[-last_lines:]) or "no output", done.returncode


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """All of several checks."""
    return Outcome("; ".join(o.figure for o in outcomes), all(o.kept for o in outcomes))


def _required() -> dict[str, str]:
    """The environment of tests that may not skip for want of a program."""
    names = ("BROWSER", "POSTGRES", "DCIODVFY", "ORTHANC")
    return os.environ | {f"HEMODETECT_REQUIRE_{name}": "1" for name in names}
