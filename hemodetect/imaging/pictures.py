"""JPEG, PNG and TIFF pictures to grey, the same for a study and for a data set.

Rules:

- Colour is weighted as ITU-R BT.601 (Pillow's "L"); a grey picture stored as RGB keeps its values.
- Transparency is laid over black, which is what surrounds a slice.
- 16-bit grey means 0 black, 65535 white, as PNG says, and keeps its upper byte. Pictures that use
  less than a sixteenth of that range hold raw CT numbers rather than grey: any stretching would be
  a guess at a window, so they are refused. All 16-bit pictures of a study are judged together, and
  without the brightest and darkest of their pixels. Float and 32-bit pictures are refused likewise.
- The EXIF orientation is applied: every viewer shows the picture so, and a reader who turned a
  slice upright in a viewer has changed nothing else. (No file of near-east has one.)
- Animated PNG is refused; a TIFF's pages are slices. Previews and masks among them, by their tags
  or by less than half the width and height of the largest page, are left out.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.budget import check_slice_size
from hemodetect.imaging.kinds import HEAD_BYTES, content_kind, unread_reason

# Pillow writes the notes in a picture, a name among them, into a log of details.
logging.getLogger("PIL").setLevel(logging.WARNING)

_FORMATS = ("JPEG", "PNG", "TIFF")
_MOST_JPEG_SCANS = 200
_LEAST_RANGE_16_BIT = 4096
_ENDS_LEFT_OUT = (0.5, 99.5)  # percentiles: noise, burnt-in text, metal
_TIFF_SUBFILE, _TIFF_OLD_SUBFILE = 254, 255
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_TIFF_COLOUR, _TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 262, 322, 323
_BLACK, _COLOUR_LEVELS, _COLOURED_SHARE = 20, 24, 0.2
_MOST_PAGES = 4  # a slice, previews included
_EXIF_ORIENTATION = 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DAMAGED = "The picture is damaged or ends too early; export or copy it again."


@dataclass(frozen=True)
class Page:
    """A page of a picture that is a slice: its number from 0, and size in pixels."""

    number: int
    rows: int
    columns: int


def decode_grey(data: bytes, max_pixels: int) -> np.ndarray:
    """(rows, columns) uint8 of one still picture, judged by itself where it has 16 bits.

    Args:
        data: a JPEG, PNG or TIFF file.
        max_pixels: largest rows x columns; checked in the header, before anything is decoded.

    Raises:
        UnreadableFile: with the reason.
    """
    values = decode_picture(data, max_pixels)
    if reason := raw_ct_reason([values]):
        raise UnreadableFile(reason)
    return as_8_bit(values)


def decode_picture(data: bytes, max_pixels: int) -> np.ndarray:
    """(rows, columns) uint8, or uint16 of a 16-bit picture; arguments and errors as `decode_grey`."""
    (page,) = decode_pages(data, slice_pages(data, max_pixels, max_pages=1))
    return page.values


def as_8_bit(values: np.ndarray) -> np.ndarray:
    """The same picture as uint8."""
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)


def raw_ct_reason(pictures: Iterable[np.ndarray]) -> str | None:
    """Why the 16-bit pictures of a set are refused as raw CT numbers; None where they are grey."""
    spreads = [spread for values in pictures if (spread := grey_spread(values))]
    return raw_spread_reason(spreads)


def grey_spread(values: np.ndarray) -> int:
    """Range of a 16-bit picture's grey levels without its extreme pixels; 0 for 8-bit ones."""
    if values.dtype == np.uint8:
        return 0
    low, high = np.percentile(values, _ENDS_LEFT_OUT)
    return int(high - low)


def raw_spread_reason(spreads: Sequence[int]) -> str | None:
    """As `raw_ct_reason`, from the `grey_spread` of each picture."""
    used = [spread for spread in spreads if spread]
    if not used or float(np.median(used)) >= _LEAST_RANGE_16_BIT:
        return None
    return (
        f"The 16-bit picture uses only {int(np.median(used)):,} of 65,535 grey levels, as raw CT "
        "numbers do; save it as an 8-bit picture in the brain window, or give the DICOM file."
    )


def slice_pages(data: bytes, max_pixels: int, max_pages: int) -> list[Page]:
    """The pages that are slices, from the headers alone; one page for JPEG and PNG.

    Raises:
        UnreadableFile: not a picture, a page too large, or more than `max_pages`.
    """
    pages: list[Page] = []
    with _boundary(data):
        image = _open_picture(data)
        for number in _pages(image):
            if not _is_marked_as_preview(image):
                _check_size(image, max_pixels)
                pages.append(Page(number, image.height, image.width))
            if len(pages) > 2 * max_pages or number > _MOST_PAGES * max_pages:
                break
    pages = _without_previews(pages)
    if len(pages) > max_pages:
        allowed = "one" if max_pages == 1 else f"the {max_pages:,} allowed"
        raise UnreadableFile(
            f"The picture has more pages than {allowed}; save each slice as a file."
        )
    return pages


