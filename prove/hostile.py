"""Files that a hospital, an accident or an attacker can produce, given to what opens them.

Each file is opened in a process of its own kind, which is watched: a crash, a hang or grown memory is
then a figure and not the end of the run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import psutil

from prove.hostile_files import CODE_RAN, KINDS, SEED, bomb_files, mutant_files, whole_file_of
from prove.outcome import Outcome

HANG_SECONDS = 5
SLOWEST_SECONDS = 2.0
MOST_MB = 500
MOST_GROWTH_MB = 100


@dataclass(frozen=True)
class Opened:
    """What came of one file: "read", "refused", "crash: <error>" or "hang"."""

    name: str
    result: str
    seconds: float
    peak_mb: float


def pydicom_files(full: bool) -> Outcome:
    """pydicom's own test files through the reader."""
    from pydicom.data import get_testdata_files

    files = [Path(file) for file in get_testdata_files() if Path(file).is_file()]
    opened = _opened([(file.name, "study", file.read_bytes()) for file in files])
    bad = [one for one in opened if one.result not in ("read", "refused")]
    slowest = max(one.seconds for one in opened)
    peak = max(one.peak_mb for one in opened)
    read = sum(one.result == "read" for one in opened)
    figure = (
        f"{len(opened)} files: {read} read, {len(opened) - read - len(bad)} refused with a sentence,"
        f" {len(bad)} otherwise; slowest {slowest:.1f} s, process at most {peak:.0f} MB"
    )
    if bad:
        figure += f" ({bad[0].name}: {bad[0].result})"
    return Outcome(figure, not bad and slowest <= SLOWEST_SECONDS and peak <= MOST_MB)


def mutants(full: bool) -> Outcome:
    """Damaged files of every kind that is opened."""
    each = 10_000 if full else 500
    parts, kept = [], True
    for kind in KINDS:
        opened = _opened(list(mutant_files(kind, each)))
        bad = [one for one in opened if one.result not in ("read", "refused")]
        ran = any("code ran" in one.result for one in opened)
        kept = kept and not bad
        first = f" ({bad[0].name}: {bad[0].result})" if bad else ""
        read = sum(one.result == "read" for one in opened)
        parts.append(f"{kind} {len(opened)}: {read} read, {len(bad)} bad{first}")
        kept = kept and not ran
    return Outcome(f"seed {SEED}; {'; '.join(parts)}", kept)


def bombs(full: bool) -> Outcome:
    """Files that grow to gigabytes when they are opened."""
    opened = _opened([(name, "study", data) for name, data in bomb_files()], watch_memory=True)
    bad = [one for one in opened if one.result != "refused" or one.peak_mb > MOST_GROWTH_MB]
    growth = max(one.peak_mb for one in opened)
    figure = (
        f"{len(opened) - sum(o.result != 'refused' for o in opened)} of {len(opened)} refused;"
        f" memory grows by at most {growth:.0f} MB"
    )
    if bad:
        figure += f" ({bad[0].name}: {bad[0].result}, {bad[0].peak_mb:.0f} MB)"
    return Outcome(figure, not bad)


def _opened(files: Sequence[tuple[str, str, bytes]], *, watch_memory: bool = False) -> list[Opened]:
    """Opens (name, kind, bytes) in other processes, which are replaced when one dies."""
    context = multiprocessing.get_context("spawn")
    opened: list[Opened] = []
    waiting = list(files)
    batch = 1 if watch_memory else 100
    while waiting:
        with ProcessPoolExecutor(1 if watch_memory else 2, mp_context=context) as pool:
            batches = [waiting[n : n + batch] for n in range(0, len(waiting), batch)]
            futures = [(part, pool.submit(_open_all, part, watch_memory)) for part in batches]
            waiting = []
            for part, future in futures:
                try:
                    opened += future.result()
                except BrokenProcessPool:
                    if len(part) == 1:
                        opened.append(Opened(part[0][0], "crash: the process died", 0.0, 0.0))
                    else:
                        waiting += part
            if waiting:
                batch = max(1, batch // 10)
    return opened


def _open_all(files: Sequence[tuple[str, str, bytes]], watch_memory: bool) -> list[Opened]:
    signal.signal(signal.SIGALRM, _hang)
    # What is imported on first use is neither the file's time nor its memory.
    for kind in {kind for _, kind, _ in files}:
        with contextlib.suppress(Exception):
            OPENERS[kind](whole_file_of(kind) if kind in KINDS else b"")
    return [_open(name, kind, data, watch_memory) for name, kind, data in files]


class _HangError(BaseException):
    """The file took too long."""


def _hang(number: int, frame: object) -> None:
    raise _HangError


def _open(name: str, kind: str, data: bytes, watch_memory: bool) -> Opened:
    from hemodetect.errors import HemodetectError

    open_it = OPENERS[kind]
    memory = _Memory(watch_memory)
    began = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        open_it(data)
        result = "read"
    except HemodetectError:
        result = "refused"
    except _HangError:
        result = "hang"
    except Exception as error:  # noqa: BLE001  that is what is looked for
        result = f"crash: {type(error).__name__}: {str(error)[:80]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if CODE_RAN.exists():
        CODE_RAN.unlink()
        result = "code ran"
    return Opened(name, result, time.perf_counter() - began, memory.stopped())


class _Memory:
    """Megabytes of the process: its highest growth while watched, else its peak since it started."""

    def __init__(self, watched: bool) -> None:
        self._process = psutil.Process()
        self._before = self._highest = self._process.memory_info().rss
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch) if watched else None
        if self._thread:
            self._thread.start()

    def stopped(self) -> float:
        if self._thread is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._ended.set()
        self._thread.join()
        return (self._highest - self._before) / 1e6

    def _watch(self) -> None:
        while not self._ended.wait(0.002):
            self._highest = max(self._highest, self._process.memory_info().rss)


def _open_study(data: bytes) -> None:
    from hemodetect.errors import EmptyStudy
    from hemodetect.imaging import UploadedFile, read_study

    try:
        read_study([UploadedFile("scan", data)])
    except EmptyStudy:
        if data:
            raise


def _open_arrays(data: bytes) -> None:
    from hemodetect.models.weight_files import read_arrays

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.skops"
        file.write_bytes(data)
        read_arrays(file)


def _open_network(data: bytes) -> None:
    from hemodetect.models.weight_files import read_network

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head.keras"
        file.write_bytes(data)
        read_network(file)


OPENERS: dict[str, Callable[[bytes], None]] = {
    "study": _open_study,
    **dict.fromkeys(("dicom", "jpeg", "png", "zip", "nifti"), _open_study),
    "skops": _open_arrays,
    "keras": _open_network,
}
