"""DICOM files in given transfer syntaxes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit


def in_syntax(data_set: Dataset, syntax: str, little: bool = True) -> bytes:
    """The uncompressed data set in another uncompressed transfer syntax."""
    buffer = io.BytesIO()
    data_set.file_meta.TransferSyntaxUID = syntax
    if not little:
        pixels = np.frombuffer(data_set.PixelData, "<i2")
        data_set.PixelData = pixels.astype(">i2").tobytes()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def jpeg_baseline(ct, grey_head: np.ndarray, **attributes) -> Dataset:
    buffer = io.BytesIO()
    Image.fromarray(grey_head).save(buffer, "JPEG", quality=95)
    data_set = ct(grey_head, PixelData=encapsulate([buffer.getvalue()]), **attributes)
    data_set.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return data_set
