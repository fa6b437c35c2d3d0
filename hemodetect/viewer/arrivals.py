"""Files that a browser sends for one study, all of them in one request.

A study has hundreds of files, and a request for each takes longer than reading them. The body of the
request is: four bytes, the length of a list; the list as JSON, a name and a size a file; then the
files, one after the other. Each arrival belongs to one browser, as the pixels of an open study do; the
files are kept in memory until the page has read them, and for no longer than its session.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakValueDictionary

from hemodetect.imaging.archives import too_large_file
from hemodetect.imaging.sources import UploadedFile
from hemodetect.settings import MIB, Settings

_LENGTH = 4
_LONGEST_LIST = 8 * MIB


class RefusedArrival(Exception):
    """The files cannot be taken; says why in a sentence."""


@dataclass(eq=False)
class Arrival:
    """A place for the files of one study.

    Attributes:
        owner: secret of the browser that may send them.
        token: part of the address, and of the component's key, in which Streamlit allows no "__".
        files: what has come; empty before.
    """

    owner: str
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    files: tuple[UploadedFile, ...] = ()
    _receiving: Lock = field(default_factory=Lock)

    async def receive(self, body: AsyncIterator[bytes], limits: Settings) -> None:
        """Takes all files of a request, or none.

        Raises:
            RefusedArrival: the request is not as above, over a limit, or another one is under way.
        """
        if not self._receiving.acquire(blocking=False):
            raise RefusedArrival("Other files are just arriving; wait until they are there.")
        try:
            self.files = await _received(body, limits)
        finally:
            self._receiving.release()


class Arrivals:
    """The arrivals of all sessions; they live as long as their sessions hold them."""

    def __init__(self) -> None:
        self._by_token: WeakValueDictionary[str, Arrival] = WeakValueDictionary()

    def open(self, owner: str) -> Arrival:
        """A new arrival of a browser."""
        arrival = Arrival(owner)
        self._by_token[arrival.token] = arrival
        return arrival

    def get(self, token: str, owner: str) -> Arrival | None:
        """The arrival of this address; None where it is not this browser's."""
        arrival = self._by_token.get(token)
        if arrival is None or not owner or not hmac.compare_digest(arrival.owner, owner):
            return None
        return arrival


ARRIVALS = Arrivals()


async def _received(body: AsyncIterator[bytes], limits: Settings) -> tuple[UploadedFile, ...]:
    stream = _Stream(body)
    length = int.from_bytes(await stream.read(_LENGTH), "big")
    if length > _LONGEST_LIST:
        raise RefusedArrival(_too_many(limits))
    names = _listed(await stream.read(length), limits)
    files = []
    for name, size in names:
        files.append(UploadedFile(name, await stream.read(size)))
    return tuple(files)


def _listed(text: bytes, limits: Settings) -> list[tuple[str, int]]:
    """Names and sizes; raises `RefusedArrival` before a file is read."""
    try:
        entries = json.loads(text)
        listed = [(name, size) for name, size in entries]
    except (ValueError, TypeError) as error:
        raise RefusedArrival("The list of files cannot be read; send them again.") from error
    if not all(isinstance(name, str) and type(size) is int and size >= 0 for name, size in listed):
        raise RefusedArrival("The list of files cannot be read; send them again.")
    if len(listed) > limits.max_files:
        raise RefusedArrival(_too_many(limits))
    for name, size in listed:
        # A zip may be as large as a study; what is in it is checked when it is opened.
        if size > max(limits.max_file_bytes, limits.max_study_bytes):
            raise RefusedArrival(f"{name[-100:]}: {too_large_file(size, limits)}")
    if sum(size for _, size in listed) > limits.max_study_bytes:
        raise RefusedArrival(
            f"The files have {sum(size for _, size in listed) / MIB:,.0f} MiB, more than the"
            f" {limits.max_study_bytes / MIB:,.0f} MiB a study may have; open one series at a time, or"
            " raise HEMODETECT_MAX_STUDY_BYTES."
        )
    return listed


def _too_many(limits: Settings) -> str:
    return (
        f"There are more than {limits.max_files:,} files, so none was read; open one series at a time,"
        " or raise HEMODETECT_MAX_FILES."
    )


class _Stream:
    """Exact numbers of bytes from a body that comes in pieces."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._rest = memoryview(b"")

    async def read(self, count: int) -> bytes:
        """The next `count` bytes; raises `RefusedArrival` where the body ends before."""
        pieces: list[memoryview] = []
        while count > 0:
            if not self._rest:
                try:
                    self._rest = memoryview(await anext(self._body))
                except StopAsyncIteration:
                    raise RefusedArrival("The files came incomplete; send them again.") from None
                continue
            piece = self._rest[:count]
            pieces.append(piece)
            count -= len(piece)
            self._rest = self._rest[len(piece) :]
        return b"".join(pieces)
