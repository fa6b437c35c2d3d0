"""Entries that each hold the digest of the entry before, so that a later change is detected.

A person who can rewrite the whole chain can rewrite every digest. To detect that, or a removed end,
store a digest somewhere else and check that the chain still has it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, TypeVar

from hemodetect.errors import HemodetectError

FIRST_LINK = "0" * 64
"""The digest of the entry before, in the first entry."""


class ChainedEntry(Protocol):
    """A dataclass of values that JSON has, among them the digest of the entry before."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def previous(self) -> str:
        """Digest of the entry before, or `FIRST_LINK`."""
        ...


EntryT = TypeVar("EntryT", bound=ChainedEntry)


class ChainBroken(HemodetectError):
    """An entry does not fit its digest or the entry before.

    Attributes:
        number: of the entry, counted from 1.
        entry: as it was read.
    """

    def __init__(self, number: int, entry: ChainedEntry) -> None:
        super().__init__(f"Entry {number}, or the one before it, was changed after it was written.")
        self.number, self.entry = number, entry


def entry_digest(entry: ChainedEntry) -> str:
    """SHA-256 of all fields as JSON with sorted names, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(asdict(entry), sort_keys=True).encode()).hexdigest()


def checked_entries(chain: Iterable[tuple[EntryT, str]]) -> Iterator[EntryT]:
    """The entries of a chain, one by one, each after its check.

    Args:
        chain: every entry with the digest that was written with it, oldest first.

    Raises:
        ChainBroken: at the first entry that does not fit.
    """
    previous = FIRST_LINK
    for number, (entry, digest) in enumerate(chain, start=1):
        if entry.previous != previous or entry_digest(entry) != digest:
            raise ChainBroken(number, entry)
        previous = digest
        yield entry
