"""A folder, zip, tar, file or uploads as one list of files to read.

Only names, sizes and first bytes are read here; whole files are read later, one at a time. Archives
that lie inside are opened as far as the settings allow.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from hemodetect.errors import EmptyStudy, UnreadableFile
from hemodetect.imaging.archives import Archive, too_large_file
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.kinds import (
    HEAD_BYTES,
    content_kind,
    is_ignorable,
    is_system_file,
    unread_reason,
)
from hemodetect.imaging.study import RefusedFile
from hemodetect.imaging.tar_archives import inflated_tar, part_reader, tar_entries
from hemodetect.settings import Settings

Reader = Callable[[int], bytes]
"""Returns the first n bytes of a file; raises `UnreadableFile`."""

_LONGEST_NAME = 300
_LINK = "It is a symbolic link; copy the file itself."
_NOT_REGULAR = "It is not a regular file; give the slices alone."


@dataclass(frozen=True)
class UploadedFile:
    """A file that a browser sent; its name may contain folders (``scan/s00.png``)."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Entry:
    """One file that holds slices, by its first bytes.

    Attributes:
        name: its path within the study, as by `display_name`.
        kind: what it holds.
        size: bytes, as the file system or the zip states.
        read: returns its first n bytes; raises `UnreadableFile`.
    """

    name: str
    kind: Literal["dicom", "nifti", "picture"]
    size: int
    read: Callable[[int], bytes]


@dataclass(frozen=True, eq=False)
class Listing:
    """Files to read, files already refused with the reason, and the number of ignored files."""

    entries: tuple[Entry, ...]
    refused: tuple[RefusedFile, ...]
    ignored: int


@contextmanager
def open_listing(
    files: Path | Sequence[UploadedFile], limits: Settings, budget: Budget
) -> Iterator[Listing]:
    """The files of a study; they can be read until the context ends.

    Names are relative to the deepest folder that holds all files, so that a folder, its upload and
    its zip give the same names.

    Raises:
        EmptyStudy: the path does not exist, or there are more files than the settings allow.
    """
    with ExitStack() as stack:
        collector = _FileCollector(limits, budget, stack)
        if isinstance(files, Path):
            collector.add_path(files)
        else:
            for upload in files:
                name = upload.name.replace("\\", "/")
                collector.add(name, len(upload.data), partial(_beginning, upload.data), depth=0)
        yield _without_common_folder(collector)


class _FileCollector:
    """Collects entries, opening archives on the way."""

    def __init__(self, limits: Settings, budget: Budget, stack: ExitStack) -> None:
        self.limits = limits
        self.budget = budget
        self.stack = stack
        self.entries: list[Entry] = []
        self.refused: list[RefusedFile] = []
        self.ignored = 0
        self.inflated = 0  # bytes of tar archives, which stay in memory until the study is read

    def add_path(self, path: Path) -> None:
        if not path.exists():
            raise EmptyStudy(f"{path}: no such file or folder; name a study's folder, zip or file.")
        if not path.is_dir():
            self.add(path.name, path.stat().st_size, _FileReader(path.resolve()), depth=0)
            return
        for name, file, size, refusal in _walked(path):
            self.add(name, size, _FileReader(file), depth=0, refusal=refusal)

    def add(
        self, name: str, size: int, read: Reader, depth: int, refusal: str | None = None
    ) -> None:
        """One file; `depth` counts the archives around it, `refusal` a reason not to read it."""
        if len(self.entries) + len(self.refused) + self.ignored >= self.limits.max_files:
            # What is left out by chance could be half of a series.
            raise EmptyStudy(
                f"There are more than {self.limits.max_files:,} files, so none was read; open one "
                "series at a time, or raise HEMODETECT_MAX_FILES."
            )
        if is_system_file(name):
            self.ignored += 1
            return
        if refusal is None and leads_outside(name):
            refusal = "Its name leads out of the study's folder; rename it, or pack it again."
        try:
            if refusal:
                raise UnreadableFile(refusal)
            self._add_by_content(name, size, read, depth)
        except UnreadableFile as error:
            self.refused.append(RefusedFile(display_name(name), str(error)))

    def _add_by_content(self, name: str, size: int, read: Reader, depth: int) -> None:
        head = read(HEAD_BYTES)
        kind = content_kind(head)
        if kind == "zip":
            self._add_zip(name, size, read, depth)
        elif kind == "tar":
            self._add_tar(name, size, read, depth)
        elif kind is not None:
            if size > self.limits.max_file_bytes:
                raise UnreadableFile(too_large_file(size, self.limits))
            self.entries.append(Entry(display_name(name), kind, size, read))
        elif is_ignorable(name, head):
            self.ignored += 1
        else:
            raise UnreadableFile(unread_reason(head))

    def _add_tar(self, name: str, size: int, read: Reader, depth: int) -> None:
        if depth > self.limits.max_zip_depth:
            raise UnreadableFile("It is an archive inside an archive; unpack it first.")
        if size > self.limits.max_study_bytes:
            raise UnreadableFile(
                "The archive is larger than a study may be; pack one series alone, or raise"
                " HEMODETECT_MAX_STUDY_BYTES."
            )
        archive = inflated_tar(read(size), self.limits, self.limits.max_study_bytes - self.inflated)
        self.inflated += len(archive)
        for entry in tar_entries(archive, self.limits):
            reader = part_reader(archive, entry)
            self.add(f"{name}/{entry.name}", entry.size, reader, depth + 1, entry.refusal)

    def _add_zip(self, name: str, size: int, read: Reader, depth: int) -> None:
        if depth > self.limits.max_zip_depth:
            raise UnreadableFile("It is an archive inside an archive; unpack it first.")
        if isinstance(read, _FileReader):
            stream = self.stack.enter_context(read.stream())
        else:
            if size > max(self.limits.max_file_bytes, self.limits.max_study_bytes):
                raise UnreadableFile(too_large_file(size, self.limits))
            self.budget.take_bytes(size)
            stream = BytesIO(read(size))
        archive = Archive(stream, self.limits)
        if archive.is_document:
            self.ignored += 1
            return
        for info in archive.entries:
            refusal = archive.refusal(info)
            if leads_outside(info.filename):
                refusal = "Its name leads out of the archive; pack the folder again."
            reader = partial(archive.read, info)
            self.add(f"{name}/{info.filename}", info.file_size, reader, depth + 1, refusal)


