"""Slices to series: which belong together, and in what order.

DICOM slices belong together by Series Instance UID, size, unit and kind of image, as far as they
are one stack (`hemodetect.imaging.stacking`). Plain pictures belong together by folder and name
(`hemodetect.imaging.picture_names`); a file's pages stay together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from hemodetect.imaging.decoded_slice import DecodedSlice
from hemodetect.imaging.picture_names import picture_groups
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.stacking import one_stack_each
from hemodetect.imaging.study import Series
from hemodetect.settings import Settings

Plane = Literal["axial", "coronal", "sagittal"]
"""Body plane of a slice."""

_PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")  # by the axis of the normal


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one series, in order.

    Attributes:
        members: at least one.
        numbers: of the slices in their series; empty where the names of pictures tell no order.
        name: words of the pictures' folder and names, in lower case.
        cautions: sentences about the series.
    """

    members: tuple[DecodedSlice, ...]
    numbers: tuple[float, ...] = ()
    name: str = ""
    cautions: tuple[str, ...] = ()

    @property
    def is_picture(self) -> bool:
        """Whether the slices are JPEG, PNG or TIFF pictures."""
        return bool(self.members[0].content)

    @property
    def plane(self) -> Plane | None:
        """The body plane nearest to the slices'; None where no header says it."""
        normal = self.members[0].normal
        return None if normal is None else _PLANES[int(np.argmax(np.abs(normal)))]

    @property
    def positions_mm(self) -> list[float]:
        """Along the normal, in slice order; empty where a slice has none."""
        positions = [item.position_mm for item in self.members if item.position_mm is not None]
        return positions if len(positions) == len(self.members) else []

    @property
    def covered_mm(self) -> float:
        """From the first slice's lower to the last slice's upper face; 0 where unknown."""
        gaps = np.abs(np.diff(self.positions_mm))
        return float(gaps.sum() + np.median(gaps)) if gaps.size else 0.0

    @property
    def is_ordered(self) -> bool:
        """Whether positions, numbers or names tell the order of the slices."""
        return bool(self.numbers) or len(self.members) == 1

    def series(self, set_aside: str | None, limits: Settings) -> Series:
        """The stack as a `Series`; `set_aside` as there."""
        identity = sorted(f.content or f.instance or f.slice.source for f in self.members)
        return Series(
            id=pseudonym("series", *identity, limits=limits),
            description=self._description(),
            slices=tuple(f.slice for f in self.members),
            set_aside=set_aside,
            cautions=self.cautions,
            is_ordered=self.is_ordered,
            contrast=any(item.contrast for item in self.members),
            numbers=self.numbers if self.is_picture else (),
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


def stacks(slices: Iterable[DecodedSlice]) -> list[Stack]:
    """Slices grouped and ordered; each slice is in exactly one stack."""
    pictures: list[DecodedSlice] = []
    groups: defaultdict[Hashable, list[DecodedSlice]] = defaultdict(list)
    for item in slices:
        if item.content:
            pictures.append(item)
        else:
            groups[_dicom_key(item)].append(item)
    dicom_stacks = [
        Stack(tuple(members), numbers=_numbers(members))
        for group in groups.values()
        for members in one_stack_each(group)
    ]
    return [*dicom_stacks, *_picture_stacks(pictures)]


def _numbers(members: Sequence[DecodedSlice]) -> tuple[float, ...]:
    """Instance numbers; empty where neither they nor positions tell the order."""
    if any(item.number is None and item.position_mm is None for item in members):
        return ()
    return tuple(item.number or 0 for item in members)


def _dicom_key(item: DecodedSlice) -> Hashable:
    # Files of one series may carry several patient numbers; without a series they are all there is.
    series = item.series or (item.patient, item.study, PurePosixPath(item.slice.source).parent)
    return series, item.slice.shape, item.slice.units, item.set_aside


def _picture_stacks(pictures: Sequence[DecodedSlice]) -> list[Stack]:
    pages: defaultdict[str, list[DecodedSlice]] = defaultdict(list)
    singles = []
    for item in pictures:
        if item.page:
            pages[item.slice.source.rpartition("#")[0]].append(item)
        else:
            singles.append(item)
    in_files = [
        Stack(tuple(members), numbers=tuple(item.page for item in members), name=name.lower())
        for name, group in sorted(pages.items())
        for members in [sorted(group, key=lambda item: item.page)]
    ]
    named = [
        Stack(
            tuple(singles[index] for index in group.members),
            numbers=group.numbers,
            name=group.text,
        )
        for group in picture_groups([item.slice.source for item in singles])
    ]
    return [*in_files, *named]
