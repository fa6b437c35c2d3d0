"""One DICOM file's bytes to slices. Sizes are checked before anything is inflated or decoded."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from hemodetect.errors import HemodetectError, UnreadableFile
from hemodetect.imaging import decoders
from hemodetect.imaging.budget import Budget, check_slice_size
from hemodetect.imaging.codestreams import jpeg2000_size, jpeg_size
from hemodetect.imaging.decoded_slice import DecodedSlice
from hemodetect.imaging.headers import (
    ALLOWED_KEYWORDS,
    FrameHeader,
    Header,
    header_of,
    is_directory,
)
from hemodetect.imaging.hounsfield import grey, has_hu, hounsfield
from hemodetect.imaging.inflating import RAW_FORMAT, InflatesTooFar, inflated
from hemodetect.imaging.study import Slice
from hemodetect.settings import MIB, Settings

_ALLOWED_TAGS: list = [Tag(keyword) for keyword in ALLOWED_KEYWORDS]
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_RATIO_FLOOR_BYTES = 4 * MIB
_MOST_READS = 1_000_000  # a header of 3,000 enhanced frames takes 400,000
_DAMAGED = "The DICOM file is damaged or ends too early; export or copy it again."

# pydicom's warnings and log records quote header values, names among them.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")  # of decoding, outside the lock
_parser = threading.Lock()


def read_dicom(data: bytes, name: str, budget: Budget) -> list[DecodedSlice]:
    """Slices of one DICOM file, frames in file order; empty for a DICOMDIR.

    Args:
        data: the file.
        name: the file's name for `Slice.source`.
        budget: limits of the study; its bytes of pixels are reserved there.

    Raises:
        UnreadableFile: not a CT image, damaged, compressed in an unknown way, or over a limit.
    """
    with _parsing():
        data_set = _data_set(data, budget.limits)
        if is_directory(data_set):
            return []
        header = header_of(data_set, budget.limits)
        check_slice_size(header.rows, header.columns, budget.limits.max_slice_pixels)
        _check_pixel_data(data_set, header)
        encoded = _EncodedImage.of(data_set)
    count = len(header.frames)
    with budget.reserved(count, count * header.rows * header.columns * 4), _readable_errors():
        return [
            _decoded_slice(header, index, values, name, units)
            for index, (values, units) in enumerate(_frames(encoded, header))
        ]


def read_header(data: bytes, limits: Settings) -> Header | None:
    """The header of a DICOM file, of which the beginning suffices; None for a DICOMDIR.

    Raises:
        UnreadableFile: not a CT image, or damaged.
    """
    with _parsing():
        data_set = _data_set(data, limits)
        return None if is_directory(data_set) else header_of(data_set, limits)


@contextmanager
def _parsing() -> Iterator[None]:
    """Silences pydicom while a header is parsed, and turns its errors into `UnreadableFile`.

    The lock is there because validation mode and warning filters belong to the process; parsing
    holds the interpreter's lock anyway. Pixels are decoded outside.
    """
    with _parser, warnings.catch_warnings(), _readable_errors():
        warnings.simplefilter("ignore")
        mode = config.settings.reading_validation_mode
        config.settings.reading_validation_mode = config.IGNORE
        try:
            yield
        finally:
            config.settings.reading_validation_mode = mode


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Turns any error of a parser or decoder into `UnreadableFile`, without its text."""
    try:
        yield
    except HemodetectError:
        raise
    except BaseException as error:
        # Parsers raise errors of any type on malformed bytes. A panic of the RLE decoder
        # (Rust) is not even an Exception.
        if isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime":
            raise UnreadableFile(_DAMAGED) from None
        raise


def _data_set(data: bytes, limits: Settings) -> Dataset:
    try:
        data_set = dcmread(_Guarded(data), force=True, specific_tags=_ALLOWED_TAGS)
    except _DeflatedError as deflated:
        inflated = _inflated(data[deflated.start :], limits)
        data_set = read_dataset(
            _Guarded(inflated),
            is_implicit_VR=False,
            is_little_endian=True,
            specific_tags=_ALLOWED_TAGS,
        )
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data_set.set_original_encoding(False, True)
    if "TransferSyntaxUID" not in data_set.file_meta:
        implicit, little = data_set.original_encoding
        data_set.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian
            if implicit
            else ExplicitVRLittleEndian
            if little
            else ExplicitVRBigEndian
        )
    return data_set


class _DeflatedError(Exception):
    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start


