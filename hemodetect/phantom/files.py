"""The phantom as files: a DICOM series, or pictures in the brain window.

The names of the DICOM files are drawn at random, and the instance numbers run from the vertex
down: only a reader that sorts by geometry gets the order right.
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.phantom.head import Phantom

PictureSuffix = Literal[".jpg", ".png"]
"""File types of pictures."""
RESCALE_INTERCEPT = -1024
"""HU of the stored value 0."""
JPEG_QUALITY = 95
"""Pillow's quality of JPEG files."""


def write_dicom_series(phantom: Phantom, folder: Path, seed: int = 0) -> list[Path]:
    """Write `dicom_files` into `folder`, which is made where it is missing.

    Returns:
        The paths, base to vertex.
    """
    return _written(dicom_files(phantom, seed), folder)


def write_pictures(phantom: Phantom, folder: Path, suffix: PictureSuffix = ".jpg") -> list[Path]:
    """Write `picture_files` into `folder`, which is made where it is missing.

    Returns:
        The paths, base to vertex.
    """
    return _written(picture_files(phantom, suffix), folder)


def dicom_files(phantom: Phantom, seed: int = 0) -> list[tuple[str, bytes]]:
    """(file name, bytes) of a CT series, base to vertex; `seed` draws the names.

    CT Image Storage, explicit little endian, 16-bit unsigned with a rescale intercept of -1024,
    the gantry tilt in position and orientation. The same phantom has the same UIDs.
    """
    count = len(phantom.hu)
    numbers = np.random.default_rng(seed).permutation(count)
    if count > 1 and (np.diff(numbers) > 0).all():
        numbers = numbers[::-1]
    digest = hashlib.sha256(phantom.hu.tobytes()).hexdigest()
    return [
        (f"IM{numbers[index]:06d}.dcm", _dicom(phantom, index, digest)) for index in range(count)
    ]


def picture_files(phantom: Phantom, suffix: PictureSuffix = ".jpg") -> list[tuple[str, bytes]]:
    """(file name, bytes) of grey pictures in the brain window, numbered from 1 at the base.

    Raises:
        ValueError: `suffix` is neither ".jpg" nor ".png".
    """
    if suffix not in (".jpg", ".png"):
        raise ValueError(f'suffix is {suffix!r}; expected ".jpg" or ".png".')
    files = []
    for number, values in enumerate(phantom.hu, start=1):
        data = io.BytesIO()
        image = Image.fromarray(windowed(values, BRAIN))
        if suffix == ".jpg":
            image.save(data, "JPEG", quality=JPEG_QUALITY)
        else:
            image.save(data, "PNG", compress_level=1)
        files.append((f"phantom_0_{number}{suffix}", data.getvalue()))
    return files


def _written(files: list[tuple[str, bytes]], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name, _ in files]
    for path, (_, data) in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def _dicom(phantom: Phantom, index: int, digest: str) -> bytes:
    values = phantom.hu[index]
    rows, columns = values.shape
    slice_mm, row_mm, column_mm = phantom.spacing_mm
    tilt = math.radians(phantom.tilt_degrees)
    cos, sin = math.cos(tilt), math.sin(tilt)
    left, front = -(columns - 1) / 2 * column_mm, -(rows - 1) / 2 * row_mm
    height = index * slice_mm / cos
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = CTImageStorage
    instance = generate_uid(entropy_srcs=[digest, f"instance {index}"])
    data_set.file_meta.MediaStorageSOPInstanceUID = instance
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = instance
    data_set.Modality = "CT"
    data_set.StudyDescription = "HEAD PHANTOM"
    data_set.SeriesDescription = "HEAD PHANTOM"
    data_set.PatientName = "PHANTOM^HEMODETECT"
    data_set.PatientID = "PHANTOM"
    data_set.PatientPosition = "HFS"
    data_set.BodyPartExamined = "HEAD"
    data_set.GantryDetectorTilt = f"{phantom.tilt_degrees:.4f}"
    data_set.SliceThickness = _decimal(slice_mm)
    data_set.StudyInstanceUID = generate_uid(entropy_srcs=[digest, "study"])
    data_set.SeriesInstanceUID = generate_uid(entropy_srcs=[digest, "series"])
    data_set.FrameOfReferenceUID = generate_uid(entropy_srcs=[digest, "frame"])
    data_set.SeriesNumber = 1
    data_set.InstanceNumber = len(phantom.hu) - index
    position = (left, front * cos, height - front * sin)
    data_set.ImagePositionPatient = [_decimal(value) for value in position]
    data_set.ImageOrientationPatient = [_decimal(value) for value in (1, 0, 0, 0, cos, -sin)]
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows, data_set.Columns = rows, columns
    data_set.PixelSpacing = [_decimal(row_mm), _decimal(column_mm)]
    data_set.BitsAllocated = 16
    data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 0
    data_set.RescaleIntercept = str(RESCALE_INTERCEPT)
    data_set.RescaleSlope = "1"
    data_set.RescaleType = "HU"
    data_set.WindowCenter, data_set.WindowWidth = str(BRAIN.level), str(BRAIN.width)
    stored = (values.astype(np.int32) - RESCALE_INTERCEPT).astype("<u2")
    data_set.PixelData = stored.tobytes()
    data_set["PixelData"].VR = "OW"
    data = io.BytesIO()
    data_set.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _decimal(value: float) -> str:
    """A DICOM decimal string: 16 characters at most."""
    return f"{value:.9f}"[:16]
