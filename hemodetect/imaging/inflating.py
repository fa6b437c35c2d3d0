"""Inflates deflate and gzip streams of strangers, with an eye on what they grow to.

In two passes: the first counts and keeps nothing, so that a bomb costs time and no memory. Inflating
takes less time than decoding the slices that are inside.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from hemodetect.settings import MIB

GZIP_FORMAT, RAW_FORMAT = 31, -zlib.MAX_WBITS
"""`wbits` of zlib."""
_PIECE = 64 * 1024


class InflatesTooFar(Exception):
    """It grows beyond what was allowed."""


class StreamDamaged(Exception):
    """It is no such stream, or ends too early."""


def inflated(data: bytes, stream_format: int, most: int) -> bytes:
    """The whole stream.

    Args:
        data: the packed bytes; what follows the stream is ignored.
        stream_format: `GZIP_FORMAT` or `RAW_FORMAT`.
        most: bytes that it may grow to.

    Raises:
        InflatesTooFar, StreamDamaged: nothing was kept.
    """
    size = 0
    for piece in _pieces(data, stream_format):
        size += len(piece)
        if size > most:
            raise InflatesTooFar
    return b"".join(_pieces(data, stream_format))


def _pieces(data: bytes, stream_format: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(stream_format)
    try:
        for start in range(0, len(data), _PIECE):
            rest = data[start : start + _PIECE]
            while rest and not inflater.eof:
                yield inflater.decompress(rest, MIB)
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise StreamDamaged from error
    if not inflater.eof:
        raise StreamDamaged
