"""Untrusted tar archives, packed with gzip or not: nothing is unpacked before the limits allow it.

A gzip stream cannot be read from its middle, so it is inflated into memory, and no further than a study
may be large. Entries are then parts of those bytes. Nothing is ever written to disk.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.archives import too_large_file
from hemodetect.imaging.inflating import GZIP_FORMAT, InflatesTooFar, StreamDamaged, inflated
from hemodetect.imaging.kinds import GZIP
from hemodetect.settings import MIB, Settings

_RATIO_FLOOR_BYTES = MIB
_DAMAGED = "The tar archive is damaged; pack or copy it again."


@dataclass(frozen=True, eq=False)
class TarEntry:
    """A file in an archive.

    Attributes:
        name: its path there.
        size: bytes.
        start: place of its first byte in the inflated archive.
        refusal: why it must not be read, or None.
    """

    name: str
    size: int
    start: int
    refusal: str | None


def inflated_tar(data: bytes, limits: Settings, most: int) -> bytes:
    """The archive without gzip.

    Args:
        data: the file.
        limits: of a study.
        most: bytes that may still be kept of the study's archives.

    Raises:
        UnreadableFile: damaged, or it inflates to more than a study may have, or far more than
            its size.
    """
    cap = most
    if not data.startswith(GZIP):
        if len(data) > cap:
            raise UnreadableFile(_too_large(cap))
        return data
    if len(data) * limits.max_zip_ratio < cap:
        cap = max(len(data) * limits.max_zip_ratio, _RATIO_FLOOR_BYTES)
    try:
        return inflated(data, GZIP_FORMAT, cap)
    except InflatesTooFar:
        raise UnreadableFile(_too_large(cap)) from None
    except StreamDamaged:
        raise UnreadableFile(_DAMAGED) from None


def _too_large(cap: int) -> str:
    return (
        f"The archive inflates to more than {cap / MIB:,.0f} MiB, which is more than a study may have"
        " or than slices pack to; give it unpacked, or raise HEMODETECT_MAX_STUDY_BYTES."
    )


def tar_entries(archive: bytes, limits: Settings) -> list[TarEntry]:
    """The files of an inflated archive, folders left out.

    Raises:
        UnreadableFile: damaged, or more files than a study may have.
    """
    entries: list[TarEntry] = []
    try:
        with tarfile.open(fileobj=BytesIO(archive), mode="r:") as opened:
            for info in opened:
                if info.isdir():
                    continue
                if len(entries) >= limits.max_files:
                    raise UnreadableFile(
                        f"The archive holds more than the {limits.max_files:,} files a study may have;"
                        " pack one series alone, or raise HEMODETECT_MAX_FILES."
                    )
                start, refusal = info.offset_data, None
                if info.issym() or info.islnk():
                    refusal = "It is a link; pack the file itself."
                elif not info.isreg() or info.issparse():
                    refusal = "It is not a regular file; pack the slices alone."
                elif info.size > limits.max_file_bytes:
                    refusal = too_large_file(info.size, limits)
                elif start + info.size > len(archive):
                    refusal = "Its part of the archive is missing; pack it again."
                entries.append(TarEntry(info.name, info.size, start, refusal))
    except UnreadableFile:
        raise
    except Exception:  # noqa: BLE001  tarfile raises ValueError, OverflowError, ... on malformed bytes
        raise UnreadableFile(_DAMAGED) from None
    return entries


def part_reader(archive: bytes, entry: TarEntry) -> partial[bytes]:
    """A function that returns the first bytes of an entry."""
    return partial(_part, archive, entry.start, entry.size)


def _part(archive: bytes, start: int, size: int, count: int) -> bytes:
    return archive[start : start + min(count, size)]
