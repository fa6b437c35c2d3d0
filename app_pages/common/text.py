"""Text from files and people, made safe for Markdown."""

from __future__ import annotations

import re


def plain(text: object) -> str:
    """`text` with Markdown's special characters escaped; file names may contain them."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|$~:-])", r"\\\1", str(text))


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """A number and its noun, e.g. "1 study" and "1,200 slices"."""
    return f"{n:,} {singular if n == 1 else plural or f'{singular}s'}"
