"""Folders that name a class."""

from __future__ import annotations

NORMAL_NAMES = frozenset({"normal", "no hemorrhage", "no_hemorrhage", "negative", "0"})
"""Names of class folders of normal slices, in lower case."""
HEMORRHAGE_NAMES = frozenset({"hemorrhage", "hemorrhagic", "haemorrhage", "positive", "1"})
"""Names of class folders of hemorrhagic slices, in lower case."""


def class_label(folder: str) -> int | None:
    """1 for a folder of hemorrhages, 0 for one of normal slices, None for any other."""
    name = folder.strip().lower()
    return 0 if name in NORMAL_NAMES else 1 if name in HEMORRHAGE_NAMES else None
