"""Runs what the project promises and writes docs/evidence.md.

    python -m prove [--full] [--only NAME ...]

The short version needs no image sets and takes a quarter of an hour on two cores. Exit status 1 where a
promise falls short. With --only the document is not written.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import psutil

from hemodetect.models.families import FAMILY_NAMES
from prove import hostile, models, privacy
from prove.outcome import ROOT, Outcome, Promise, benchmark, run_tests, together

DOCUMENT = ROOT / "docs" / "evidence.md"
NEAR_EAST = "../shared/data/near-east"
CT_ICH = "../shared/data/ct-ich"


def _kills(full: bool) -> Outcome:
    nodes = (
        "tests/training/jobs",
        "tests/registry",
        "tests/reviews",
        "tests/pacs",
        "tests/storage",
    )
    short = run_tests(*nodes, chosen="kill")
    if not full:
        return short
    figure, status = benchmark("worklist_load.py", "--kills", "20", last_lines=3)
    return together([short, Outcome(figure, status == 0)])


def _without_disk_or_database(full: bool) -> Outcome:
    return run_tests(
        "tests/training/jobs", "tests/pacs", "tests/storage", "tests/registry", "tests/cli",
        chosen="full_disk or without_the_database",
    )  # fmt: skip


def _splits(full: bool) -> Outcome:
    outcomes = [run_tests("tests/dataset/test_groups.py", "tests/dataset/test_splits_and_cache.py")]
    if full:
        figure, status = benchmark(
            "permuted_labels.py", NEAR_EAST, "artifacts/backbone/blood",
            "artifacts/backbone/training.sets", "artifacts/releases/cnn/split.json", *FAMILY_NAMES,
            last_lines=5,
        )  # fmt: skip
        outcomes.append(Outcome(figure, status == 0))
    return together(outcomes)


def _sessions(full: bool) -> Outcome:
    figure, status = benchmark("twenty_readers.py", "--data", "../shared/data", last_lines=6)
    return Outcome(figure, status == 0)


def _speeds(full: bool) -> Outcome:
    outcomes = []
    for script, arguments in (
        ("decoding_threads.py", ()),
        ("input_speed.py", (NEAR_EAST,)),
        ("viewer.py", ("--data", NEAR_EAST)),
        ("worklist.py", ()),
    ):
        figure, status = benchmark(script, *arguments, last_lines=3)
        outcomes.append(Outcome(f"{script}: {figure}", status == 0))
    return together(outcomes)


PROMISES = (
    Promise(
        "files", "pydicom's own test files through the reader",
        "each read or refused with a sentence, at most 2 s and 500 MB", hostile.pydicom_files,
        "python -m prove --only files",
    ),
    Promise(
        "identifiers", "Names, numbers, dates, UIDs and texts that name a patient",
        "0 found in exports, logs, database, trail, caches, saved and received studies",
        privacy.planted_identifiers, "python -m prove --only identifiers",
    ),
    Promise(
        "maps", "A heat map depends on the weights", "rank correlation below 0.3",
        models.randomised_maps, "python -m prove --only maps",
    ),
    Promise(
        "licences", "Libraries that a hospital may use", "0 forbid it", models.licences,
        "python -m prove --only licences",
    ),
    Promise(
        "check", "What is no head CT in a brain window is stopped, real heads are not",
        "every case of the tests; 0 real patients stopped where the sets are there",
        lambda full: run_tests("tests/inputcheck"), "pytest tests/inputcheck",
    ),
    Promise(
        "mutants", "Damaged DICOM, JPEG, PNG, zip, NIfTI, `.skops` and `.keras` files",
        "0 crashes, 0 hangs over 5 s, 0 code run (500 of each, full: 10,000)", hostile.mutants,
        "python -m prove --only mutants",
    ),
    Promise(
        "sign-in", "Without a session, with the wrong role, with another's cookie", "0 let in",
        lambda full: run_tests("tests/browser/test_sign_in.py", "tests/viewer/test_routes.py"),
        "pytest tests/browser/test_sign_in.py tests/viewer/test_routes.py",
    ),
    Promise(
        "backends", "TensorFlow and JAX agree", "probabilities within 1e-4",
        lambda full: run_tests("tests/models/test_networks.py", chosen="jax"),
        "pytest -k jax tests/models",
    ),
    Promise(
        "splits", "A person is on one side of a split",
        "0 across folds; with shuffled labels AUROC 0.5 ± 0.1 (full)", _splits,
        "pytest tests/dataset; python benchmarks/permuted_labels.py",
    ),
    Promise(
        "disk", "Disk full, database gone", "a sentence, nothing half-written, goes on afterwards",
        _without_disk_or_database, "pytest -m '' -k 'full_disk or without_the_database'",
    ),
    Promise(
        "pacs", "A study goes from the scanner to the worklist and its report back to the PACS",
        "under the right patient, once", lambda full: run_tests("tests/browser/test_worklist_page.py"),
        "pytest -m '' tests/browser/test_worklist_page.py",
    ),
    Promise(
        "seed", "The same seed twice gives the same model", "predictions within 1e-6",
        models.same_seed, "python -m prove --only seed",
    ),
    Promise(
        "bombs", "Pictures and archives that grow to gigabytes",
        "all refused, memory grows by less than 100 MB", hostile.bombs,
        "python -m prove --only bombs",
    ),
    Promise(
        "kills", "kill -9 of trainer, promotion, reads, receiver and models",
        "nothing confirmed is lost, nothing counts as running that is not", _kills,
        "pytest -m '' -k kill",
    ),
    Promise(
        "sessions", "Twenty readers at once", "0 errors, 0 slices of another reader",
        _sessions, "python benchmarks/twenty_readers.py", full_only=True,
    ),
    Promise(
        "speeds", "Speed and memory, as a ratio to a named alternative", "as each benchmark states",
        _speeds, "python benchmarks/*.py", full_only=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A promise with what came of it; without an outcome it was left out."""

    promise: Promise
    outcome: Outcome | None
    seconds: float

    @property
    def verdict(self) -> str:
        """In the table."""
        if self.outcome is None:
            return "not run"
        return "kept" if self.outcome.kept else "**falls short**"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where every promise that was checked is kept."""
    parser = argparse.ArgumentParser(prog="python -m prove", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also what needs image sets or hours")
    parser.add_argument("--only", nargs="+", choices=[promise.name for promise in PROMISES])
    options = parser.parse_args(arguments)
    chosen = [one for one in PROMISES if not options.only or one.name in options.only]
    rows = [Row(promise, None, 0.0) for promise in chosen]
    for number, promise in enumerate(chosen):
        row = rows[number] = _row(promise, options.full or bool(options.only))
        print(f"{promise.name}: {row.verdict} ({row.seconds:.0f} s)", flush=True)
        if row.outcome:
            print(f"  {row.outcome.figure}", flush=True)
        if not options.only:  # after each: a run that is stopped leaves what it has found
            DOCUMENT.write_text(_document(rows, options.full))
    return int(any(row.outcome is not None and not row.outcome.kept for row in rows))


def _row(promise: Promise, with_full: bool) -> Row:
    if promise.full_only and not with_full:
        return Row(promise, None, 0.0)
    began = time.monotonic()
    try:
        outcome = promise.check(with_full and "--full" in sys.argv)
    except Exception as error:  # noqa: BLE001  one check that breaks must not hide the others
        outcome = Outcome(f"the check itself failed: {type(error).__name__}: {error}", False)
    return Row(promise, outcome, time.monotonic() - began)


def _document(rows: Sequence[Row], full: bool) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    memory = psutil.virtual_memory().total / 1e9
    lines = [
        "# Evidence",
        "",
        "What this project promises, and what came of checking it. `make prove` writes this page;"
        " `make prove FULL=1` also runs what needs the image sets or hours.",
        "",
        f"{'Full' if full else 'Short'} version of {date.today():%Y-%m-%d}, commit {commit},"
        f" {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB,"
        f" Python {platform.python_version()}.",
        "",
        "| promise | aim | figure | verdict | command | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.outcome:
            figure = row.outcome.figure.replace("|", "/")
        else:
            figure = "only in the full version" if row.promise.full_only else ""
        lines.append(
            f"| {row.promise.promise} | {row.promise.aim} | {figure} | {row.verdict} |"
            f" `{row.promise.command}` | {row.seconds:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
