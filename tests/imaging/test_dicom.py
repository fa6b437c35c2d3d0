"""One DICOM file becomes slices in HU or grey, in every transfer syntax that CT comes in."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.dicom import read_dicom

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture
def read(limits, as_bytes):
    """Reads a data set or a file's bytes to what was found."""

    def read_(source: Dataset | bytes, limits_=limits):
        data = source if isinstance(source, bytes) else as_bytes(source)
        return read_dicom(data, "a.dcm", Budget(limits_))

    return read_


@pytest.fixture
def values(read):
    """Values of the only slice."""
    return lambda source: read(source)[0].slice.values


def in_syntax(data_set: Dataset, syntax: str, little: bool = True) -> bytes:
    """The uncompressed data set in another uncompressed transfer syntax."""
    buffer = io.BytesIO()
    data_set.file_meta.TransferSyntaxUID = syntax
    if not little:
        pixels = np.frombuffer(data_set.PixelData, "<i2")
        data_set.PixelData = pixels.astype(">i2").tobytes()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_an_uncompressed_ct_image_gives_int16_hu(read, ct, head):
    (found,) = read(ct(head))
    assert found.slice.units == "HU"
    assert found.slice.values.dtype == np.int16
    assert not found.slice.values.flags.writeable
    np.testing.assert_array_equal(found.slice.values, head)


@pytest.mark.parametrize(
    ("syntax", "little"),
    [
        (ImplicitVRLittleEndian, True),
        (ExplicitVRBigEndian, False),
        (DeflatedExplicitVRLittleEndian, True),
    ],
)
def test_other_uncompressed_syntaxes_give_the_same_values(values, ct, head, syntax, little):
    np.testing.assert_array_equal(values(in_syntax(ct(head), syntax, little)), head)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_losslessly_compressed_syntaxes_give_the_same_values(values, ct, head, syntax):
    data_set = ct((head + 1024).astype(np.uint16), RescaleIntercept=-1024)
    data_set.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(values(data_set), head)


def test_signed_values_survive_jpeg_2000(values, ct, head):
    data_set = ct(head)
    data_set.compress(JPEG2000Lossless, generate_instance_uid=False)
    np.testing.assert_array_equal(values(data_set), head)


def test_jpeg_lossless_gives_the_same_values(values, ct, head, as_bytes, tmp_path):
    gdcm = pytest.importorskip("gdcm", reason="python-gdcm writes the JPEG lossless test file")
    plain, lossless = tmp_path / "plain.dcm", tmp_path / "lossless.dcm"
    plain.write_bytes(as_bytes(ct((head + 1024).astype(np.uint16), RescaleIntercept=-1024)))
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(lossless))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(lossless).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    np.testing.assert_array_equal(values(lossless.read_bytes()), head)


def test_jpeg_baseline_is_grey_because_8_bits_hold_no_hu(read, ct, grey_head):
    data_set = jpeg_baseline(ct, grey_head)
    (found,) = read(data_set)
    assert found.slice.units == "grey"
    assert np.abs(found.slice.values.astype(int) - grey_head).max() < 12


def jpeg_baseline(ct, grey_head: np.ndarray, **attributes) -> Dataset:
    buffer = io.BytesIO()
    Image.fromarray(grey_head).save(buffer, "JPEG", quality=95)
    data_set = ct(grey_head, PixelData=encapsulate([buffer.getvalue()]), **attributes)
    data_set.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return data_set


def test_jpeg_extended_of_12_bits_is_decoded(values):
    data_set = pydicom.dcmread(BUNDLED / "JPGExtended.dcm")
    assert data_set.file_meta.TransferSyntaxUID in JPEGTransferSyntaxes
    data_set.Modality, data_set.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
    data_set.RescaleSlope, data_set.RescaleIntercept, data_set.RescaleType = 1, -1024, "HU"
    decoded = values(data_set)
    assert decoded.shape == (1024, 256)
    assert (decoded.min(), decoded.max()) == (-1024, 264 - 1024)


def test_an_unknown_compression_is_refused(read, ct):
    data_set = ct(PixelData=encapsulate([b"\0\0"]))
    data_set.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    with pytest.raises(UnreadableFile, match="compression is not read"):
        read(data_set)


def test_whole_rescale_that_outgrows_int16_gives_float32(values, ct, head):
    scaled = values(ct(head, RescaleSlope=40))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, head.astype(np.float32) * 40)


def test_fractional_rescale_gives_float32(values, ct, head):
    np.testing.assert_allclose(
        values(ct(head, RescaleSlope=0.5, RescaleIntercept=-3.25)), head * 0.5 - 3.25
    )


@pytest.mark.parametrize("slope", [0, 1e30])
def test_a_rescale_that_cannot_be_is_refused(read, ct, slope):
    with pytest.raises(UnreadableFile, match="give no Hounsfield units"):
        read(ct(RescaleSlope=slope))


def test_padding_becomes_air(values, ct, head):
    padded = head.copy()
    padded[:4] = -2000
    assert (values(ct(padded, PixelPaddingValue=-2000))[:4] == -1024).all()


def test_a_range_of_padding_becomes_air(values, ct, head):
    padded = head.copy()
    padded[:4], padded[4:6] = -2000, -1900
    data_set = ct(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1900)
    assert (values(data_set)[:6] == -1024).all()


