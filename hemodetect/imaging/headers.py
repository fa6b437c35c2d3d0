"""The attributes that are read from a DICOM header: an allow-list, as numbers and booleans.

Text never leaves this module. Identifiers become pseudonyms, codes are compared with lists kept
here, and everything else in a file is skipped while it is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.header_values import floats, integer, text, texts
from hemodetect.imaging.image_kinds import set_aside_reason
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.study import SliceGeometry, Vector
from hemodetect.settings import Settings

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""Read, hashed with the key, and dropped."""

CODES = (
    "SOPClassUID",
    "Modality",
    "ImageType",
    "BodyPartExamined",
    "RescaleType",
    "ConvolutionKernel",
    "ContrastBolusAgent",
)
"""Compared with the lists below or with one another, and dropped."""

NUMBERS = (
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceLocation",
    "SliceThickness",
    "KVP",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
)
"""Kept as numbers: order, geometry, rescale, window."""
PIXELS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
    "PixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
"""The pixel data and its description."""
FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Where enhanced objects keep the attributes of all frames, and of each."""
ALLOWED_KEYWORDS = (*IDENTIFIERS, *CODES, *NUMBERS, *PIXELS, *FRAMES)
"""Every DICOM attribute that is read; all others are skipped in the parser."""

_CT = "1.2.840.10008.5.1.4.1.1.2"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DIRECTORY = "1.2.840.10008.1.3.10"
_MODALITIES = {
    "CR": "a plain radiograph (CR)",
    "DX": "a plain radiograph (DX)",
    "RG": "a plain radiograph (RG)",
    "MG": "a mammogram (MG)",
    "MR": "magnetic resonance (MR)",
    "US": "ultrasound (US)",
    "NM": "nuclear medicine (NM)",
    "PT": "positron emission (PT)",
    "XA": "angiography (XA)",
    "RF": "fluoroscopy (RF)",
    "SR": "a report (SR)",
    "SEG": "a segmentation (SEG)",
    "PR": "a presentation state (PR)",
    "KO": "a selection of images (KO)",
    "RTPLAN": "a radiotherapy plan (RTPLAN)",
    "RTSTRUCT": "a radiotherapy drawing (RTSTRUCT)",
    "RTDOSE": "a radiotherapy dose (RTDOSE)",
}
_NO_AGENT = {"", "NO", "NONE", "N", "NA", "N/A", "WITHOUT", "-", "0"}


@dataclass(frozen=True)
class FrameHeader:
    """Attributes of one frame; None where the header has no usable value.

    Attributes:
        geometry: place of the slice.
        orientation: row and column direction, six numbers.
        slope, intercept: from stored values to HU.
        rescales_to_hu: whether Rescale Type is HU, unspecified or absent.
        window: (width, level), in units of rescaled values.
        corner: of the first pixel, mm.
        location: Slice Location, mm.
    """

    geometry: SliceGeometry | None
    orientation: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    rescales_to_hu: bool
    window: tuple[float, float] | None
    corner: tuple[float, ...] | None = None
    location: float | None = None


@dataclass(frozen=True)
class Header:
    """Attributes of one DICOM file, without any that identify a person or a date.

    Attributes:
        patient, study, series, instance: pseudonyms, None where the file has no such identifier.
        set_aside: why its images are not read by default, from its type.
        is_ct_image: CT image storage, rather than a capture of a screen.
        is_original: Image Type has ORIGINAL.
        is_derived: Image Type has DERIVED.
        image_type, kernel: pseudonyms of the whole Image Type and of the Convolution Kernel.
        tube_voltage: KVP, kV.
        contrast: a contrast agent is named.
        acquisition, number: Acquisition Number and Instance Number.
        rows, columns: pixels of a frame.
        samples, photometric, bits_allocated, bits_stored, high_bit: as in DICOM.
        signed: whether stored values are signed.
        padding: lowest and highest stored value that mean "outside the field of view".
        frames: one for every frame.
    """

    patient: str | None
    study: str | None
    series: str | None
    instance: str | None
    set_aside: str | None
    is_ct_image: bool
    is_original: bool
    is_derived: bool
    image_type: str | None
    kernel: str | None
    tube_voltage: float | None
    contrast: bool
    acquisition: int | None
    number: int | None
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None
    frames: tuple[FrameHeader, ...]


def is_directory(data_set: Dataset) -> bool:
    """Whether it is a DICOMDIR, under whatever name."""
    meta = getattr(data_set, "file_meta", None) or {}
    return text(meta, "MediaStorageSOPClassUID") == _DIRECTORY


def header_of(data_set: Dataset, limits: Settings) -> Header:
    """Reads the allow-list.

    Raises:
        UnreadableFile: not CT, no image, or an image description that is not supported.
    """
    image_class = text(data_set, "SOPClassUID")
    captured = image_class == _SECONDARY_CAPTURE or image_class.startswith(_SECONDARY_CAPTURE + ".")
    is_ct_class = image_class in ("", _CT) or image_class.startswith(_CT + ".")
    modality = text(data_set, "Modality") or ("CT" if image_class and is_ct_class else "")
    rows, columns = integer(data_set, "Rows"), integer(data_set, "Columns")
    if not modality and rows is None:
        raise UnreadableFile("It ends within its header, or is damaged; copy it again.")
    if modality != "CT" and not (captured and modality in ("", "OT", "SC")):
        what = _MODALITIES.get(modality, "not marked as CT")
        raise UnreadableFile(f"It is {what}; only head CT is read.")
    if rows is None or columns is None or not (is_ct_class or captured):
        raise UnreadableFile("It is a DICOM object without a CT image; nothing in it can be read.")
    if "PixelData" not in data_set:
        raise UnreadableFile("It ends before its image, or has none; copy it again.")
    count = integer(data_set, "NumberOfFrames") or 1
    if not 1 <= count <= limits.max_slices:
        raise UnreadableFile(
            f"It states {count:,} frames, where 1 to {limits.max_slices:,} are allowed; export one "
            "series at a time, or raise HEMODETECT_MAX_SLICES."
        )
    image_type = texts(data_set, "ImageType")
    bits_allocated = integer(data_set, "BitsAllocated") or 0
    bits_stored = integer(data_set, "BitsStored") or bits_allocated
    high_bit = integer(data_set, "HighBit")
    samples = integer(data_set, "SamplesPerPixel") or 1
    if bits_allocated not in (8, 16) or not 1 <= bits_stored <= bits_allocated:
        raise UnreadableFile(
            f"It stores {bits_stored} of {bits_allocated} bits a pixel, where 8 or 16 are read; "
            "export it as an ordinary CT image."
        )
    if samples != 1 and (samples, bits_allocated) != (3, 8):
        raise UnreadableFile(
            f"It has {samples} samples of {bits_allocated} bits a pixel, where one, or three of 8 "
            "bits, are read; export it as grey or RGB."
        )
    if "ModalityLUTSequence" in data_set:
        raise UnreadableFile(
            "It maps its values through a table, which no CT image may; export it as an ordinary "
            "CT image."
        )
    signed = integer(data_set, "PixelRepresentation") == 1
    return Header(
        **_identifiers(data_set, limits),
        set_aside=set_aside_reason(image_type, captured, text(data_set, "BodyPartExamined")),
        is_ct_image=is_ct_class and modality == "CT",
        is_original="ORIGINAL" in image_type,
        is_derived="DERIVED" in image_type,
        **_reconstruction(data_set, image_type, limits),
        tube_voltage=(floats(data_set, "KVP", 1) or (None,))[0],
        contrast=text(data_set, "ContrastBolusAgent").upper() not in _NO_AGENT,
        acquisition=integer(data_set, "AcquisitionNumber"),
        number=integer(data_set, "InstanceNumber"),
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=_photometric(data_set),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=signed,
        padding=_padding(data_set, bits_allocated, signed),
        frames=tuple(_frame(data_set, index) for index in range(count)),
    )


def _identifiers(data_set: Dataset, limits: Settings) -> dict[str, str | None]:
    patient, study, series, instance = (text(data_set, name) for name in IDENTIFIERS)
    return {
        "patient": pseudonym("patient", patient, limits=limits) if patient else None,
        "study": pseudonym("study", patient, study, limits=limits) if study else None,
        "series": pseudonym("series", study, series, limits=limits) if series else None,
        "instance": pseudonym("instance", instance, limits=limits) if instance else None,
    }


def _reconstruction(
    data_set: Dataset, image_type: Sequence[str], limits: Settings
) -> dict[str, str | None]:
    kernel = texts(data_set, "ConvolutionKernel")
    return {
        "image_type": pseudonym("type", *image_type, limits=limits) if image_type else None,
        "kernel": pseudonym("kernel", *kernel, limits=limits) if any(kernel) else None,
    }


def _photometric(data_set: Dataset) -> str:
    value = text(data_set, "PhotometricInterpretation")
    readable = (
        "MONOCHROME1",
        "MONOCHROME2",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_RCT",
        "YBR_ICT",
    )
    if value not in readable:
        raise UnreadableFile(
            "Its colour model is not read (a colour table, or unknown); export it as grey or RGB."
        )
    return value


def _padding(data_set: Dataset, bits: int, signed: bool) -> tuple[int, int] | None:
    first = integer(data_set, "PixelPaddingValue")
    if first is None:
        return None
    last = integer(data_set, "PixelPaddingRangeLimit")
    ends = [_as_stored(v, bits, signed) for v in (first, first if last is None else last)]
    return min(ends), max(ends)


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """The value with the signedness of the pixels: writers often get that of the padding wrong."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _frame(data_set: Dataset, index: int) -> FrameHeader:
    groups = (_per_frame(data_set, index), _first(data_set, FRAMES[0]))

    def within(sequence: str, keyword: str) -> Dataset:
        """Where `keyword` is found: the frame's group, the shared one, or the file itself."""
        for group in groups:
            item = None if group is None else _first(group, sequence)
            if item is not None and keyword in item:
                return item
        return data_set

    def numbers(sequence: str, keyword: str, count: int | None) -> tuple[float, ...] | None:
        return floats(within(sequence, keyword), keyword, count)

    position = numbers("PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    thickness = numbers("PixelMeasuresSequence", "SliceThickness", 1)
    slope = numbers("PixelValueTransformationSequence", "RescaleSlope", 1)
    intercept = numbers("PixelValueTransformationSequence", "RescaleIntercept", 1)
    level = numbers("FrameVOILUTSequence", "WindowCenter", None)
    width = numbers("FrameVOILUTSequence", "WindowWidth", None)
    rescale = within("PixelValueTransformationSequence", "RescaleType")
    return FrameHeader(
        geometry=_geometry(position, orientation, spacing, thickness),
        orientation=orientation if _unit_directions(orientation) else None,
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        rescales_to_hu=text(rescale, "RescaleType") in ("", "HU", "US"),
        window=(width[0], level[0]) if level and width and width[0] >= 1 else None,
        corner=position,
        location=(floats(data_set, "SliceLocation", 1) or (None,))[0],
    )


def _per_frame(data_set: Dataset, index: int) -> Dataset | None:
    items = data_set.get(FRAMES[1]) or ()
    return items[index] if index < len(items) else None


def _first(data_set: Dataset, sequence: str) -> Dataset | None:
    items = data_set.get(sequence)
    return items[0] if items else None


def _unit_directions(orientation: tuple[float, ...] | None) -> bool:
    if orientation is None:
        return False
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    return all(abs(length - 1) < 0.01 for length in lengths) and abs(row @ column) < 0.01


def _geometry(
    position: tuple[float, ...] | None,
    orientation: tuple[float, ...] | None,
    spacing: tuple[float, ...] | None,
    thickness: tuple[float, ...] | None,
) -> SliceGeometry | None:
    if position is None or orientation is None or not _unit_directions(orientation):
        return None
    if spacing is None or min(spacing) <= 0:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    normal /= np.linalg.norm(normal)
    return SliceGeometry(
        position_mm=float(normal @ np.array(position)),
        normal=_vector(tuple(normal.tolist())),
        row_spacing_mm=spacing[0],
        column_spacing_mm=spacing[1],
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else None,
        row_direction=_vector(orientation[:3]),
        column_direction=_vector(orientation[3:]),
        corner_mm=_vector(position),
    )


def _vector(values: tuple[float, ...]) -> Vector:
    x, y, z = values
    return x, y, z
