"""Small DICOM files and pictures that are made here; no pixel is of a patient."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from hemodetect.imaging.budget import Budget
from hemodetect.imaging.dicom import read_dicom
from hemodetect.settings import Settings

CT_IMAGE = UID("1.2.840.10008.5.1.4.1.1.2")


@pytest.fixture
def limits() -> Settings:
    """Default settings with a key of their own, so that no state is written."""
    return replace(Settings(), pseudonym_key="key of the tests")


@pytest.fixture
def head() -> np.ndarray:
    """(64, 48) int16 in HU: air, a ring of bone, soft tissue with some noise."""
    rows, columns = np.mgrid[:64, :48]
    radius = np.hypot((rows - 32) / 28, (columns - 24) / 20)
    noise = np.random.default_rng(7).integers(-3, 4, (64, 48))
    return np.where(radius > 1, -1000, np.where(radius > 0.85, 1200, 35 + noise)).astype(np.int16)


@pytest.fixture
def ct(head: np.ndarray) -> Callable[..., Dataset]:
    """Makes a CT data set at `z` mm; any attribute can be given by its keyword, None drops it."""

    def make(values: np.ndarray = head, z: float = 0.0, **attributes: Any) -> Dataset:
        data_set = Dataset()
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data_set.file_meta.MediaStorageSOPClassUID = CT_IMAGE
        signed = np.issubdtype(values.dtype, np.signedinteger)
        color = values.shape[-1] == 3
        frames = values.ndim - color == 3
        bits = values.dtype.itemsize * 8
        defaults = {
            "SOPClassUID": CT_IMAGE,
            "SOPInstanceUID": f"1.2.3.4.{round(z * 100) + 100_000}",
            "StudyInstanceUID": "1.2.3",
            "SeriesInstanceUID": "1.2.3.4",
            "PatientID": "4711",
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "InstanceNumber": 1,
            "ImagePositionPatient": [-10, -10, z],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.5, 0.5],
            "SliceThickness": 5,
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
            "SamplesPerPixel": 3 if color else 1,
            "PhotometricInterpretation": "RGB" if color else "MONOCHROME2",
            "PlanarConfiguration": 0 if color else None,
            "NumberOfFrames": values.shape[0] if frames else None,
            "Rows": values.shape[1 if frames else 0],
            "Columns": values.shape[2 if frames else 1],
            "BitsAllocated": bits,
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelRepresentation": int(signed),
            "PixelData": values.tobytes(),
        }
        for keyword, value in (defaults | attributes).items():
            if value is not None:
                setattr(data_set, keyword, value)
        data_set["PixelData"].VR = "OB" if bits == 8 else "OW"
        return data_set

    return make


@pytest.fixture
def as_bytes() -> Callable[[Dataset], bytes]:
    """A data set as a DICOM file."""

    def write(data_set: Dataset) -> bytes:
        buffer = io.BytesIO()
        data_set.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return write


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """An array or image as a file of the given format."""

    def encode(image: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def grey_head() -> np.ndarray:
    """(40, 30) uint8 picture of a disc."""
    rows, columns = np.mgrid[:40, :30]
    return (np.hypot(rows - 20, columns - 15) < 12).astype(np.uint8) * 120


@pytest.fixture
def read(limits: Settings, as_bytes: Callable[[Dataset], bytes]) -> Callable:
    """Decodes a DICOM data set, or the bytes of a file, into slices."""

    def read_(source: Dataset | bytes, limits_=limits):
        data = source if isinstance(source, bytes) else as_bytes(source)
        return read_dicom(data, "a.dcm", Budget(limits_))

    return read_
