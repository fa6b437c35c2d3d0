"""One NIfTI file's bytes to axial slices. Sizes are checked before anything is inflated.

NIfTI keeps a volume and a matrix from voxels to millimetres (right, front, head positive). Slices are
cut across the axis that is nearest to the patient's length, so they are axial whatever the order of
the axes, and turned as a CT is shown: the front at the top, the patient's right on the left. (A volume
has no direction of its own in which it is shown.) Names and free text of the header are not read.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import nibabel
import numpy as np

from hemodetect.errors import HemodetectError, UnreadableFile
from hemodetect.imaging.budget import Budget, check_slice_size
from hemodetect.imaging.decoded_slice import DecodedSlice
from hemodetect.imaging.kinds import GZIP, is_nifti
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.study import Slice, SliceGeometry, Units, Vector
from hemodetect.settings import MIB, Settings

_HEADER_BYTES = 540
_TO_DICOM = np.diag([-1.0, -1.0, 1.0])
"""From NIfTI's axes (right, front, head) to those of DICOM (left, back, head)."""
_FEWEST_LEVELS = 32
"""Values in a volume up to which it is a mask: a CT has hundreds."""
_LONGEST_OFFSET = 16 * MIB
"""Bytes before the values: the header, and notes that some programs add."""
_DAMAGED = "The NIfTI file is damaged or ends too early; export or copy it again."


@dataclass(frozen=True, eq=False)
class _Volume:
    """What a header tells.

    Attributes:
        image: nibabel's, whose values are read slice by slice.
        axes: of rows, columns and slices.
        affine: (3, 4) from voxels to millimetres in DICOM's axes; None where the header has none.
    """

    image: Any
    axes: tuple[int, int, int]
    affine: np.ndarray | None

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and slices."""
        rows, columns, slices = (int(self.image.shape[axis]) for axis in self.axes)
        return rows, columns, slices

    def values(self, index: int) -> np.ndarray:
        """(rows, columns) of a slice, scaled as the header says."""
        where: list[Any] = [slice(None)] * 3 + [0] * (len(self.image.shape) - 3)
        where[self.axes[2]] = index
        values = np.asarray(self.image.dataobj[tuple(where)])
        values = values if self.axes[0] < self.axes[1] else values.T
        from_back, from_left = self._reversed
        return values[:: -1 if from_back else 1, :: -1 if from_left else 1]

    @property
    def _reversed(self) -> tuple[bool, bool]:
        """Whether the file's rows go from back to front, and its columns from left to right of the
        patient.
        """
        if self.affine is None:
            return False, False
        return bool(self.affine[1, self.axes[0]] < 0), bool(self.affine[0, self.axes[1]] < 0)

    def geometry(self, index: int) -> SliceGeometry | None:
        """Where a slice lies; None where the header does not tell."""
        if self.affine is None:
            return None
        down, right = self.affine[:, self.axes[0]], self.affine[:, self.axes[1]]
        voxel = np.zeros(4)
        voxel[self.axes[2]], voxel[3] = index, 1
        from_back, from_left = self._reversed
        if from_back:
            voxel[self.axes[0]], down = self.image.shape[self.axes[0]] - 1, -down
        if from_left:
            voxel[self.axes[1]], right = self.image.shape[self.axes[1]] - 1, -right
        corner = self.affine @ voxel
        high, wide = float(np.linalg.norm(down)), float(np.linalg.norm(right))
        if min(high, wide) <= 0 or not np.isfinite(self.affine).all():
            return None
        row, column = right / wide, down / high
        normal = np.cross(row, column)
        length = float(np.linalg.norm(normal))
        if abs(length - 1) > 0.01:  # a matrix that shears: rows and columns are not at right angles
            return None
        normal /= length
        return SliceGeometry(
            position_mm=float(normal @ corner),
            normal=_vector(normal),
            row_spacing_mm=high,
            column_spacing_mm=wide,
            thickness_mm=float(np.linalg.norm(self.affine[:, self.axes[2]])) or None,
            row_direction=_vector(row),
            column_direction=_vector(column),
            corner_mm=_vector(corner),
        )


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def read_nifti(data: bytes, name: str, budget: Budget) -> list[DecodedSlice]:
    """Axial slices of one NIfTI file (``.nii``, ``.nii.gz``), in the order of the volume.

    A volume of few values is set aside as a mask. Values from 0 to 255 are grey levels, all others HU.

    Args:
        data: the file.
        name: the file's name for `Slice.source`.
        budget: limits of the study; its bytes of pixels are reserved there.

    Raises:
        UnreadableFile: damaged, not one volume of numbers, or over a limit.
    """
    rows, columns, count = nifti_size(data, budget.limits)
    with budget.reserved(count, count * rows * columns * 4):
        try:
            return _slices(_volume(data), name, sha256(data).hexdigest(), budget.limits)
        except HemodetectError:
            raise
        except Exception:  # noqa: BLE001  nibabel raises any error on malformed bytes
            raise UnreadableFile(_DAMAGED) from None


def nifti_size(data: bytes, limits: Settings) -> tuple[int, int, int]:
    """Rows, columns and slices, from the header alone.

    Raises:
        UnreadableFile: damaged, not one volume of numbers, or a slice is over the limit.
    """
    try:
        header = _header(_inflated(data, _HEADER_BYTES))
        shape = header.get_data_shape()
        itemsize = header.get_data_dtype().itemsize
        kind = header.get_data_dtype().kind
        offset = float(header["vox_offset"])
        axes, _ = _axes(header)
    except HemodetectError:
        raise
    except Exception:  # noqa: BLE001  see above
        raise UnreadableFile(_DAMAGED) from None
    if len(shape) < 3 or any(extent != 1 for extent in shape[3:]):
        raise UnreadableFile(
            f"It holds {len(shape)} dimensions ({' x '.join(map(str, shape))}), not one volume; save"
            " one volume a file."
        )
    if kind not in "iuf":
        raise UnreadableFile("Its values are colours or complex numbers; save the CT itself.")
    rows, columns, slices = (int(shape[axis]) for axis in axes)
    check_slice_size(rows, columns, limits.max_slice_pixels)
    if slices < 1 or not 0 <= offset <= _LONGEST_OFFSET:
        raise UnreadableFile(_DAMAGED)
    if rows * columns * slices * itemsize > limits.max_study_bytes:
        raise UnreadableFile(
            f"Its volume of {columns} x {rows} x {slices} is larger than a study may be; save the"
            " series of the head alone, or raise HEMODETECT_MAX_STUDY_BYTES."
        )
    return rows, columns, slices


def _header(head: bytes) -> Any:
    kind = nibabel.Nifti2Header if head[4:8] in (b"n+2\0", b"ni2\0") else nibabel.Nifti1Header
    return kind(head[: kind.template_dtype.itemsize], check=False)


def _axes(header: Any) -> tuple[tuple[int, int, int], np.ndarray | None]:
    """Axes of rows, columns and slices, and the matrix in DICOM's axes."""
    if not (int(header["sform_code"]) or int(header["qform_code"])):
        return (1, 0, 2), None
    affine = _TO_DICOM @ header.get_best_affine()[:3]
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    directions = np.abs(affine[:, :3] / np.where(lengths > 0, lengths, 1))
    slices = int(directions[2].argmax())
    others = [axis for axis in range(3) if axis != slices]
    columns = max(others, key=lambda axis: directions[0, axis])
    rows = next(axis for axis in others if axis != columns)
    return (rows, columns, slices), affine