def test_padding_written_with_the_wrong_sign_is_understood(values, ct, head, as_bytes):
    padded = head.copy()
    padded[:4] = -2000
    data_set = ct(padded)
    data_set.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert (values(data_set)[:4] == -1024).all()


def test_padding_that_would_be_water_is_not_believed(values, ct):
    water = np.zeros((16, 16), np.int16)
    assert not values(ct(water, PixelPaddingValue=0)).any()


def test_bits_beyond_those_stored_are_masked(values, ct, head):
    stored = (head + 1024).astype(np.uint16)
    overlaid = stored.copy()
    overlaid[10, 10] |= 0x8000
    data_set = ct(overlaid, BitsStored=12, HighBit=11, RescaleIntercept=-1024)
    np.testing.assert_array_equal(values(data_set), head)


def test_monochrome1_without_hu_is_inverted(values, ct, grey_head):
    data_set = ct(grey_head, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(values(data_set), 255 - grey_head)


def test_monochrome1_with_hu_keeps_its_hu(values, ct, head):
    data_set = ct(head, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(values(data_set), head)


@pytest.mark.parametrize(
    ("attributes", "units"),
    [
        ({}, "HU"),
        ({"RescaleType": "HU"}, "HU"),
        ({"RescaleType": "OD"}, "grey"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "HU"),
        ({"RescaleSlope": None, "RescaleIntercept": None, "ImageType": ["DERIVED"]}, "grey"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "grey"),
    ],
)
def test_hu_are_claimed_only_where_the_header_grants_them(read, ct, attributes, units):
    assert read(ct(**attributes))[0].slice.units == units


def test_grey_goes_through_the_window_of_the_header(values, ct):
    ramp = np.arange(0, 160, 10, dtype=np.int16).reshape(4, 4)
    data_set = ct(ramp, RescaleType="OD", WindowCenter=50, WindowWidth=100)
    shown = values(data_set)
    assert (shown[0, 0], shown[1, 1], shown[2, 2], shown[3, 3]) == (0, 128, 255, 255)


def test_a_colour_capture_becomes_grey_and_is_set_aside(read, ct):
    colour = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    (found,) = read(ct(colour, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    assert found.set_aside == "secondary capture"
    assert (found.slice.values == 76).all()


@pytest.mark.parametrize(
    ("image_type", "reason"),
    [
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer"),
        (["DERIVED", "SECONDARY", "MIP"], "projection or rendering"),
        (["DERIVED", "SECONDARY", "PERFUSION", "CBF"], "computed map"),
        (["DERIVED", "SECONDARY", "SCREEN SAVE"], "secondary capture"),
        (["ORIGINAL", "PRIMARY", "AXIAL"], None),
    ],
)
def test_the_image_type_sets_aside_what_is_not_a_slice(read, ct, image_type, reason):
    assert read(ct(ImageType=image_type))[0].set_aside == reason


@pytest.mark.parametrize(
    ("modality", "name"), [("CR", "radiograph"), ("DX", "radiograph"), ("MR", "magnetic")]
)
def test_another_modality_such_as_a_chest_radiograph_is_refused(read, ct, modality, name):
    with pytest.raises(UnreadableFile, match=f"{name}.*only head CT is read"):
        read(ct(Modality=modality, SOPClassUID="1.2.840.10008.5.1.4.1.1.1"))


def enhanced(ct, head: np.ndarray) -> Dataset:
    """Three frames whose place and rescale stand in functional groups, frames out of order."""
    data_set = ct(
        np.stack([head, head + 1, head + 2]),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        SliceThickness=None,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.4, 0.6]
    shared.PixelMeasuresSequence[0].SliceThickness = 3
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data_set.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for z, intercept in ((6, 0), (0, 10), (3, 20)):
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([Dataset()])
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, z]
        frame.PixelValueTransformationSequence = Sequence([Dataset()])
        frame.PixelValueTransformationSequence[0].RescaleSlope = 1
        frame.PixelValueTransformationSequence[0].RescaleIntercept = intercept
        frame.PixelValueTransformationSequence[0].RescaleType = "HU"
        frames.append(frame)
    data_set.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return data_set


@pytest.mark.parametrize("compressed", [False, True])
def test_each_frame_of_an_enhanced_image_has_its_own_place_and_rescale(read, ct, head, compressed):
    data_set = enhanced(ct, head)
    if compressed:
        data_set.compress(RLELossless, generate_instance_uid=False)
    found = read(data_set)
    assert [f.slice.source for f in found] == ["a.dcm#1", "a.dcm#2", "a.dcm#3"]
    geometry = [f.slice.geometry for f in found]
    assert [g.position_mm for g in geometry] == [6, 0, 3]
    assert {(g.row_spacing_mm, g.column_spacing_mm, g.thickness_mm) for g in geometry} == {
        (0.4, 0.6, 3)
    }
    for index, (item, intercept) in enumerate(zip(found, (0, 10, 20), strict=True)):
        np.testing.assert_array_equal(item.slice.values, head + index + intercept)


def test_a_file_without_preamble_is_read(read, ct, head):
    buffer = io.BytesIO()
    data_set = ct(head)
    del data_set.file_meta
    data_set.save_as(buffer, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read(buffer.getvalue())[0].slice.values, head)


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


# What follows attacks memory: each file is small and states or hides something huge.


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