def leads_outside(name: str) -> bool:
    """Whether a path is absolute or climbs out of its folder, read as POSIX or as Windows."""
    parts = re.split(r"[/\\]", name)
    return parts[0] == "" or ".." in parts or bool(re.match(r"[A-Za-z]:", name))


def display_name(name: str) -> str:
    """A file name that can be displayed: printable, at most 300 characters from its end."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    path = str(PurePosixPath(clean))
    return path if len(path) <= _LONGEST_NAME else "..." + path[-_LONGEST_NAME:]


def _walked(root: Path) -> Iterator[tuple[str, Path, int, str | None]]:
    """(name, path, bytes, refusal) of every file below `root`; links are named, not followed."""
    folders = [root]
    while folders:
        folder = folders.pop()
        name = folder.relative_to(root).as_posix()
        try:
            with os.scandir(folder) as scanned:
                items = sorted(scanned, key=lambda item: item.name)
            sizes = [item.stat(follow_symlinks=False).st_size for item in items]
        except OSError as error:
            reason = f"The folder cannot be read ({error.strerror}); check its rights."
            yield name, folder, 0, reason
            continue
        for item, size in zip(items, sizes, strict=True):
            path = Path(item.path)
            refusal = None
            if item.is_symlink():
                refusal = _LINK
            elif item.is_dir(follow_symlinks=False):
                folders.append(path)
                continue
            elif not item.is_file(follow_symlinks=False):
                refusal = _NOT_REGULAR
            yield path.relative_to(root).as_posix(), path, size, refusal


def _beginning(data: bytes, count: int) -> bytes:
    # Slicing bytes whole gives the same object: no copy of an upload is made.
    return data[:count]


class _FileReader:
    """Reads a regular file; refuses a link or pipe that has replaced it since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, count: int) -> bytes:
        try:
            with self.stream() as stream:
                return stream.read(min(count, os.fstat(stream.fileno()).st_size))
        except OSError as error:
            raise _open_error(error) from None

    def stream(self) -> BinaryIO:
        # Without O_NONBLOCK, opening a pipe in the file's place would block for ever.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self._path, flags)
        except OSError as error:
            raise _open_error(error) from None
        stream = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise UnreadableFile(_NOT_REGULAR)
        return stream


def _open_error(error: OSError) -> UnreadableFile:
    if error.errno == errno.ELOOP:
        return UnreadableFile(_LINK)
    return UnreadableFile(f"It cannot be opened ({error.strerror}); check its rights.")


def _without_common_folder(collector: _FileCollector) -> Listing:
    folders = [PurePosixPath(entry.name).parent.parts for entry in collector.entries]
    common_parts = takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    common = "".join(f"{parts[0]}/" for parts in common_parts)
    return Listing(
        tuple(replace(e, name=e.name.removeprefix(common)) for e in collector.entries),
        tuple(replace(r, file=r.file.removeprefix(common)) for r in collector.refused),
        collector.ignored,
    )
