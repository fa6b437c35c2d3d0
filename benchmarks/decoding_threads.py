"""Two threads against one: decoding 300 compressed DICOM slices, as for a study.

    python benchmarks/decoding_threads.py [--slices 300]

The slices are phantoms of 512 x 512. A lock lets one thread at a time parse
headers; pixels are decoded outside that lock. The gain from a second thread depends on whether the
decoder releases Python's global lock.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import gdcm
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, RLELossless

from hemodetect.imaging.budget import Budget
from hemodetect.imaging.dicom import read_dicom
from hemodetect.phantom import Bleed, head_phantom
from hemodetect.phantom.files import dicom_files
from hemodetect.settings import Settings

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    slices = parser.parse_args().slices
    phantom = head_phantom(
        [Bleed("intraparenchymal", 30)], slices=15, size=512, slice_spacing_mm=10,
        pixel_spacing_mm=0.45,
    )  # fmt: skip
    plain = [data for _, data in dicom_files(phantom)]
    kinds = {
        "RLE": [_compressed(data, RLELossless) for data in plain],
        "JPEG 2000 lossless": [_compressed(data, JPEG2000Lossless) for data in plain],
        "JPEG lossless": [_jpeg_lossless(data) for data in plain],
    }
    for name, files in kinds.items():
        many = (files * (slices // len(files) + 1))[:slices]
        seconds = {
            workers: min(_seconds(many, workers) for _ in range(ROUNDS)) for workers in (1, 2)
        }
        print(
            f"{name}: {slices} slices, one thread {seconds[1]:.2f} s, two threads {seconds[2]:.2f} s,"
            f" ratio {seconds[1] / seconds[2]:.2f}"
        )


def _seconds(files: list[bytes], workers: int) -> float:
    limits = replace(Settings(), pseudonym_key="key of the benchmark")
    read = partial(read_dicom, name="slice", budget=Budget(limits))
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(read, files):
            pass
    return time.perf_counter() - started


def _compressed(data: bytes, syntax: str) -> bytes:
    data_set, buffer = dcmread(io.BytesIO(data)), io.BytesIO()
    data_set.compress(syntax, encoding_plugin="pylibjpeg")
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _jpeg_lossless(data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "plain.dcm", Path(folder) / "compressed.dcm"
        source.write_bytes(data)
        reader, change, writer = (
            gdcm.ImageReader(),
            gdcm.ImageChangeTransferSyntax(),
            gdcm.ImageWriter(),
        )
        reader.SetFileName(str(source))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return target.read_bytes()


if __name__ == "__main__":
    main()
