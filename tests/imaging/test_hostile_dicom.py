"""DICOM files that are cut short, and small files that state or hide something huge."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_files import in_syntax, jpeg_baseline
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.dicom import read_dicom


@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
def test_a_file_cut_short_is_refused(read, ct, as_bytes, part):
    data = as_bytes(ct())
    with pytest.raises(UnreadableFile, match=r"ends|damaged|not marked as CT"):
        read(data[: int(len(data) * part)])


def test_a_compressed_image_cut_short_is_refused(read, ct, head):
    data_set = ct(head)
    data_set.compress(JPEG2000Lossless, generate_instance_uid=False)
    whole = next(pydicom.encaps.generate_frames(data_set.PixelData, number_of_frames=1))
    data_set.PixelData = encapsulate([whole[: len(whole) // 2]])
    with pytest.raises(UnreadableFile, match="compressed image ends too early"):
        read(data_set)


def peak_of_refusal(read, data, match: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match=match):
            read(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_that_states_a_huge_image_is_refused_before_decoding(read, ct):
    data_set = ct(Rows=65_000, Columns=65_000)
    assert peak_of_refusal(read, data_set, "65,000 x 65,000 pixels are more") < 5_000_000


def test_a_header_that_states_many_frames_is_refused_before_decoding(read, ct):
    assert peak_of_refusal(read, ct(NumberOfFrames=2_000_000_000), "2,000,000,000 frames") < 5e6


def test_a_deflate_bomb_is_refused_before_it_is_inflated(read, ct, as_bytes, limits):
    bomb = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    inner = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    data = in_syntax(ct(), DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + struct.unpack_from("<I", data, 140)[0]
    assert peak_of_refusal(read, data[:start] + inner, "deflate bomb") < 100 << 20


def test_a_jpeg_larger_than_its_header_states_is_refused_before_decoding(read, ct, grey_head):
    data_set = jpeg_baseline(ct, grey_head)
    at = data_set.PixelData.index(b"\xff\xc0") + 5
    lying = bytearray(data_set.PixelData)
    lying[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    data_set.PixelData = bytes(lying)
    assert peak_of_refusal(read, data_set, "65,000 x 65,000 pixels, where the header") < 5e6


def test_a_jpeg_2000_larger_than_its_header_states_is_refused(read, ct, head):
    data_set = ct(head)
    data_set.compress(JPEG2000Lossless, generate_instance_uid=False)
    at = data_set.PixelData.index(b"\xff\x4f\xff\x51") + 8
    lying = bytearray(data_set.PixelData)
    lying[at : at + 8] = struct.pack(">II", 60_000, 60_000)
    lying[at + 16 : at + 24] = struct.pack(">II", 60_000, 60_000)
    data_set.PixelData = bytes(lying)
    assert peak_of_refusal(read, data_set, "60,000 x 60,000 pixels, where the header") < 5e6


def test_a_second_frame_header_in_a_jpeg_is_refused(read, ct, grey_head):
    data_set = jpeg_baseline(ct, grey_head)
    buffer = io.BytesIO()
    Image.fromarray(grey_head).save(buffer, "JPEG")
    once = buffer.getvalue()
    trap = once[:-2] + b"\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00" + once[-2:]
    data_set.PixelData = encapsulate([trap])
    with pytest.raises(UnreadableFile, match="damaged"):
        read(data_set)


def test_run_lengths_that_unpack_to_more_than_the_image_are_refused(read, ct, head):
    data_set = ct(head)
    segment = b"\x81\0" * 4_000  # 128 zeros each, 512,000 bytes for an image of 6,144
    offsets = struct.pack("<16I", 2, 64, 64 + len(segment), *([0] * 13))
    data_set.PixelData = encapsulate([offsets + segment + segment])
    data_set.file_meta.TransferSyntaxUID = RLELossless
    assert peak_of_refusal(read, data_set, "damaged") < 5e6


def test_a_header_of_endless_elements_is_given_up(read, ct, as_bytes):
    data = as_bytes(ct())
    start = 132 + 12 + struct.unpack_from("<I", data, 140)[0]
    element = struct.pack("<HH2sH", 9, 1, b"LO", 0)
    with pytest.raises(UnreadableFile, match="far too many elements"):
        read(data[:start] + element * 1_000_000)


def test_fragments_that_are_none_are_refused(read, ct, as_bytes, head):
    data_set = ct(head)
    data_set.compress(RLELossless, generate_instance_uid=False)
    data = bytearray(as_bytes(data_set))
    second_item = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xfe\xff\x00\xe0") + 4)
    data[second_item + 2] = 7
    with pytest.raises(UnreadableFile, match="damaged"):
        read(bytes(data))


def test_slices_of_a_study_are_limited_together(read, ct, head, limits):
    two = ct(np.stack([head, head]))
    assert len(read(two, replace(limits, max_slices=2))) == 2
    with pytest.raises(UnreadableFile, match="HEMODETECT_MAX_SLICES"):
        read(two, replace(limits, max_slices=1))
    with pytest.raises(UnreadableFile, match="HEMODETECT_MAX_STUDY_BYTES"):
        read(two, replace(limits, max_study_bytes=10_000))


def test_a_refused_file_gives_its_room_back(ct, head, limits, as_bytes):
    budget = Budget(replace(limits, max_slices=3))
    cut = as_bytes(ct(np.stack([head] * 3)))[:-100]
    with pytest.raises(UnreadableFile):
        read_dicom(cut, "cut.dcm", budget)
    assert len(read_dicom(as_bytes(ct(head)), "whole.dcm", budget)) == 1