def _is_marked_as_preview(image: Image.Image) -> bool:
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]
    subfile, old_subfile = tags.get(_TIFF_SUBFILE, 0), tags.get(_TIFF_OLD_SUBFILE, 0)
    return bool(int(subfile) & (_REDUCED | _MASK)) or int(old_subfile) == _OLD_REDUCED


def _without_previews(pages: list[Page]) -> list[Page]:
    rows = max((page.rows for page in pages), default=0)
    columns = max((page.columns for page in pages), default=0)
    return [page for page in pages if 2 * page.rows > rows or 2 * page.columns > columns]


@dataclass(frozen=True, eq=False)
class DecodedPage:
    """(rows, columns) uint8, or uint16 of 16 bits; and whether its colour channels differ."""

    values: np.ndarray
    is_coloured: bool


def decode_pages(data: bytes, pages: Sequence[Page]) -> list[DecodedPage]:
    """Each of these pages of `slice_pages`.

    Raises:
        UnreadableFile: damaged, or of a kind whose grey scale is unknown.
    """
    numbers = {page.number for page in pages}
    decoded: list[DecodedPage] = []
    with _boundary(data):
        image = _open_picture(data)
        if image.format == "JPEG":
            coloured = image.mode == "RGB" and _is_coloured_jpeg(data)
            # libjpeg gives the luminance itself: a third faster, and equal for grey content.
            image.draft("L", image.size)
            return [DecodedPage(_grey(image), coloured)]
        for number in _pages(image):
            if len(decoded) == len(pages):
                break
            if number in numbers:
                image.load()
                decoded.append(DecodedPage(_grey(image), _is_coloured(image)))
    return decoded


def _is_coloured_jpeg(data: bytes) -> bool:
    image = _open_picture(data)
    image.draft("RGB", (image.width // 8, image.height // 8))  # decoded at an eighth of its size
    return _is_coloured(image)


def _is_coloured(image: Image.Image) -> bool:
    """Whether colours fill the picture: windows laid into its channels, not a mark in colour."""
    if image.mode != "RGB":
        return False
    small = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST)).astype(np.int16)
    not_black = small.max(axis=2) > _BLACK
    if not not_black.any():
        return False
    differs = np.ptp(small, axis=2) > _COLOUR_LEVELS
    return bool(differs[not_black].mean() > _COLOURED_SHARE)


def _open_picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.format == "PNG" and getattr(image, "is_animated", False):
        raise UnreadableFile("It is an animated PNG; save each slice as a still picture.")
    if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > _MOST_JPEG_SCANS:
        raise UnreadableFile("The JPEG is stored in too many scans; save it again as plain JPEG.")
    return image


def _pages(image: Image.Image) -> Iterator[int]:
    """Page numbers, the image standing at each page in turn."""
    yield 0
    page = 1
    while image.format == "TIFF":
        try:
            image.seek(page)
        except EOFError:
            return
        yield page
        page += 1


def _check_size(image: Image.Image, max_pixels: int) -> None:
    check_slice_size(image.height, image.width, max_pixels)
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        # A tile is decoded whole, however little of it lies in the picture.
        tile = int(tags.get(_TIFF_TILE_LENGTH, 1)), int(tags.get(_TIFF_TILE_WIDTH, 1))
        check_slice_size(*tile, max_pixels)


def _grey(image: Image.Image) -> np.ndarray:
    image.load()
    if image.mode.startswith("I;16"):
        grey = Image.fromarray(_sixteen_bits(image))
    elif image.mode in ("I", "F"):
        raise UnreadableFile(
            "The picture stores 32-bit numbers whose grey scale is unknown; save it as an 8-bit "
            "picture in the brain window, or give the DICOM file."
        )
    elif "A" in image.mode.upper().replace("LAB", "") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        over_black = Image.new("RGB", image.size)
        over_black.paste(rgba, mask=rgba.getchannel("A"))
        grey = over_black.convert("L")
    elif image.mode in ("L", "1", "RGB"):
        grey = image.convert("L")
    else:
        grey = image.convert("RGB").convert("L")
    turn = _TURNS.get(_orientation(image))
    return np.asarray(grey if turn is None else grey.transpose(turn))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  damaged EXIF does not damage the picture
        return 1


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.uint16)  # native byte order
    if image.format == "TIFF" and image.tag_v2.get(_TIFF_COLOUR) == 0:  # type: ignore[attr-defined]
        values = 65535 - values
    return values


@contextmanager
def _boundary(data: bytes) -> Iterator[None]:
    """Turns every error that Pillow raises on malformed bytes into `UnreadableFile`."""
    try:
        yield
    except UnreadableFile:
        raise
    except Image.UnidentifiedImageError:
        is_picture = content_kind(data[:HEAD_BYTES]) == "picture"
        raise UnreadableFile(_DAMAGED if is_picture else unread_reason(data[:HEAD_BYTES])) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableFile(
            "Its header states far more pixels than a slice may have; export it smaller."
        ) from None
    except Exception:  # noqa: BLE001  Pillow raises OSError, SyntaxError, struct.error, KeyError
        raise UnreadableFile(_DAMAGED) from None
