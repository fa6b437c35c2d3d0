"""Files and folders that exist whole or not at all, whenever the program or the machine stops.

Each is written under a temporary name in the folder that it belongs to, flushed to the disk, and
renamed. A kill leaves the temporary copy behind (`left_over`) and the old content in place.

    with whole_file(folder / "card.json") as partial:
        partial.write_text(text)
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_USUAL_MODE = 0o666  # less the umask of the process


@contextlib.contextmanager
def whole_file(path: Path, *, mode: int = _USUAL_MODE) -> Iterator[Path]:
    """Gives a temporary file to write to; it replaces `path` when the block ends without an error.

    The temporary name has the suffixes of `path`, because some libraries add one that is missing.

    Args:
        path: the file; missing folders above it are created.
        mode: permissions, less the umask.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `path` is as before.
    """
    with _partial_file(path, mode) as partial:
        yield partial
        _flush([partial])
        partial.replace(path)
        _flush_folder(path.parent)


def write_once(path: Path, text: str, *, mode: int = _USUAL_MODE) -> None:
    """Writes a file unless it exists; of several processes the first one wins.

    Raises:
        OSError: the folder cannot be written, the disk is full, or the file system has no links.
    """
    # A link, unlike a rename, fails where the file exists.
    with _partial_file(path, mode) as partial, contextlib.suppress(FileExistsError):
        partial.write_text(text)
        _flush([partial])
        os.link(partial, path)
        _flush_folder(path.parent)


@contextlib.contextmanager
def whole_folder(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Gives an empty temporary folder to fill; it becomes `path` when the block ends without an error.

    Args:
        path: the folder, which must not exist yet; missing folders above it are created.
        flush: whether its files are on disk when the block ends, about 3 ms a file; without it a
            power failure soon afterwards may leave files empty.

    Raises:
        FileExistsError: `path` exists by the end of the block.
        OSError: the folder cannot be written, or the disk is full.
    """
    partial = _partial_name(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        if flush:
            _flush(file for file in partial.rglob("*") if file.is_file())
        try:
            partial.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, "exists already", str(path)) from error
            raise
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def left_over(folder: Path) -> list[Path]:
    """Temporary files and folders in `folder`: being written now, or left by a kill."""
    return sorted(folder.glob(".*.partial*"))


@contextlib.contextmanager
def _partial_file(path: Path, mode: int) -> Iterator[Path]:
    partial = _partial_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _partial_name(path: Path) -> Path:
    stem, dot, suffixes = path.name.lstrip(".").partition(".")
    return path.with_name(f".{stem}-{secrets.token_hex(4)}.partial{dot}{suffixes}")


def _flush(files: Iterable[Path]) -> None:
    """Has the system write files to the disk."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Has the system write a folder's names to the disk; some network file systems cannot."""
    with contextlib.suppress(OSError):
        _flush([folder])