def _inflated(data: bytes, most: int) -> bytes:
    """The first `most` bytes of the file, unpacked where it is packed."""
    if not data.startswith(GZIP):
        return data[:most]
    try:
        return zlib.decompressobj(wbits=31).decompress(data, most)
    except zlib.error:
        raise UnreadableFile(_DAMAGED) from None


def _volume(data: bytes) -> _Volume:
    header = _header(_inflated(data, _HEADER_BYTES))
    voxels = int(np.prod(header.get_data_shape(), dtype=np.int64))
    needed = int(header["vox_offset"]) + voxels * header.get_data_dtype().itemsize
    content = _inflated(data, needed)
    if len(content) < needed or not is_nifti(content):
        raise UnreadableFile(_DAMAGED)
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    # nibabel would read what stands between header and voxels; it may hold names.
    source = nibabel.FileHolder(fileobj=BytesIO(content))
    axes, affine = _axes(header)
    image = kind.from_file_map({"image": source, "header": source})
    return _Volume(image, axes, affine)


def _slices(volume: _Volume, name: str, digest: str, limits: Settings) -> list[DecodedSlice]:
    _, _, count = volume.size
    arrays = [_whole_numbers(volume.values(index)) for index in range(count)]
    if not all(np.isfinite(values).all() for values in arrays):
        raise UnreadableFile("It holds values that are not numbers; export the CT again.")
    levels = _levels(arrays)
    lowest = min(float(values.min()) for values in arrays)
    highest = max(float(values.max()) for values in arrays)
    set_aside = "a mask, not an image" if levels <= _FEWEST_LEVELS else None
    units: Units = "HU"
    if lowest >= 0 and highest <= 255:
        units, arrays = "grey", [np.rint(values).astype(np.uint8) for values in arrays]
    decoded = []
    for index, values in enumerate(arrays):
        values.setflags(write=False)
        geometry = volume.geometry(index)
        decoded.append(
            DecodedSlice(
                slice=Slice(values, units, f"{name}#{index + 1}", geometry),
                series=pseudonym("series", digest, limits=limits),
                instance=f"{pseudonym('instance', digest, limits=limits)}#{index}",
                orientation=(*geometry.row_direction, *geometry.column_direction)
                if geometry and geometry.row_direction and geometry.column_direction
                else None,
                corner=geometry.corner_mm if geometry else None,
                number=index + 1,
                set_aside=set_aside,
            )
        )
    return decoded


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    """int16 where that loses nothing, else float32; contiguous."""
    values = np.ascontiguousarray(values)
    limits = np.iinfo(np.int16)
    if values.size and limits.min <= values.min() and values.max() <= limits.max:
        whole = values.astype(np.int16)
        if np.array_equal(whole, values):
            return whole
    return values.astype(np.float32)


def _levels(arrays: list[np.ndarray]) -> int:
    """Number of different values; counted until it is certain that there are many."""
    found: set[float] = set()
    for values in arrays:
        found.update(np.unique(values).tolist())
        if len(found) > _FEWEST_LEVELS:
            break
    return len(found)
