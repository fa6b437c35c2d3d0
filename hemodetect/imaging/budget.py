"""Limits of one study: bytes read, slices, bytes of decoded pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from hemodetect.errors import UnreadableFile
from hemodetect.settings import MIB, Settings


class LimitReached(UnreadableFile):
    """With this file the study exceeds a limit of the settings."""


class Budget:
    """Counts what a study uses up of its limits; safe to use from several threads."""

    def __init__(self, limits: Settings) -> None:
        self.limits = limits
        self._lock = Lock()
        self._bytes = 0
        self._slices = 0
        self._pixel_bytes = 0

    def take_bytes(self, count: int) -> None:
        """Counts `count` bytes about to be read; raises `LimitReached` if too many."""
        with self._lock:
            if self._bytes + count > self.limits.max_study_bytes:
                raise LimitReached(_too_large("files", self.limits))
            self._bytes += count

    @contextmanager
    def reserved(self, slices: int, pixel_bytes: int) -> Iterator[None]:
        """Reserves slices and bytes for a file about to be decoded; releases them if that fails.

        Args:
            slices: number of slices in the file.
            pixel_bytes: size of their decoded pixels.

        Raises:
            LimitReached: they would exceed ``max_slices`` or ``max_study_bytes``.
        """
        with self._lock:
            if self._slices + slices > self.limits.max_slices:
                raise LimitReached(
                    f"With its {slices:,} slices the study has more than {self.limits.max_slices:,}"
                    "; read one series at a time, or raise HEMODETECT_MAX_SLICES."
                )
            if self._pixel_bytes + pixel_bytes > self.limits.max_study_bytes:
                raise LimitReached(_too_large("slices", self.limits))
            self._slices += slices
            self._pixel_bytes += pixel_bytes
        with ExitStack() as undo:
            undo.callback(self._release, slices, pixel_bytes)
            yield
            undo.pop_all()

    def _release(self, slices: int, pixel_bytes: int) -> None:
        with self._lock:
            self._slices -= slices
            self._pixel_bytes -= pixel_bytes


def check_slice_size(rows: int, columns: int, max_pixels: int) -> None:
    """Raises `UnreadableFile` where one slice of this size is empty or over `max_pixels`."""
    if rows < 1 or columns < 1:
        raise UnreadableFile(f"Its header states a size of {columns} x {rows} pixels.")
    if rows * columns > max_pixels:
        raise UnreadableFile(
            f"{columns:,} x {rows:,} pixels are more than the {max_pixels:,} a slice "
            "may have; export it smaller, or raise HEMODETECT_MAX_SLICE_PIXELS."
        )


def _too_large(what: str, limits: Settings) -> str:
    return (
        f"With its {what} the study takes more than {limits.max_study_bytes / MIB:,.0f} MiB; "
        "read one series at a time, or raise HEMODETECT_MAX_STUDY_BYTES."
    )
