"""Slices to series: which belong together, and in what order.

DICOM slices belong together by Series Instance UID, orientation, size, unit and kind of image;
where positions repeat, the series holds several stacks and is taken apart. They are ordered along
the slice normal: base to vertex for axial slices. Plain pictures belong together by folder and by
their name up to its last number, and are ordered by that number; a file's pages stay together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from hemodetect.imaging.naming import natural_key, series_and_number
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.study import RefusedFile, Series, Slice
from hemodetect.settings import Settings

Plane = Literal["axial", "coronal", "sagittal"]
"""Body plane of a slice."""

_PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")  # by the axis of the normal
_SAME_POSITION_MM = 0.01


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """A slice as it was decoded, and what decides its series and its place in it.

    Attributes:
        slice: the image.
        patient, study, series, instance: pseudonyms; None for pictures and where unknown.
        orientation: row and column direction, six numbers (Image Orientation Patient).
        number: DICOM Instance Number or frame number.
        acquisition: DICOM Acquisition Number.
        set_aside: as in `Series`.
        content: SHA-256 of a picture's file, "" for DICOM.
        page: page of a picture of several pages, from 1; 0 otherwise.
    """

    slice: Slice
    patient: str | None = None
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    orientation: tuple[float, ...] | None = None
    number: int | None = None
    acquisition: int | None = None
    set_aside: str | None = None
    content: str = ""
    page: int = 0


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one series, in order.

    Attributes:
        members: at least one.
    """

    members: tuple[DecodedSlice, ...]

    @property
    def is_picture(self) -> bool:
        """Whether the slices are JPEG, PNG or TIFF pictures."""
        return bool(self.members[0].content)

    @property
    def plane(self) -> Plane | None:
        """The body plane nearest to the slices'; None where no header says it."""
        normal = _normal(self.members[0])
        return None if normal is None else _PLANES[int(np.argmax(np.abs(normal)))]

    @property
    def positions_mm(self) -> list[float]:
        """Along the normal, in slice order; empty where a slice has none."""
        geometries = [f.slice.geometry for f in self.members]
        if not all(geometries):
            return []
        return [g.position_mm for g in geometries if g is not None]

    def series(self, set_aside: str | None, limits: Settings) -> Series:
        """The stack as a `Series`; `set_aside` as there."""
        identity = sorted(f.content or f.instance or f.slice.source for f in self.members)
        return Series(
            id=pseudonym("series", *identity, limits=limits),
            description=self._description(),
            slices=tuple(f.slice for f in self.members),
            set_aside=set_aside,
        )

    def _description(self) -> str:
        count = len(self.members)
        noun = "picture" if self.is_picture else f"{self.plane or 'CT'} slice"
        shapes = {f.slice.shape for f in self.members}
        rows, columns = next(iter(shapes))
        size = f"{columns} x {rows}" if len(shapes) == 1 else "of differing size"
        words = [f"{count} {noun}{'' if count == 1 else 's'}", size]
        gaps = np.abs(np.diff(self.positions_mm))
        if gaps.size:
            low, high = f"{gaps.min():.1f}", f"{gaps.max():.1f}"
            words.append(f"{low} mm apart" if low == high else f"{low} to {high} mm apart")
        return ", ".join(words)


def without_copies(slices: Sequence[DecodedSlice]) -> tuple[list[DecodedSlice], list[RefusedFile]]:
    """Slices without repeated DICOM images (same identifier, same values), and the repeated ones."""
    first: dict[str, DecodedSlice] = {}
    unique, refused = [], []
    for item in slices:
        earlier = first.setdefault(item.instance, item) if item.instance else item
        if earlier is not item and np.array_equal(earlier.slice.values, item.slice.values):
            reason = f"It is the same image as {earlier.slice.source}, which is read."
            refused.append(RefusedFile(item.slice.source, reason))
        else:
            unique.append(item)
    return unique, refused


