"""Series and order of slices from the numbers in their file names."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_LAST_NUMBER = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
_NUMBERS = re.compile(r"(\d+)")

NaturalKey = tuple[tuple[int, str], ...]
"""Text in pieces: (number, "") for digits, (-1, lower-case text) for all else."""


def series_and_number(file: str) -> tuple[str, int]:
    """Name without its last number, and that number (0 where there is none).

    ``IMG-0002-00017.jpg`` gives ``("IMG-0002-", 17)``: slice 17 of the series ``IMG-0002-``.
    """
    match = _LAST_NUMBER.match(PurePosixPath(file).stem)
    return (match[1], int(match[2])) if match else (PurePosixPath(file).stem, 0)


def natural_key(text: str) -> NaturalKey:
    """Sort key by which ``s2`` comes before ``s10``."""
    parts = _NUMBERS.split(text)
    return tuple((int(p), "") if i % 2 else (-1, p.lower()) for i, p in enumerate(parts))
