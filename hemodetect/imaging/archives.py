"""Untrusted zip archives: limits are checked before anything is unpacked.

Nothing is ever written to disk. Each entry is read as a stream, at most to the size in its
header, and that size was checked against the limits.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from typing import IO, BinaryIO

from hemodetect.errors import UnreadableFile
from hemodetect.settings import MIB, Settings

# Smaller entries may have any ratio: a slice of only air packs very well, and the limits on files
# and on the study still bound many of them.
_RATIO_FLOOR_BYTES = MIB
_DIRECTORY_BYTES_PER_FILE = 1024
_ENCRYPTED = 0x1 | 0x40
_DOCUMENTS = frozenset({"[content_types].xml", "mimetype", "meta-inf/manifest.mf"})


@dataclass(frozen=True)
class ZipLimits:
    """Limits of a whole zip, and the words for its error messages.

    Attributes:
        noun: what is packed in it ("study", "set").
        advice: what to do about a zip over a limit.
        files: largest number of entries.
        unpacked_bytes: largest sum of their sizes.
        variables: the environment variables that raise these two.
    """

    noun: str
    advice: str
    files: int
    unpacked_bytes: int
    variables: tuple[str, str]


class Archive:
    """An open zip whose directory has passed the limits."""

    def __init__(
        self, stream: BinaryIO, limits: Settings, zip_limits: ZipLimits | None = None
    ) -> None:
        """Reads the zip's directory.

        Args:
            stream: seekable; must stay open while the archive is used.
            limits: of every entry.
            zip_limits: of the whole zip; those of a study by default.

        Raises:
            UnreadableFile: damaged, or over one of `zip_limits`.
        """
        self._limits = limits
        zip_limits = zip_limits or _study_zip_limits(limits)
        capped = _CappedReads(stream, max(MIB, zip_limits.files * _DIRECTORY_BYTES_PER_FILE))
        try:
            self._zip = zipfile.ZipFile(capped)
        except _DirectoryTooLargeError:
            raise UnreadableFile(_too_many(zip_limits)) from None
        except Exception:  # noqa: BLE001  zipfile raises struct.error, KeyError, ... as well
            raise UnreadableFile("The zip archive is damaged; pack or copy it again.") from None
        self.entries = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(self.entries) > zip_limits.files:
            raise UnreadableFile(_too_many(zip_limits))
        self.unpacked_bytes = sum(info.file_size for info in self.entries)
        if self.unpacked_bytes > zip_limits.unpacked_bytes:
            raise UnreadableFile(
                f"The zip archive unpacks to {self.unpacked_bytes / MIB:,.0f} MiB, more than the "
                f"{zip_limits.unpacked_bytes / MIB:,.0f} MiB a {zip_limits.noun} may have; "
                f"{zip_limits.advice}, or raise {zip_limits.variables[1]}."
            )

    @property
    def is_document(self) -> bool:
        """Whether it is an office document or program: these are zips too."""
        return any(info.filename.lower() in _DOCUMENTS for info in self.entries)

    def refusal(self, info: zipfile.ZipInfo) -> str | None:
        """Why this entry must not be unpacked, or None."""
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK:
            return "It is a symbolic link; pack the file itself."
        if kind not in (0, stat.S_IFREG):
            return "It is not a regular file; pack the slices alone."
        if info.flag_bits & _ENCRYPTED:
            return "It is encrypted; unpack the archive with its password first."
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Python's bzip2 and LZMA readers unpack a block whole, however large it becomes.
            return "It is packed with a method other than Deflate; pack it again as ordinary zip."
        if info.file_size > self._limits.max_file_bytes:
            return too_large_file(info.file_size, self._limits)
        ratio = info.file_size / max(1, info.compress_size)
        if info.file_size > _RATIO_FLOOR_BYTES and ratio > self._limits.max_zip_ratio:
            return (
                f"It unpacks to {ratio:,.0f} times its packed size, more than the "
                f"{self._limits.max_zip_ratio} allowed (a zip bomb does this); give it unpacked."
            )
        return None

    def read(self, info: zipfile.ZipInfo, count: int) -> bytes:
        """The first `count` bytes of an entry, at most its stated size.

        Raises:
            UnreadableFile: the entry is damaged.
        """
        try:
            with self._zip.open(info) as stream:
                return b"".join(_pieces(stream, min(count, info.file_size)))
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError):
            raise UnreadableFile("Its part of the zip archive is damaged; pack it again.") from None
        except (NotImplementedError, RuntimeError):  # wrong password, patched or unknown entry
            raise UnreadableFile("It cannot be unpacked; pack it as ordinary zip.") from None


def too_large_file(size: int, limits: Settings) -> str:
    """The error message for a file of `size` bytes, which is over the limit."""
    return (
        f"Its {size / MIB:,.0f} MiB are more than the {limits.max_file_bytes / MIB:,.0f} MiB a "
        "file may have; raise HEMODETECT_MAX_FILE_BYTES if it is a study."
    )


def _study_zip_limits(limits: Settings) -> ZipLimits:
    return ZipLimits(
        "study",
        "pack one series alone",
        limits.max_files,
        limits.max_study_bytes,
        ("HEMODETECT_MAX_FILES", "HEMODETECT_MAX_STUDY_BYTES"),
    )


def _too_many(zip_limits: ZipLimits) -> str:
    return (
        f"The zip archive holds more than the {zip_limits.files:,} files a {zip_limits.noun} may have; "
        f"{zip_limits.advice}, or raise {zip_limits.variables[0]}."
    )


def _pieces(stream: IO[bytes], count: int) -> Iterator[bytes]:
    while count > 0:
        piece = stream.read(min(count, MIB))
        if not piece:
            return
        count -= len(piece)
        yield piece


class _DirectoryTooLargeError(Exception):
    pass


class _CappedReads(RawIOBase):
    """A stream that returns at most `cap` bytes at once.

    `zipfile` reads the whole directory in one read and builds an object for each entry in it: a
    directory of 500 MB would take 5 GB. Everything else it reads is small.
    """

    def __init__(self, stream: BinaryIO, cap: int) -> None:
        self._stream = stream
        self._cap = cap

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._cap:
            data = self._stream.read(self._cap + 1)
            if len(data) > self._cap:
                raise _DirectoryTooLargeError
            return data
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