def stacks(slices: Iterable[DecodedSlice]) -> list[Stack]:
    """Slices grouped and ordered; each slice is in exactly one stack."""
    pictures: list[DecodedSlice] = []
    groups: defaultdict[Hashable, list[DecodedSlice]] = defaultdict(list)
    for item in slices:
        if item.content:
            pictures.append(item)
        else:
            groups[_dicom_key(item)].append(item)
    dicom_stacks = [part for group in groups.values() for part in _single_stacks(group)]
    return [Stack(tuple(part)) for part in [*dicom_stacks, *_picture_groups(pictures)]]


def _dicom_key(item: DecodedSlice) -> Hashable:
    direction = item.orientation and tuple(round(v, 2) + 0.0 for v in item.orientation)
    folder = PurePosixPath(item.slice.source).parent if item.series is None else None
    kind = (item.slice.shape, item.slice.units, item.set_aside)
    return (item.patient, item.study, item.series, folder, direction, *kind)


def _normal(item: DecodedSlice) -> np.ndarray | None:
    if item.orientation is None:
        return None
    return np.cross(item.orientation[:3], item.orientation[3:])


def _single_stacks(group: list[DecodedSlice]) -> list[list[DecodedSlice]]:
    """The group in order, taken apart where several slices lie at one position."""
    if any(item.slice.geometry is None for item in group):
        return [sorted(group, key=_by_number)]
    if not _repeats(group):
        return [_by_position(group)]
    acquisitions: defaultdict[int | None, list[DecodedSlice]] = defaultdict(list)
    for item in group:
        acquisitions[item.acquisition].append(item)
    if not any(_repeats(part) for part in acquisitions.values()):
        return [_by_position(part) for part in acquisitions.values()]
    layers: list[list[DecodedSlice]] = []
    depth: defaultdict[int, int] = defaultdict(int)
    for item in sorted(group, key=_by_number):
        step = _position_step(item)
        if depth[step] == len(layers):
            layers.append([])
        layers[depth[step]].append(item)
        depth[step] += 1
    return [_by_position(layer) for layer in layers]


def _position_step(item: DecodedSlice) -> int:
    """Position along the normal in steps of `_SAME_POSITION_MM`."""
    assert item.slice.geometry is not None
    return round(item.slice.geometry.position_mm / _SAME_POSITION_MM)


def _repeats(group: list[DecodedSlice]) -> bool:
    return len({_position_step(item) for item in group}) < len(group)


def _by_position(group: list[DecodedSlice]) -> list[DecodedSlice]:
    normal = _normal(group[0])
    assert normal is not None
    # Up the body's axis (towards the vertex for axial slices), however the normal points.
    sign = 1 if normal[np.argmax(np.abs(normal))] > 0 else -1
    return sorted(group, key=lambda item: (sign * _position_step(item), _by_number(item)))


def _by_number(item: DecodedSlice) -> tuple[bool, int, tuple[tuple[int, str], ...]]:
    return item.number is None, item.number or 0, natural_key(item.slice.source)


def _picture_groups(pictures: list[DecodedSlice]) -> list[list[DecodedSlice]]:
    groups: defaultdict[tuple[str, str], list[DecodedSlice]] = defaultdict(list)
    prefixes: defaultdict[str, set[str]] = defaultdict(set)
    counts: defaultdict[str, int] = defaultdict(int)
    for item in pictures:
        folder, prefix = _folder_and_prefix(item)
        if not item.page:
            prefixes[folder].add(prefix)
            counts[folder] += 1
    for item in pictures:
        folder, prefix = _folder_and_prefix(item)
        # Where every picture has a prefix of its own, prefixes do not name series.
        if not item.page and len(prefixes[folder]) == counts[folder]:
            prefix = ""
        groups[folder, prefix].append(item)
    return [sorted(group, key=_picture_order) for group in groups.values()]


def _folder_and_prefix(item: DecodedSlice) -> tuple[str, str]:
    path = PurePosixPath(item.slice.source)
    if item.page:
        return str(path.parent), item.slice.source.rpartition("#")[0]
    prefix, _ = series_and_number(path.name)
    numbered = any(c.isdigit() for c in path.stem)
    return str(path.parent), prefix if numbered else ""


def _picture_order(item: DecodedSlice) -> tuple[int, tuple[tuple[int, str], ...]]:
    return item.page, natural_key(item.slice.source)
