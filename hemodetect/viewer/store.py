"""The studies that are open in a viewer, and what a browser may fetch of them.

A study is found by an address that nobody can guess, and given only to the browser that opened it. It
lives as long as the session holds it: the store keeps weak references only, and nothing on disk.
"""

from __future__ import annotations

import hmac
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from hemodetect.imaging.study import Slice
from hemodetect.viewer.display import Display, display_of

MOST_SLICES = 16
"""Slices in one answer: 8 MB of a usual CT before compression."""
_FASTEST = 1  # level of zlib; higher ones halve the speed for a tenth of the size


class NothingToShow(LookupError):
    """The address names no open study of this browser, no slice of it, or no map of it."""


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Heat maps of one method.

    Attributes:
        name: of the method.
        scale: what full colour stands for, e.g. "strongest in this study".
        all_slices: gives (n, rows, columns) float32 in [0, 1] over the stored slices; None where maps
            are worked out slice by slice.
        one_slice: gives (rows, columns) of a slice; used where `all_slices` is None.
    """

    name: str
    scale: str
    all_slices: Callable[[], np.ndarray] | None = None
    one_slice: Callable[[int], np.ndarray] | None = None


@dataclass(eq=False)
class OpenStudy:
    """A series open in a viewer.

    Attributes:
        slices: in order.
        owner: secret of the browser that may fetch it.
        token: part of its address, and of the component's key, in which Streamlit allows no "__".
        display: how it is shown.
        maps: by the last part of their address; empty until the models may be seen.
    """

    slices: tuple[Slice, ...]
    owner: str
    token: str = field(default_factory=lambda: secrets.token_hex(24))
    display: Display = field(init=False)
    maps: Mapping[str, HeatMaps] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.display = display_of(self.slices)

    @property
    def pixel_type(self) -> str:
        """Of the pixels that are sent: "int16" (HU) or "uint8" (grey)."""
        return "int16" if self.slices[0].units == "HU" else "uint8"

    def pixels(self, first: int, last: int) -> bytes:
        """Slices first to last (from 0, both included) as displayed, one after another, in zlib.

        Raises:
            NothingToShow: there are no such slices, or too many.
        """
        if not 0 <= first <= last < len(self.slices) or last - first >= MOST_SLICES:
            raise NothingToShow
        compress = zlib.compressobj(_FASTEST)
        parts = [compress.compress(self._shown(image)) for image in self.slices[first : last + 1]]
        return b"".join([*parts, compress.flush()])

    def _shown(self, image: Slice) -> bytes:
        values = self.display.turn.shown(image.values)
        if image.units == "HU":
            limits = np.iinfo(np.int16)
            if values.dtype != np.int16:
                values = np.rint(np.clip(values, limits.min, limits.max))
            return values.astype("<i2").tobytes()
        return np.ascontiguousarray(values).tobytes()

    def heat(self, method: str, index: int | None) -> tuple[bytes, tuple[int, int]]:
        """Maps as displayed, uint8 (255 is full colour) in zlib, and their rows and columns.

        Args:
            method: key of `maps`.
            index: of a slice; None for all slices, one after another.

        Raises:
            NothingToShow: there is no such map.
        """
        found = self.maps.get(method)
        if found is None or (index is not None and not 0 <= index < len(self.slices)):
            raise NothingToShow
        if index is None and found.all_slices is not None:
            maps = found.all_slices()
        elif index is not None and found.one_slice is not None:
            maps = found.one_slice(index)[None]
        else:
            raise NothingToShow
        shown = [self.display.turn.shown(heat) for heat in np.clip(maps, 0, 1)]
        levels = np.rint(255 * np.stack(shown)).astype(np.uint8)
        return zlib.compress(levels.tobytes(), _FASTEST), levels.shape[1:]


class OpenStudies:
    """All open studies of this process, by token."""

    def __init__(self) -> None:
        self._studies: WeakValueDictionary[str, OpenStudy] = WeakValueDictionary()
        self._lock = Lock()

    def add(self, study: OpenStudy) -> None:
        """Makes a study available for as long as the caller holds it, or until `close`."""
        with self._lock:
            self._studies[study.token] = study

    def close(self, study: OpenStudy) -> None:
        """Ends a study's address at once."""
        with self._lock:
            self._studies.pop(study.token, None)

    def get(self, token: str, owner: str) -> OpenStudy:
        """The study at an address; raises `NothingToShow` unless this browser opened it."""
        with self._lock:
            study = self._studies.get(token)
        if study is None or not owner or not hmac.compare_digest(study.owner, owner):
            raise NothingToShow
        return study


OPEN_STUDIES = OpenStudies()
