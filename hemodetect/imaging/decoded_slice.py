"""A slice as it was decoded, and what decides its series and its place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hemodetect.imaging.naming import NaturalKey, natural_key
from hemodetect.imaging.study import RefusedFile, Slice


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """One image of a file.

    Attributes:
        slice: the image.
        patient, study, series, instance: pseudonyms; None for pictures and where unknown.
        orientation: row and column direction, six numbers (Image Orientation Patient).
        corner: of the first pixel, mm (Image Position Patient).
        location: DICOM Slice Location, mm.
        number: DICOM Instance Number or frame number.
        acquisition: DICOM Acquisition Number.
        kernel, image_type: pseudonyms of the Convolution Kernel and of the whole Image Type.
        tube_voltage: KVP, kV.
        contrast: the header names a contrast agent.
        derived: the Image Type says that it was computed from other images.
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
    corner: tuple[float, ...] | None = None
    location: float | None = None
    number: int | None = None
    acquisition: int | None = None
    kernel: str | None = None
    image_type: str | None = None
    tube_voltage: float | None = None
    contrast: bool = False
    derived: bool = False
    set_aside: str | None = None
    content: str = ""
    page: int = 0

    @property
    def position_mm(self) -> float | None:
        """Along the normal, or Slice Location where the header has no position."""
        return self.slice.geometry.position_mm if self.slice.geometry else self.location

    @property
    def normal(self) -> np.ndarray | None:
        """(3,) cross product of row and column direction."""
        if self.orientation is None:
            return None
        return np.cross(self.orientation[:3], self.orientation[3:])


def by_number(item: DecodedSlice) -> tuple[bool, int, NaturalKey, str, NaturalKey]:
    """Sort key: instance number, else file name; packed otherwise, the files keep their order."""
    name = natural_key(item.slice.source)
    missing = item.number is None
    return missing, item.number or 0, name if missing else (), item.instance or "", name


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