class _Guarded(BytesIO):
    """A file that will be read neither to its end in one go nor in endless small pieces.

    pydicom does the first to inflate a deflated data set, without any limit, and the second to walk
    through elements, of which 500 MB can hold 60 million.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            raise _DeflatedError(self.tell())
        self._reads += 1
        if self._reads > _MOST_READS:
            raise UnreadableFile("Its header has far too many elements; export it again.")
        return super().read(size)


def _inflated(data: bytes, limits: Settings) -> bytes:
    cap = min(limits.max_file_bytes, max(_RATIO_FLOOR_BYTES, len(data) * limits.max_zip_ratio))
    try:
        return inflated(data, RAW_FORMAT, cap)
    except InflatesTooFar:
        raise UnreadableFile(
            "It inflates to far more than an image takes, as a deflate bomb does; export it "
            "without deflate compression."
        ) from None


def _check_pixel_data(data_set: Dataset, header: Header) -> None:
    """Everything about the pixel data that can be known without decoding it."""
    syntax = UID(data_set.file_meta.TransferSyntaxUID)
    count = len(header.frames)
    frame_bytes = header.rows * header.columns * header.samples * header.bits_allocated // 8
    if syntax in _NATIVE:
        if header.photometric != "YBR_FULL_422" and len(data_set.PixelData) < frame_bytes * count:
            raise UnreadableFile("Its image ends too early; copy or export it again.")
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnreadableFile(
            "Its compression is not read (uncompressed, deflated, RLE, JPEG, JPEG-LS and "
            "JPEG 2000 are); export it in one of these."
        ) from None
    if not decoder.is_available:
        raise UnreadableFile(
            "Its compression needs pylibjpeg, which is not installed; install the requirements."
        )
    frames = 0
    for encoded in generate_frames(data_set.PixelData, number_of_frames=count):
        frames += 1
        if syntax == RLELossless:
            continue  # its decoder never writes past the image that the header states
        if syntax in JPEG2000TransferSyntaxes:
            size = jpeg2000_size(encoded)
        elif syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
            size = jpeg_size(encoded)
        else:
            raise UnreadableFile(_DAMAGED)
        if (size.rows, size.columns, size.components) != (
            header.rows,
            header.columns,
            header.samples,
        ):
            raise UnreadableFile(
                f"Its compressed image has {size.columns:,} x {size.rows:,} pixels, where the "
                f"header says {header.columns:,} x {header.rows:,}; export it again."
            )
    if frames < count:
        raise UnreadableFile(f"It states {count:,} frames and holds {frames:,}; export it again.")


@dataclass(frozen=True, eq=False)
class _EncodedImage:
    """The pixel data with all that decoding needs; no data set, whose values pydicom parses late."""

    syntax: UID
    data: bytes
    options: dict[str, Any]

    @classmethod
    def of(cls, data_set: Dataset) -> _EncodedImage:
        element = data_set["PixelData"]
        options = as_pixel_options(data_set, pixel_keyword="PixelData", pixel_vr=element.VR)
        return cls(UID(data_set.file_meta.TransferSyntaxUID), element.value, options)


def _frames(encoded: _EncodedImage, header: Header) -> Iterator[tuple[np.ndarray, bool]]:
    """(values, whether they are HU) of each frame."""
    if encoded.syntax in _NATIVE:
        decoded = _decoded_by(encoded, "")
    elif decoders.is_available(encoded.syntax) and header.samples == 1:
        try:
            decoded = iter([*_decoded_by(encoded, decoders.PLUGIN)])
        except Exception:  # noqa: BLE001  it may be one that the other decoder is lenient with
            decoded = _decoded_by(encoded, "pylibjpeg")
    else:
        decoded = _decoded_by(encoded, "pylibjpeg")
    for frame, stored in zip(header.frames, decoded, strict=True):
        yield _values(stored, header, frame)


def _decoded_by(encoded: _EncodedImage, plugin: str) -> Iterator[np.ndarray]:
    decoder = get_decoder(encoded.syntax)
    for stored, _ in decoder.iter_array(encoded.data, decoding_plugin=plugin, **encoded.options):
        yield stored


def _values(stored: np.ndarray, header: Header, frame: FrameHeader) -> tuple[np.ndarray, bool]:
    if stored.shape[:2] != (header.rows, header.columns):
        raise UnreadableFile(_DAMAGED)
    if has_hu(header, frame):
        return hounsfield(stored, header, frame), True
    return grey(stored, header, frame), False


def _decoded_slice(
    header: Header, index: int, values: np.ndarray, name: str, hu: bool
) -> DecodedSlice:
    many = len(header.frames) > 1
    frame = header.frames[index]
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return DecodedSlice(
        slice=Slice(
            values=values,
            units="HU" if hu else "grey",
            source=f"{name}#{index + 1}" if many else name,
            geometry=frame.geometry,
        ),
        patient=header.patient,
        study=header.study,
        series=header.series,
        instance=f"{header.instance}#{index}" if header.instance else None,
        orientation=frame.orientation,
        corner=frame.corner,
        location=frame.location,
        number=index + 1 if many else header.number,
        acquisition=header.acquisition,
        kernel=header.kernel,
        image_type=header.image_type,
        tube_voltage=header.tube_voltage,
        contrast=header.contrast,
        derived=header.is_derived,
        set_aside=header.set_aside,
    )
