"""The kind of a file, by its content.

The name only decides whether an unknown file is reported or silently ignored.
"""

from __future__ import annotations

import zlib
from pathlib import PurePosixPath
from typing import Literal

Kind = Literal["dicom", "nifti", "picture", "zip", "tar"]
"""Kinds of files that are read; "picture" is JPEG, PNG or TIFF."""

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that the functions here need."""

GZIP = b"\x1f\x8b"
_TAR_MAGIC = slice(257, 262)
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OTHERS = {
    b"GIF8": "GIF pictures (still or animated) are not read; save the slices as PNG or JPEG.",
    b"BM": "BMP pictures are not read; save the slice as PNG.",
    b"\0\0\0\x0cjP  ": "JPEG 2000 pictures are not read outside DICOM; save the slice as PNG.",
    b"\x1f\x8b": "It is packed with gzip and holds neither NIfTI nor a tar archive; unpack it.",
    b"Rar!": "RAR archives are not read; unpack it, or pack the slices as zip.",
    b"7z\xbc\xaf\x27\x1c": "7z archives are not read; unpack it, or pack the slices as zip.",
    b"BZh": "Bzip2 archives are not read; unpack it, or pack the slices as zip.",
    b"\xfd7zXZ": "XZ archives are not read; unpack it, or pack the slices as zip.",
}
_SILENT_NAMES = frozenset({"dicomdir", "thumbs.db", "desktop.ini", "autorun.inf", "lockfile"})
_SILENT_FOLDERS = frozenset({"__macosx", "$recycle.bin", "system volume information"})
_SILENT_SUFFIXES = frozenset({
    ".txt", ".md", ".rtf", ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods", ".ppt",
    ".pptx", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".htm", ".css", ".js",
    ".exe", ".dll", ".jar", ".sh", ".bat", ".cmd", ".py", ".ini", ".inf", ".cfg", ".log", ".db",
    ".dat", ".sha256", ".md5", ".url", ".lnk", ".ico", ".icns", ".bin", ".tmp",
})  # fmt: skip
_IMAGE_SUFFIXES = frozenset({
    ".dcm", ".dicom", ".dic", ".ima", ".img", ".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff",
    ".gif", ".bmp", ".webp", ".jp2", ".zip", ".nii", ".gz", ".tar", ".tgz",
})  # fmt: skip
# Value representations that the first element of a data set can have.
_FIRST_VRS = frozenset({b"UL", b"UI", b"CS", b"LO", b"SH", b"DA", b"TM", b"OB", b"PN", b"DT"})


def content_kind(head: bytes) -> Kind | None:
    """The kind that the first `HEAD_BYTES` bytes show; None for all others."""
    if head[128:132] == b"DICM" or _bare_data_set(head):
        return "dicom"
    if head.startswith(_PICTURES):
        return "picture"
    unpacked = _unpacked(head)
    if is_nifti(unpacked):
        return "nifti"
    if unpacked[_TAR_MAGIC] == b"ustar":
        return "tar"
    return "zip" if head.startswith(_ZIPS) else None


def is_nifti(head: bytes) -> bool:
    """Whether a file begins as NIfTI-1 or NIfTI-2 with header and values in one file."""
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _unpacked(head: bytes) -> bytes:
    """The beginning of what a gzip file holds; other files as they are."""
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def is_ignorable(name: str, head: bytes) -> bool:
    """Whether a file without slices is ignored silently: text, thumbnails, hidden files.

    A file whose name says that it is an image is refused with a reason instead.
    """
    path = PurePosixPath(name.lower())
    return (
        any(part.startswith(".") for part in path.parts)
        or path.name in _SILENT_NAMES
        or path.suffix in _SILENT_SUFFIXES
        or (path.suffix not in _IMAGE_SUFFIXES and head != b"" and _is_text(head))
    )


def is_system_file(name: str) -> bool:
    """Whether an operating system made the file (``__MACOSX``, ``._*``), whatever its content."""
    parts = PurePosixPath(name.lower()).parts
    return any(part.startswith("._") or part in _SILENT_FOLDERS for part in parts)


def unread_reason(head: bytes) -> str:
    """Why a file of unknown kind is not read, in one sentence."""
    if not head:
        return "The file is empty; copy it again from its source."
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP pictures are not read; save the slice as PNG."
    if b"ni1\0" in head[344:348] or b"ni2\0" in head[4:8]:
        return "It is one half of a NIfTI pair; save the volume as one file (.nii or .nii.gz)."
    for magic, reason in _OTHERS.items():
        if head.startswith(magic):
            return reason
    if _is_text(head):
        return "It holds text, not an image; give DICOM, NIfTI, JPEG, PNG or TIFF files."
    return "It is neither DICOM, NIfTI, JPEG, PNG nor TIFF; export the slice in one of these."


def _is_text(head: bytes) -> bool:
    # The head may end inside a character.
    return b"\0" not in head and "\N{REPLACEMENT CHARACTER}" not in head.decode(
        "utf-8", "replace"
    ).removesuffix("\N{REPLACEMENT CHARACTER}")


def _bare_data_set(head: bytes) -> bool:
    """A DICOM data set without preamble and magic: it starts with group 2 or 8."""
    if len(head) < 8:
        return False
    if head[:2] in (b"\x02\0", b"\x08\0"):
        explicit = head[4:6] in _FIRST_VRS
        implicit = head[3] == 0 and int.from_bytes(head[4:8], "little") <= 4096
        return explicit or (implicit and head[0] == 8)
    return head[:2] == b"\0\x08" and head[4:6] in _FIRST_VRS
