"""One DICOM file's bytes to slices. Sizes are checked before anything is inflated or decoded."""

from __future__ import annotations

import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder, iter_pixels
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
from hemodetect.imaging.budget import Budget, check_slice_size
from hemodetect.imaging.codestreams import jpeg2000_size, jpeg_size
from hemodetect.imaging.headers import (
    ALLOWED_KEYWORDS,
    FrameHeader,
    Header,
    header_of,
    is_directory,
)
from hemodetect.imaging.hounsfield import grey, has_hu, hounsfield
from hemodetect.imaging.series import DecodedSlice
from hemodetect.imaging.study import Slice
from hemodetect.settings import MIB, Settings

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_RATIO_FLOOR_BYTES = 4 * MIB
_MOST_READS = 1_000_000  # a header of 3,000 enhanced frames takes 400,000
_DAMAGED = "The DICOM file is damaged or ends too early; export or copy it again."

# pydicom's warnings and log records quote header values, names among them.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
_parsing = threading.Lock()


def read_dicom(data: bytes, name: str, budget: Budget) -> list[DecodedSlice]:
    """Slices of one DICOM file, frames in file order; empty for a DICOMDIR.

    Args:
        data: the file.
        name: the file's name for `Slice.source`.
        budget: limits of the study; its bytes of pixels are reserved there.

    Raises:
        UnreadableFile: not a CT image, damaged, compressed in an unknown way, or over a limit.
    """
    with _quiet():
        data_set = _data_set(data, budget.limits)
        if is_directory(data_set):
            return []
        header = header_of(data_set, budget.limits)
        check_slice_size(header.rows, header.columns, budget.limits.max_slice_pixels)
        count = len(header.frames)
        with budget.reserved(count, count * header.rows * header.columns * 4):
            _check_pixel_data(data_set, header)
            return [
                _decoded_slice(header, index, values, name, units)
                for index, (values, units) in enumerate(_frames(data_set, header))
            ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences pydicom, and turns any error it raises into `UnreadableFile` without its text.

    The lock is there because the warning filters belong to the process; parsing holds the
    interpreter's lock anyway.
    """
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode = config.settings.reading_validation_mode
        config.settings.reading_validation_mode = config.IGNORE
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
        finally:
            config.settings.reading_validation_mode = mode


def _data_set(data: bytes, limits: Settings) -> Dataset:
    try:
        data_set = dcmread(_Guarded(data), force=True, specific_tags=list(ALLOWED_KEYWORDS))
    except _DeflatedError as deflated:
        inflated = _inflated(data[deflated.start :], limits)
        data_set = read_dataset(
            _Guarded(inflated),
            is_implicit_VR=False,
            is_little_endian=True,
            specific_tags=[Tag(keyword) for keyword in ALLOWED_KEYWORDS],
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
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, cap)
    if not inflater.eof and inflater.unconsumed_tail:
        raise UnreadableFile(
            "It inflates to far more than an image takes, as a deflate bomb does; export it "
            "without deflate compression."
        )
    return inflated


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


def _frames(data_set: Dataset, header: Header) -> Iterator[tuple[np.ndarray, bool]]:
    """(values, whether they are HU) of each frame."""
    native = data_set.file_meta.TransferSyntaxUID in _NATIVE
    decoded = iter_pixels(data_set, decoding_plugin="" if native else "pylibjpeg")
    for frame, stored in zip(header.frames, decoded, strict=True):
        yield _values(stored, header, frame)


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
        number=index + 1 if many else header.number,
        acquisition=header.acquisition,
        set_aside=header.set_aside,
    )
