"""Decoders of compressed slices for pydicom that let other threads run meanwhile.

pylibjpeg, which decodes everything else, holds Python's lock: with it two threads took 1.1 times as
long as one for 300 slices (`benchmarks/decoding_threads.py`). Of imagecodecs only libjpeg-turbo, CharLS
and OpenJPEG are used, and only for grey slices.
"""

from __future__ import annotations

import numpy as np
from imagecodecs import jpeg2k_decode, jpeg8_decode, jpegls_decode
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

PLUGIN = "imagecodecs"
"""Name of this plugin in pydicom."""

_DECODE = {
    JPEGLossless: jpeg8_decode,
    JPEGLosslessSV1: jpeg8_decode,
    JPEGLSLossless: jpegls_decode,
    JPEG2000Lossless: jpeg2k_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys(_DECODE, ("imagecodecs",))
"""Asked for by pydicom."""


def is_available(uid: str) -> bool:
    """Whether a transfer syntax is decoded here."""
    return uid in _DECODE


def decode_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """The pixels of a grey frame, in 8 or 16 bits; raises whatever the decoder does."""
    image = _DECODE[UID(runner.transfer_syntax)](source)
    if runner.samples_per_pixel != 1 or image.shape != (runner.rows, runner.columns):
        raise ValueError("not the grey image that the header describes")
    if image.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise ValueError("neither 8 nor 16 bits")
    runner.set_option("bits_allocated", 8 * image.dtype.itemsize)
    return bytearray(np.ascontiguousarray(image).data.cast("B"))


for _syntax in _DECODE:
    get_decoder(_syntax).add_plugin(PLUGIN, (__name__, decode_frame.__name__))
