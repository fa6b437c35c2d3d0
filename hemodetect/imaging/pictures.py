"""JPEG, PNG and TIFF pictures to grey, the same for a study and for a data set.

Rules:

- Colour is weighted as ITU-R BT.601 (Pillow's "L"); a grey picture stored as RGB keeps its values.
- Transparency is laid over black, which is what surrounds a slice.
- 16-bit grey means 0 black, 65535 white, as PNG says, and keeps its upper byte. A picture that
  uses less than a sixteenth of that range holds raw CT numbers rather than grey: any stretching
  would be a guess at a window, so it is refused. Float and 32-bit pictures are refused likewise.
- The EXIF orientation is applied: every viewer shows the picture so, and a reader who turned a
  slice upright in a viewer has changed nothing else. (No file of near-east has one.)
- Animated PNG is refused; a TIFF's pages are slices.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.budget import check_slice_size
from hemodetect.imaging.kinds import HEAD_BYTES, content_kind, unread_reason

_FORMATS = ("JPEG", "PNG", "TIFF")
_MOST_JPEG_SCANS = 200
_LEAST_RANGE_16_BIT = 4096
_TIFF_COLOUR, _TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 262, 322, 323
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


def decode_grey(data: bytes, max_pixels: int) -> np.ndarray:
    """(rows, columns) uint8 of one still picture.

    Args:
        data: a JPEG, PNG or TIFF file.
        max_pixels: largest rows x columns; checked in the header, before anything is decoded.

    Raises:
        UnreadableFile: with the reason.
    """
    sizes = page_sizes(data, max_pixels, max_pages=1)
    (grey,) = decode_pages(data, len(sizes))
    return grey


def page_sizes(data: bytes, max_pixels: int, max_pages: int) -> list[tuple[int, int]]:
    """(rows, columns) of every page, from the headers alone; one page for JPEG and PNG.

    Raises:
        UnreadableFile: not a picture, a page too large, or more than `max_pages`.
    """
    sizes: list[tuple[int, int]] = []
    with _boundary(data):
        image = _open_picture(data)
        for _ in _pages(image):
            if len(sizes) == max_pages:
                allowed = "one" if max_pages == 1 else f"the {max_pages:,} allowed"
                raise UnreadableFile(
                    f"The picture has more pages than {allowed}; save each slice as a file."
                )
            _check_size(image, max_pixels)
            sizes.append((image.height, image.width))
    return sizes


def decode_pages(data: bytes, count: int) -> list[np.ndarray]:
    """(rows, columns) uint8 of each of the `count` pages that `page_sizes` has checked.

    Raises:
        UnreadableFile: damaged, or of a kind whose grey scale is unknown.
    """
    pages: list[np.ndarray] = []
    with _boundary(data):
        image = _open_picture(data)
        if image.format == "JPEG":
            # libjpeg gives the luminance itself: a third faster, and equal for grey content.
            image.draft("L", image.size)
        for _ in _pages(image):
            if len(pages) == count:
                break
            pages.append(_grey(image))
    return pages


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
        grey = Image.fromarray(_upper_byte(image))
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


def _upper_byte(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.uint16)  # native byte order
    if image.format == "TIFF" and image.tag_v2.get(_TIFF_COLOUR) == 0:  # type: ignore[attr-defined]
        values = 65535 - values
    spread = int(values.max()) - int(values.min())
    if 0 < spread < _LEAST_RANGE_16_BIT:
        raise UnreadableFile(
            f"The 16-bit picture uses only {spread:,} of 65,535 grey levels, as raw CT numbers do; "
            "save it as an 8-bit picture in the brain window, or give the DICOM file."
        )
    return (values >> 8).astype(np.uint8)


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
