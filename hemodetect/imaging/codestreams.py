"""The size that a compressed frame states, read before a decoder allocates memory for it.

A DICOM header may state 512 x 512 around a JPEG of 65,535 x 65,535; decoders use the JPEG's.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from hemodetect.errors import UnreadableFile

_SOF_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_SOF = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]")
_SOS, _DHP, _EOI = 0xDA, 0xDE, 0xD9
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_PADDING = b"\0\xff"  # to an even length; some writers pad with 0xFF
_MOST_SCANS = 200
_MOST_J2K_TILES = 4096
_DAMAGED = "Its compressed image is damaged; export or copy it again."
_CUT_SHORT = "Its compressed image ends too early; export or copy it again."


@dataclass(frozen=True)
class CodestreamSize:
    """Size of the image that a decoder would produce: pixels, and components a pixel."""

    rows: int
    columns: int
    components: int


def jpeg_size(data: bytes) -> CodestreamSize:
    """Size in the only frame header of a JPEG or JPEG-LS image (ITU-T T.81 B.2, T.87 C.2).

    Raises:
        UnreadableFile: damaged, cut short, or holding more than one frame.
    """
    if not data.startswith(b"\xff\xd8"):
        raise UnreadableFile(_DAMAGED)
    if not data.rstrip(_PADDING).endswith(b"\xff\xd9"):
        raise UnreadableFile(_CUT_SHORT)
    size = None
    at = 2
    while True:
        marker, at = _next_marker(data, at)
        if marker in _STANDALONE:
            continue
        if marker in (_EOI, _DHP) or at + 2 > len(data):
            raise UnreadableFile(_DAMAGED)
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _SOF_MARKERS:
            if size is not None or length < 8 or at + 8 > len(data):
                raise UnreadableFile(_DAMAGED)
            size = CodestreamSize(*struct.unpack_from(">HHB", data, at + 3))
        at += length
        if marker == _SOS:
            break
    # Entropy-coded data never has 0xFF before these bytes: a match is a second frame header.
    if size is None or _SOF.search(data, at) or data.count(b"\xff\xda", at) > _MOST_SCANS:
        raise UnreadableFile(_DAMAGED)
    return size


def jpeg2000_size(data: bytes) -> CodestreamSize:
    """Size in the SIZ segment of a JPEG 2000 codestream (ITU-T T.800 A.5.1).

    Raises:
        UnreadableFile: damaged, cut short, or of a form that no CT export uses.
    """
    if data.startswith(b"\0\0\0\x0cjP  "):
        raise UnreadableFile(
            "It wraps its image in a JP2 file, against the standard; export it again."
        )
    if not data.startswith(b"\xff\x4f\xff\x51") or len(data) < 45:
        raise UnreadableFile(_DAMAGED)
    if not data.rstrip(_PADDING).endswith(b"\xff\xd9"):
        raise UnreadableFile(_CUT_SHORT)
    width, height, left, top, tile_width, tile_height, _, _, components = struct.unpack_from(
        ">8IH", data, 8
    )
    sampling = data[42 : 42 + 3 * components]
    if min(tile_width, tile_height) < 1 or sampling[1::3].strip(b"\1"):
        raise UnreadableFile(_DAMAGED)
    if sampling[2::3].strip(b"\1"):
        raise UnreadableFile(_DAMAGED)
    if -(-width // tile_width) * -(-height // tile_height) > _MOST_J2K_TILES:
        raise UnreadableFile("Its JPEG 2000 image is cut into too many tiles; export it again.")
    return CodestreamSize(height - top, width - left, components)


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """(marker, position after it); fill bytes are skipped."""
    if at >= len(data) or data[at] != 0xFF:
        raise UnreadableFile(_DAMAGED)
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise UnreadableFile(_DAMAGED)
    return data[at], at + 1
