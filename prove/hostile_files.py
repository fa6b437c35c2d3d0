"""Makes files that are damaged, poisoned, or grow to gigabytes; the same ones for the same seed."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

SEED = 20261127
KINDS = ("dicom", "jpeg", "png", "zip", "nifti", "skops", "keras")
CODE_RAN = Path("/tmp/hemodetect-code-ran")
"""Written by the code in a poisoned model file, were it run."""


def mutant_files(kind: str, count: int) -> Iterator[tuple[str, str, bytes]]:
    """(name, kind, bytes): the file unchanged, poisoned ones of model files, and `count` damaged."""
    random = np.random.default_rng([SEED, KINDS.index(kind)])
    whole = whole_file_of(kind)
    yield f"{kind} unchanged", kind, whole
    if kind in ("skops", "keras"):
        yield f"{kind} as a pickle", kind, pickle.dumps(Poison())
        yield f"{kind} poisoned", kind, poisoned(kind)
    for number in range(count):
        yield f"{kind} {number}", kind, _mutant(whole, random)


def _mutant(whole: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(whole)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(len(data))) if data else 0
        length = int(random.integers(1, 64))
        way = random.integers(5)
        if way == 0:
            data[place : place + length] = random.bytes(len(data[place : place + length]))
        elif way == 1:
            data[place : place + 1] = bytes([int(random.choice([0, 1, 127, 128, 254, 255]))])
        elif way == 2:
            del data[place : place + length]
        elif way == 3:
            other = int(random.integers(max(len(data) - length, 1)))
            data[place:place] = data[other : other + length]
        else:
            # Headers are short beside pixels, and hold what matters most.
            near = int(random.integers(min(len(data), 600))) if data else 0
            data[near : near + 2] = random.bytes(2)
    if random.random() < 0.1:
        del data[int(random.integers(len(data) + 1)) :]
    return bytes(data)


def whole_file_of(kind: str) -> bytes:
    """A small valid file."""
    import nibabel

    from hemodetect.phantom.files import dicom_files, picture_files
    from hemodetect.phantom.head import head_phantom

    phantom = head_phantom(slices=3, size=64, pixel_spacing_mm=3.6, slice_spacing_mm=40)
    if kind == "dicom":
        return dicom_files(phantom)[1][1]
    if kind in ("jpeg", "png"):
        return picture_files(phantom, ".jpg" if kind == "jpeg" else ".png")[1][1]
    if kind == "nifti":
        image = nibabel.Nifti1Image(np.asarray(phantom.hu, np.int16).transpose(2, 1, 0), np.eye(4))
        return gzip.compress(image.to_bytes(), 1)
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in picture_files(phantom, ".png"):
                archive.writestr(name, data)
        return packed.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        if kind == "skops":
            from hemodetect.models.weight_files import write_arrays

            file = Path(folder) / "model.skops"
            write_arrays(file, {"weights": np.arange(40, dtype=np.float32).reshape(8, 5)})
        else:
            import keras

            from hemodetect.models.weight_files import write_network

            file = Path(folder) / "head.keras"
            write_network(file, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
        return file.read_bytes()


class Poison:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple:
        return Path.touch, (CODE_RAN,)


def poisoned(kind: str) -> bytes:
    """A file of the right kind that would run code where its content is trusted."""
    if kind == "skops":
        import skops.io

        return skops.io.dumps(Poison())
    import keras

    source = keras.Input((3,))
    ran = keras.layers.Lambda(
        lambda x: [__import__("pathlib").Path("/tmp/hemodetect-code-ran").touch(), x][1]
    )(source)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head.keras"
        keras.Model(source, ran).save(file)
        CODE_RAN.unlink(missing_ok=True)  # it ran when the model was made
        return file.read_bytes()


def bomb_files() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of files that grow to gigabytes."""
    gigabyte = 1024**3
    zeros = bytes(16 * 1024**2)

    def deflated(size: int, packer: Callable[[], object] = lambda: zlib.compressobj(9)) -> bytes:
        press = packer()
        parts = [press.compress(zeros) for _ in range(size // len(zeros))]  # type: ignore[attr-defined]
        return b"".join([*parts, press.flush()])  # type: ignore[attr-defined]

    def packed_with_gzip(head: bytes) -> bytes:
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
            file.write(head)
            for _ in range(4 * gigabyte // len(zeros)):
                file.write(zeros)
        return out.getvalue()

    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("slice.dcm", "w", force_zip64=True) as file,
    ):
        for _ in range(4 * gigabyte // len(zeros)):
            file.write(zeros)
    yield "zip of 4 GB", out.getvalue()
    nest = io.BytesIO()
    with zipfile.ZipFile(nest, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.zip", out.getvalue())
    yield "zip of zips", nest.getvalue()
    entry = tarfile.TarInfo("slice.dcm")
    entry.size = 4 * gigabyte
    yield "tar.gz of 4 GB", packed_with_gzip(entry.tobuf())
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape((20_000, 20_000, 10))
    header.set_data_dtype(np.int16)
    yield "nii.gz of 8 GB", packed_with_gzip(header.binaryblock + bytes(4))
    yield (
        "deflated DICOM",
        _deflated_dicom(deflated(gigabyte, lambda: zlib.compressobj(9, zlib.DEFLATED, -15))),
    )
    yield from _picture_bombs(deflated)


def _deflated_dicom(pixels: bytes) -> bytes:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    out = io.BytesIO()
    out.write(bytes(128) + b"DICM")
    write_file_meta_info(out, meta, enforce_standard=True)
    return out.getvalue() + pixels


def _picture_bombs(deflated: Callable[[int], bytes]) -> Iterator[tuple[str, bytes]]:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = 60_000
    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    body = deflated(1024**3)
    yield (
        "PNG of 60,000 x 60,000",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""),
    )
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (65_000, 4_500)).save(out, "JPEG", quality=5)
    yield "JPEG of 65,000 x 4,500", out.getvalue()
    out = io.BytesIO()
    pages = [Image.new("L", (2_000, 2_000)) for _ in range(2)]
    pages[0].save(
        out, "TIFF", save_all=True, append_images=pages[1:] * 3_100, compression="tiff_lzw"
    )
    yield "TIFF of 3,101 pages", out.getvalue()
