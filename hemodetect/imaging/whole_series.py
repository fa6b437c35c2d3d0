"""Which series of a study over the limits are read: each whole or not at all, the same every time.

The headers alone are read here. Series are taken in the order in which one would choose them: axial
before others, plain before contrast and computed ones, those as long as a head before slabs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.dicom import read_header
from hemodetect.imaging.headers import Header
from hemodetect.imaging.nifti import nifti_size
from hemodetect.imaging.picture_names import picture_groups
from hemodetect.imaging.pictures import slice_pages
from hemodetect.imaging.sources import Entry
from hemodetect.imaging.study import RefusedFile
from hemodetect.settings import MIB, Settings

_HEADER_BYTES = 256 * 1024
_HEAD_MM = 90.0


@dataclass(frozen=True, eq=False)
class Fitting:
    """What of a study is read.

    Attributes:
        entries: the files of the series that fit, in the order given.
        refused: the files of the others, and those without a readable header.
        left_out: a sentence on the series that were left out.
    """

    entries: tuple[Entry, ...]
    refused: tuple[RefusedFile, ...]
    left_out: str


@dataclass(frozen=True, eq=False)
class _Measured:
    """A file: its series, slices, bytes to read and bytes of decoded pixels."""

    entry: Entry
    series: Hashable
    slices: int
    pixel_bytes: int
    header: Header | None = None


def fitting_series(entries: Sequence[Entry], limits: Settings) -> Fitting:
    """The series that together stay below the limits of slices, bytes and pixels."""
    refused: list[RefusedFile] = []
    measured: list[_Measured] = []
    picture_series = _picture_series(entries)
    for entry in entries:
        try:
            measured += _measured(entry, picture_series, limits)
        except UnreadableFile as error:
            refused.append(RefusedFile(entry.name, str(error)))
    series: defaultdict[Hashable, list[_Measured]] = defaultdict(list)
    for item in measured:
        series[item.series].append(item)
    kept: set[int] = set()
    left_out: list[list[_Measured]] = []
    slices = read_bytes = pixel_bytes = 0
    for members in sorted(series.values(), key=_rank):
        more = sum(m.slices for m in members), _bytes(members), sum(m.pixel_bytes for m in members)
        if slices + more[0] <= limits.max_slices and (
            max(read_bytes + more[1], pixel_bytes + more[2]) <= limits.max_study_bytes
        ):
            slices += more[0]
            read_bytes += more[1]
            pixel_bytes += more[2]
            kept |= {id(m.entry) for m in members}
        else:
            left_out.append(members)
    for members in left_out:
        reason = _reason(sum(m.slices for m in members), limits)
        refused += [RefusedFile(m.entry.name, reason) for m in members]
    sentence = _sentence([sum(m.slices for m in members) for members in left_out], limits)
    return Fitting(tuple(e for e in entries if id(e) in kept), tuple(refused), sentence)


def _bytes(members: Iterable[_Measured]) -> int:
    return sum(m.entry.size for m in members)


def _picture_series(entries: Sequence[Entry]) -> dict[str, Hashable]:
    names = [entry.name for entry in entries if entry.kind == "picture"]
    groups = picture_groups(names)
    return {
        names[index]: ("pictures", number)
        for number, group in enumerate(groups)
        for index in group.members
    }


def _measured(
    entry: Entry, picture_series: dict[str, Hashable], limits: Settings
) -> list[_Measured]:
    if entry.kind == "picture":
        pages = slice_pages(entry.read(entry.size), limits.max_slice_pixels, limits.max_slices)
        pixels = sum(page.rows * page.columns for page in pages)
        return [_Measured(entry, picture_series[entry.name], len(pages), pixels)]
    if entry.kind == "nifti":
        rows, columns, count = nifti_size(entry.read(entry.size), limits)
        return [_Measured(entry, (entry.name,), count, rows * columns * count * 4)]
    header = _header(entry, limits)
    if header is None:
        return []
    folder = PurePosixPath(entry.name).parent
    series = header.series or (header.patient, header.study, folder)
    pixels = header.rows * header.columns * 4 * len(header.frames)
    return [_Measured(entry, (series, header.set_aside), len(header.frames), pixels, header)]


def _header(entry: Entry, limits: Settings) -> Header | None:
    try:
        return read_header(entry.read(min(entry.size, _HEADER_BYTES)), limits)
    except UnreadableFile:
        if entry.size <= _HEADER_BYTES:
            raise
        return read_header(entry.read(entry.size), limits)  # the header alone is longer


def _rank(members: Sequence[_Measured]) -> tuple[bool, bool, bool, bool, int, str]:
    headers = [m.header for m in members if m.header]
    name = min((m.header and m.header.instance) or m.entry.name for m in members)
    if not headers:
        return (False, False, False, True, -len(members), name)
    return reading_rank(headers, name)


def reading_rank(headers: Sequence[Header], name: str) -> tuple[bool, bool, bool, bool, int, str]:
    """Sorts series in the order in which one would choose them; `name` decides between equals."""
    frames = [frame for header in headers for frame in header.frames]
    positions = [f.geometry.position_mm for f in frames if f.geometry]
    normals = [f.geometry.normal for f in frames if f.geometry]
    is_axial = not normals or int(np.argmax(np.abs(np.median(normals, axis=0)))) == 2
    covered = max(positions) - min(positions) if positions else 0.0
    return (
        any(header.set_aside for header in headers),
        not is_axial,
        any(header.contrast or header.is_derived for header in headers),
        covered < _HEAD_MM,
        -len(frames),
        name,
    )


def _reason(slices: int, limits: Settings) -> str:
    series = "1 slice" if slices == 1 else f"{slices:,} slices"
    return f"Its series of {series} was left out whole: {_limit(limits)}"


def _limit(limits: Settings) -> str:
    return (
        f"a study may have {limits.max_slices:,} slices and {limits.max_study_bytes / MIB:,.0f} MiB."
        " Open one series at a time, or raise HEMODETECT_MAX_SLICES or HEMODETECT_MAX_STUDY_BYTES."
    )


def _sentence(slices: Sequence[int], limits: Settings) -> str:
    if not slices:
        return ""
    what = "1 series" if len(slices) == 1 else f"{len(slices):,} series"
    total = f"{sum(slices):,} slices"
    return f"Not read: {what} of this study, {total} in all; {_limit(limits)}"
