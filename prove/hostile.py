"""Files that a hospital, an accident or an attacker can produce, given to what opens them.

Each file is opened in a process of its own kind, which is watched: a crash, a hang or grown memory is
then a figure and not the end of the run.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import multiprocessing
import pickle
import resource
import signal
import tarfile
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from prove.outcome import Outcome

HANG_SECONDS = 5
SEED = 20261127
SLOWEST_SECONDS = 2.0
MOST_MB = 500
MOST_GROWTH_MB = 100
KINDS = ("dicom", "jpeg", "png", "zip", "nifti", "skops", "keras")


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
        opened = _opened(list(_mutants(kind, each)))
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
    opened = _opened([(name, "study", data) for name, data in _bombs()], watch_memory=True)
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
            OPENERS[kind](_whole(kind) if kind in KINDS else b"")
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
    if _CODE_RAN.exists():
        _CODE_RAN.unlink()
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


_CODE_RAN = Path("/tmp/hemodetect-code-ran")
"""Written by the code in a poisoned model file, were it run."""


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


def _mutants(kind: str, count: int) -> Iterator[tuple[str, str, bytes]]:
    random = np.random.default_rng([SEED, KINDS.index(kind)])
    whole = _whole(kind)
    yield f"{kind} unchanged", kind, whole
    if kind in ("skops", "keras"):
        yield f"{kind} as a pickle", kind, pickle.dumps(_Poison())
        yield f"{kind} poisoned", kind, _poisoned(kind)
    for number in range(count):
        yield f"{kind} {number}", kind, _mutant(whole, random)


def _mutant(whole: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(whole)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(len(data))) if data else 0
        length = int(random.integers(1, 64))
        way = random.integers(5)
        if way == 0:
            data[place : place + length] = random.bytes(len(data[place : place + length]))
        elif way == 1:
            data[place : place + 1] = bytes([int(random.choice([0, 1, 127, 128, 254, 255]))])
        elif way == 2:
            del data[place : place + length]
        elif way == 3:
            other = int(random.integers(max(len(data) - length, 1)))
            data[place:place] = data[other : other + length]
        else:
            # Headers are short beside pixels, and hold what matters most.
            near = int(random.integers(min(len(data), 600))) if data else 0
            data[near : near + 2] = random.bytes(2)
    if random.random() < 0.1:
        del data[int(random.integers(len(data) + 1)) :]
    return bytes(data)


def _whole(kind: str) -> bytes:
    """A small valid file."""
    import nibabel

    from hemodetect.phantom.files import dicom_files, picture_files
    from hemodetect.phantom.head import head_phantom

    phantom = head_phantom(slices=3, size=64, pixel_spacing_mm=3.6, slice_spacing_mm=40)
    if kind == "dicom":
        return dicom_files(phantom)[1][1]
    if kind in ("jpeg", "png"):
        return picture_files(phantom, ".jpg" if kind == "jpeg" else ".png")[1][1]
    if kind == "nifti":
        image = nibabel.Nifti1Image(np.asarray(phantom.hu, np.int16).transpose(2, 1, 0), np.eye(4))
        return gzip.compress(image.to_bytes(), 1)
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in picture_files(phantom, ".png"):
                archive.writestr(name, data)
        return packed.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        if kind == "skops":
            from hemodetect.models.weight_files import write_arrays

            file = Path(folder) / "model.skops"
            write_arrays(file, {"weights": np.arange(40, dtype=np.float32).reshape(8, 5)})
        else:
            import keras

            from hemodetect.models.weight_files import write_network

            file = Path(folder) / "head.keras"
            write_network(file, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
        return file.read_bytes()


class _Poison:
    def __reduce__(self) -> tuple:
        return Path.touch, (_CODE_RAN,)


def _poisoned(kind: str) -> bytes:
    """A file of the right kind that would run code where its content is trusted."""
    if kind == "skops":
        import skops.io

        return skops.io.dumps(_Poison())
    import keras

    source = keras.Input((3,))
    ran = keras.layers.Lambda(
        lambda x: [__import__("pathlib").Path("/tmp/hemodetect-code-ran").touch(), x][1]
    )(source)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head.keras"
        keras.Model(source, ran).save(file)
        _CODE_RAN.unlink(missing_ok=True)  # it ran when the model was made
        return file.read_bytes()


def _bombs() -> Iterator[tuple[str, bytes]]:
    gigabyte = 1024**3
    zeros = bytes(16 * 1024**2)

    def deflated(size: int, packer: Callable[[], object] = lambda: zlib.compressobj(9)) -> bytes:
        press = packer()
        parts = [press.compress(zeros) for _ in range(size // len(zeros))]  # type: ignore[attr-defined]
        return b"".join([*parts, press.flush()])  # type: ignore[attr-defined]

    def packed_with_gzip(head: bytes) -> bytes:
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
            file.write(head)
            for _ in range(4 * gigabyte // len(zeros)):
                file.write(zeros)
        return out.getvalue()

    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("slice.dcm", "w", force_zip64=True) as file,
    ):
        for _ in range(4 * gigabyte // len(zeros)):
            file.write(zeros)
    yield "zip of 4 GB", out.getvalue()
    nest = io.BytesIO()
    with zipfile.ZipFile(nest, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.zip", out.getvalue())
    yield "zip of zips", nest.getvalue()
    entry = tarfile.TarInfo("slice.dcm")
    entry.size = 4 * gigabyte
    yield "tar.gz of 4 GB", packed_with_gzip(entry.tobuf())
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape((20_000, 20_000, 10))
    header.set_data_dtype(np.int16)
    yield "nii.gz of 8 GB", packed_with_gzip(header.binaryblock + bytes(4))
    yield (
        "deflated DICOM",
        _deflated_dicom(deflated(gigabyte, lambda: zlib.compressobj(9, zlib.DEFLATED, -15))),
    )
    yield from _picture_bombs(deflated)


def _deflated_dicom(pixels: bytes) -> bytes:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    out = io.BytesIO()
    out.write(bytes(128) + b"DICM")
    write_file_meta_info(out, meta, enforce_standard=True)
    return out.getvalue() + pixels


def _picture_bombs(deflated: Callable[[int], bytes]) -> Iterator[tuple[str, bytes]]:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = 60_000
    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    body = deflated(1024**3)
    yield (
        "PNG of 60,000 x 60,000",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""),
    )
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (65_000, 4_500)).save(out, "JPEG", quality=5)
    yield "JPEG of 65,000 x 4,500", out.getvalue()
    out = io.BytesIO()
    pages = [Image.new("L", (2_000, 2_000)) for _ in range(2)]
    pages[0].save(
        out, "TIFF", save_all=True, append_images=pages[1:] * 3_100, compression="tiff_lzw"
    )
    yield "TIFF of 3,101 pages", out.getvalue()
