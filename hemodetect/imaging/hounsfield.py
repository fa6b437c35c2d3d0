"""Stored pixel values to Hounsfield units, or to grey where there are none.

HU are claimed only for a CT image with more than 8 bits that is rescaled to HU (Rescale Type HU,
unspecified or absent, as in images older than that attribute), or that is original and signed with
no rescale at all: then stored values are HU. All else is grey: through its own window where the
header has one, as it is for 8 bits, else from its lowest to its highest value, slice by slice.
"""

from __future__ import annotations

import numpy as np

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.headers import FrameHeader, Header
from hemodetect.imaging.windows import Window, windowed

AIR_HU = -1024
"""Value of pixels outside the field of view, in HU."""
_TISSUE_HU = (-500, 3000)
_GREATEST_HU = 1e6
_INT16 = np.iinfo(np.int16)


def has_hu(header: Header, frame: FrameHeader) -> bool:
    """Whether the values of this frame are Hounsfield units."""
    if not header.is_ct_image or header.samples != 1 or header.bits_stored <= 8:
        return False
    if header.set_aside == "secondary capture":
        return False
    if frame.slope is None or frame.intercept is None:
        return header.is_original and header.signed
    return frame.rescales_to_hu


def hounsfield(stored: np.ndarray, header: Header, frame: FrameHeader) -> np.ndarray:
    """(rows, columns) int16 HU where slope and intercept are whole and the result fits, or float32.

    Padding becomes air. A padding value that would be tissue (some writers say 0 in images where
    0 is water) is ignored: it would make holes in the brain.

    Raises:
        UnreadableFile: the slope is 0, or values are not finite or above 10^6 HU.
    """
    slope = 1.0 if frame.slope is None else frame.slope
    intercept = 0.0 if frame.intercept is None else frame.intercept
    padded = _padded(stored, header, slope, intercept)
    stored = within_bits(stored, header)
    if slope == 1 and intercept.is_integer() and abs(intercept) <= _GREATEST_HU:
        # The usual case, in a third of the time.
        lowest, highest = int(stored.min()) + int(intercept), int(stored.max()) + int(intercept)
        if _INT16.min <= lowest and highest <= _INT16.max:
            shifted = stored.astype(np.int32) + np.int32(intercept)
            return _with_air(shifted.astype(np.int16), padded)
    values = stored.astype(np.float64) * slope + intercept
    if slope == 0 or not np.isfinite(values).all() or np.abs(values).max() > _GREATEST_HU:
        raise UnreadableFile(
            "Its rescale slope and intercept give no Hounsfield units; export it again."
        )
    values = _with_air(values, padded)
    whole = slope.is_integer() and intercept.is_integer()
    if whole and values.min() >= _INT16.min and values.max() <= _INT16.max:
        return values.astype(np.int16)
    return values.astype(np.float32)


def _with_air(values: np.ndarray, padded: np.ndarray | None) -> np.ndarray:
    """The values, changed in place, with air where there was padding."""
    if padded is not None:
        values[padded] = AIR_HU
    return values


def grey(stored: np.ndarray, header: Header, frame: FrameHeader) -> np.ndarray:
    """(rows, columns) uint8 of (rows, columns) or (rows, columns, 3) values without HU.

    Colour is weighted as in ITU-R BT.601.
    """
    if stored.ndim == 3:
        weights = np.array([0.299, 0.587, 0.114])
        return np.rint(stored.astype(np.float64) @ weights).astype(np.uint8)
    padded = _padded(stored, header, None, None)
    values = within_bits(stored, header).astype(np.float64)
    if padded is not None and not padded.all():
        values[padded] = values[~padded].min()
    image = windowed(values, _grey_window(values, header, frame))
    return 255 - image if header.photometric == "MONOCHROME1" else image


def within_bits(stored: np.ndarray, header: Header) -> np.ndarray:
    """The stored bits alone: the others of an old image may hold an overlay."""
    unused = header.bits_allocated - header.bits_stored
    above = header.bits_allocated - 1 - header.high_bit
    if unused == 0 or stored.dtype.itemsize * 8 != header.bits_allocated or above < 0:
        return stored
    low = -(1 << (header.bits_stored - 1)) if header.signed else 0
    if low <= stored.min() and stored.max() < low + (1 << header.bits_stored) and above == unused:
        return stored
    return (stored << above) >> unused


def _padded(
    stored: np.ndarray, header: Header, slope: float | None, intercept: float | None
) -> np.ndarray | None:
    """(rows, columns) bool of pixels outside the field of view, or None."""
    if header.padding is None:
        return None
    first, last = header.padding
    if slope is not None and intercept is not None:
        ends = sorted((first * slope + intercept, last * slope + intercept))
        if ends[0] <= _TISSUE_HU[1] and ends[1] >= _TISSUE_HU[0]:
            return None
    return (stored >= first) & (stored <= last)


def _grey_window(values: np.ndarray, header: Header, frame: FrameHeader) -> Window:
    if frame.window is not None:
        width, level = frame.window
        slope, intercept = frame.slope or 1.0, frame.intercept or 0.0
        return Window(width / abs(slope), (level - intercept) / slope)
    if header.bits_stored == 8 and not header.signed:
        return Window(255, 127.5)
    low, high = float(values.min()), float(values.max())
    return Window(max(high - low, 1.0), (low + high) / 2)
