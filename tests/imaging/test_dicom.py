"""One DICOM file becomes slices in HU or grey, in every transfer syntax that CT comes in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import in_syntax, jpeg_baseline
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from hemodetect.errors import UnreadableFile

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture
def values(read):
    """Values of the only slice."""
    return lambda source: read(source)[0].slice.values


def test_an_uncompressed_ct_image_gives_int16_hu(read, ct, head):
    (decoded,) = read(ct(head))
    assert decoded.slice.units == "HU"
    assert decoded.slice.values.dtype == np.int16
    assert not decoded.slice.values.flags.writeable
    np.testing.assert_array_equal(decoded.slice.values, head)


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
    (decoded,) = read(data_set)
    assert decoded.slice.units == "grey"
    assert np.abs(decoded.slice.values.astype(int) - grey_head).max() < 12


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
    grey = values(data_set)
    assert (grey[0, 0], grey[1, 1], grey[2, 2], grey[3, 3]) == (0, 128, 255, 255)


def test_a_colour_capture_becomes_grey_and_is_set_aside(read, ct):
    colour = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    (decoded,) = read(ct(colour, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    assert decoded.set_aside == "secondary capture"
    assert (decoded.slice.values == 76).all()


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
    """Three frames out of order; functional groups hold their positions and their rescale."""
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
    frames = read(data_set)
    assert [f.slice.source for f in frames] == ["a.dcm#1", "a.dcm#2", "a.dcm#3"]
    geometry = [f.slice.geometry for f in frames]
    assert [g.position_mm for g in geometry] == [6, 0, 3]
    assert {(g.row_spacing_mm, g.column_spacing_mm, g.thickness_mm) for g in geometry} == {
        (0.4, 0.6, 3)
    }
    for index, (item, intercept) in enumerate(zip(frames, (0, 10, 20), strict=True)):
        np.testing.assert_array_equal(item.slice.values, head + index + intercept)


def test_a_file_without_preamble_is_read(read, ct, head):
    buffer = io.BytesIO()
    data_set = ct(head)
    del data_set.file_meta
    data_set.save_as(buffer, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read(buffer.getvalue())[0].slice.values, head)
