"""How a picture file was written, read from its header without decoding it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

_MODES = ("L", "RGB", "RGBA", "P", "CMYK", "I;16")


@dataclass(frozen=True)
class Encoding:
    """Attributes of one file's header.

    Attributes:
        kind: "JPEG", "PNG", "TIFF", or "" where the header cannot be read.
        mode: Pillow's name of the pixel layout.
        exif: whether it has EXIF.
        quantisation: mean of a JPEG's first quantisation table, 0 without one; grows as quality
            falls.
        tables: digest of all its quantisation tables, "" without.
    """

    kind: str
    mode: str
    exif: bool
    quantisation: float
    tables: str


def read_encoding(path: Path) -> Encoding:
    """The encoding in a file's header; empty values where the header cannot be read."""
    try:
        with Image.open(path, formats=["JPEG", "PNG", "TIFF"]) as image:
            tables = getattr(image, "quantization", None) or {}
            digest = hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()[:8]
            return Encoding(
                kind=image.format or "",
                mode=image.mode,
                exif="exif" in image.info,
                quantisation=float(np.mean(tables[min(tables)])) if tables else 0.0,
                tables=digest if tables else "",
            )
    # Pillow's plug-ins raise all of these on malformed headers.
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, Image.DecompressionBombError):
        return Encoding("", "", False, 0.0, "")


def encodings(root: Path, files: Iterable[str]) -> np.ndarray:
    """(n, 4) float: pixel layout, EXIF, quantisation, and whether the suffix is in capitals."""
    rows = []
    for file in files:
        encoding = read_encoding(root / file)
        mode = _MODES.index(encoding.mode) if encoding.mode in _MODES else -1
        capitals = Path(file).suffix.isupper()
        rows.append((mode, encoding.exif, encoding.quantisation, capitals))
    return np.array(rows, dtype=float)
