"""`read_study`: a folder of any content becomes a `Study`, or is refused with a sentence."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import threading
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from hemodetect.errors import EmptyStudy, HemodetectError
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.study import Study


@pytest.fixture
def read(limits):
    """Reads {name: bytes} as an upload."""

    def read_(files: dict[str, bytes], limits_=limits, progress=None) -> Study:
        uploads = [UploadedFile(name, data) for name, data in files.items()]
        return read_study(uploads, limits_, progress)

    return read_


@pytest.fixture
def series_files(ct, as_bytes, head):
    """Five CT files; their names are in reverse order."""
    return {f"{9 - n}.dcm": as_bytes(ct(head + n, z=5.0 * n)) for n in range(5)}


def test_a_mixed_folder_is_read_and_every_stranger_accounted_for(
    read, series_files, ct, as_bytes, picture, grey_head
):
    scout = as_bytes(ct(z=99, SeriesInstanceUID="1.9", ImageType=["ORIGINAL", "X", "LOCALIZER"]))
    study = read(
        series_files
        | {
            "scout.dcm": scout,
            "screen.png": picture(grey_head),
            "letter.dcm": b"Dear colleague",
            "DICOMDIR": b"\0\1",
            "Thumbs.db": b"\0\1",
        }
    )
    assert [s.source for s in study.slices] == ["9.dcm", "8.dcm", "7.dcm", "6.dcm", "5.dcm"]
    assert study.units == "HU"
    reasons = [s.set_aside for s in study.series]
    assert reasons[0] is None
    assert sorted(reasons[1:]) == ["localizer", "picture beside CT slices"]
    assert [(r.file, "holds text" in r.reason) for r in study.refused] == [("letter.dcm", True)]
    assert study.ignored == 2


def test_the_reader_can_choose_another_series(read, series_files, picture, grey_head):
    study = read(series_files | {"screen.png": picture(grey_head)})
    assert study.choosing(1).units == "grey"
    assert study.choosing(1).slices[0].source == "screen.png"


def test_a_dicomdir_under_another_name_is_passed_over(read, series_files, ct, as_bytes):
    directory = ct()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.SOPClassUID = "1.2.840.10008.1.3.10"
    study = read(series_files | {"index": as_bytes(directory)})
    assert (study.ignored, study.refused) == (1, ())


def test_the_same_study_has_the_same_id_as_folder_zip_and_upload(
    read, series_files, limits, tmp_path
):
    (tmp_path / "scan").mkdir()
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for name, data in series_files.items():
            (tmp_path / "scan" / name).write_bytes(data)
            archive.writestr(f"scan/{name}", data)
    studies = [
        read(series_files),
        read_study(tmp_path / "scan", limits),
        read_study(tmp_path / "scan.zip", limits),
    ]
    assert len({study.id for study in studies}) == 1
    assert len({tuple(s.source for s in study.slices) for study in studies}) == 1
    assert len({study.series[0].id for study in studies}) == 1


def test_pictures_have_an_id_of_their_contents(read, picture, grey_head):
    files = {f"{n}.png": picture(grey_head + n) for n in range(3)}
    renamed = {f"x{name}": data for name, data in files.items()}
    assert read(files).id == read(renamed).id
    assert read(files).id != read(files | {"3.png": picture(grey_head + 9)}).id


def test_progress_counts_files_in_the_calling_thread(read, picture, grey_head):
    reported = []
    files = {f"{n}.png": picture(grey_head + n) for n in range(20)}
    read(files, progress=lambda *counts: reported.append((counts, threading.current_thread())))
    assert [counts for counts, _ in reported] == [(n, 20) for n in range(1, 21)]
    assert {thread for _, thread in reported} == {threading.current_thread()}


def test_what_progress_raises_ends_the_reading(read, picture, grey_head):
    class CancelledError(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        read({f"{n}.png": picture(grey_head) for n in range(20)}, progress=cancel)


# Bad input, as a person gives it.


def test_an_empty_folder_says_so(tmp_path, limits):
    with pytest.raises(EmptyStudy, match="no files in it"):
        read_study(tmp_path, limits)


def test_a_folder_without_images_says_what_was_refused_and_why(read):
    with pytest.raises(EmptyStudy, match=r"a\.dcm: It holds text.*1 file without an image"):
        read({"a.dcm": b"text", "b.txt": b"text"})


def test_one_slice_is_a_study(read, picture, grey_head):
    study = read({"only.png": picture(grey_head)})
    assert len(study.slices) == 1
    assert study.series[0].description == "1 picture, 30 x 40"


def test_two_thousand_slices_are_read_in_order(read, picture):
    files = {
        f"s{n}.png": picture(np.full((4, 4), n % 251, np.uint8), compress_level=0)
        for n in reversed(range(2000))
    }
    study = read(files)
    assert [int(s.values[0, 0]) for s in study.slices] == [n % 251 for n in range(2000)]


def test_truncated_files_are_refused_and_the_rest_is_read(
    read, series_files, ct, as_bytes, picture, grey_head
):
    jpeg = picture(grey_head, "JPEG")
    dicom = as_bytes(ct(z=70))
    study = read(
        series_files | {"cut.jpg": jpeg[: len(jpeg) // 2], "cut.dcm": dicom[: len(dicom) // 2]}
    )
    assert len(study.slices) == 5
    reasons = {r.file: r.reason for r in study.refused}
    assert "ends too early" in reasons["cut.jpg"]
    assert "ends too early" in reasons["cut.dcm"] or "ends before" in reasons["cut.dcm"]


def test_a_chest_radiograph_is_refused_by_its_modality(read, ct, as_bytes):
    chest = as_bytes(ct(Modality="CR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1"))
    with pytest.raises(EmptyStudy, match=r"plain radiograph \(CR\); only head CT is read"):
        read({"chest.dcm": chest})


def test_an_animated_gif_is_refused(read, picture, grey_head):
    frames = [Image.fromarray(grey_head), Image.fromarray(255 - grey_head)]
    gif = picture(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(EmptyStudy, match="GIF pictures"):
        read({"scroll.gif": gif})


def test_the_pages_of_a_tiff_are_slices(read, picture, grey_head):
    pages = [Image.fromarray(grey_head + n) for n in range(3)]
    study = read({"stack.tif": picture(pages[0], "TIFF", save_all=True, append_images=pages[1:])})
    assert [s.source for s in study.slices] == ["stack.tif#1", "stack.tif#2", "stack.tif#3"]
    assert [int(s.values[20, 15]) for s in study.slices] == [120, 121, 122]


def test_a_series_over_the_limit_is_not_read_in_part(read, picture, grey_head, limits):
    files = {f"{n}.png": picture(grey_head) for n in range(5)}
    with pytest.raises(EmptyStudy, match="Its series of 5 slices was left out whole"):
        read(files, replace(limits, max_slices=3))


def test_what_a_limit_left_out_is_the_same_every_time_and_is_said(read, picture, grey_head, limits):
    files = {f"a/{n}.png": picture(grey_head) for n in range(20)}
    files |= {f"b/{n}.png": picture(grey_head + 1) for n in range(30)}
    for _ in range(5):
        study = read(files, replace(limits, max_slices=40))
        assert [s.source for s in study.slices] == [f"b/{n}.png" for n in range(30)]
        assert len(study.refused) == 20
        assert "Not read: 1 series of this study, 20 slices" in study.left_out
        assert study.left_out in study.cautions


def test_decoded_pixels_are_limited_however_well_they_pack(read, picture, limits):
    blank = picture(Image.new("L", (1000, 1000)))
    with pytest.raises(EmptyStudy, match="HEMODETECT_MAX_STUDY_BYTES"):
        read({"1.png": blank}, replace(limits, max_study_bytes=500_000))


# Nothing that tells who, where or when leaves the reader.

IDENTIFYING = {
    "PatientName": "Zzyzx^Quentin",
    "PatientID": "ID-Qq77231",
    "PatientBirthDate": "19440229",
    "PatientAddress": "Qwertz Lane 12",
    "StudyDate": "20190331",
    "StudyTime": "031415",
    "StudyDescription": "HEAD Xylophon accident",
    "SeriesDescription": "for Dr Vvandermeer",
    "ImageComments": "brother of Kkowalski",
    "PatientComments": "lives in Llanfairpwll",
    "InstitutionName": "Hhospital Oof Xanadu",
    "AccessionNumber": "ACC-Pp9182",
    "StationName": "Ssscanner5",
    "ReferringPhysicianName": "Jjekyll^Henry",
    "ProtocolName": "Pprotocol Ulysses",
    "StudyID": "STUD-4uU",
    "StudyInstanceUID": "1.2.777888999.1",
    "SeriesInstanceUID": "1.2.777888999.2",
    "SOPInstanceUID": "1.2.777888999.3",
    "ConvolutionKernel": "Kkernel Qonfidential",
}


NUMBER = "123456789.1234"
NAME_FOR_NUMBER = "Zzyzx^Quentins"


def identifying(ct, as_bytes, **attributes) -> bytes:
    """A CT file full of identifying text; a name replaces `NUMBER`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = ct(**(IDENTIFYING | attributes))
        data_set.file_meta.SourceApplicationEntityTitle = "AE_Oophelia"
        data_set.preamble = b"Preamble of Hhamlet".ljust(128, b"\0")
        private = data_set.private_block(0x0019, "Vvendor Private", create=True)
        private.add_new(0x01, "LO", "private Rrosencrantz")
        request = Dataset()
        request.RequestedProcedureDescription = "asked by Gguildenstern"
        data_set.RequestAttributesSequence = Sequence([request])
        # Codes that are read, misused for names.
        data_set.ImageType = ["ORIGINAL", "PRIMARY", "Ffortinbras in a code"]
        data_set.BodyPartExamined = "Llaertes^head"
        data_set.SpecificCharacterSet = "Ccharset Yorick"
        data = as_bytes(data_set)
    return data.replace(NUMBER.encode(), NAME_FOR_NUMBER.encode())


def marks() -> list[str]:
    misused = ["Oophelia", "Hhamlet", "Rrosencrantz", "Gguildenstern", "Ffortinbras", "Llaertes"]
    return [*IDENTIFYING.values(), *misused, "Yorick", "Vvendor"]


def test_no_header_text_survives_in_a_study_a_reason_or_the_log(limits, ct, as_bytes, caplog):
    whole = identifying(ct, as_bytes)
    spoilt = identifying(ct, as_bytes, SliceThickness=NUMBER, SOPInstanceUID="1.2.3")
    refused = identifying(ct, as_bytes, PhotometricInterpretation="Qwertz Lane 12")
    assert [mark for mark in marks() if mark.encode() not in whole] == []
    assert spoilt.count(NAME_FOR_NUMBER.encode()) == 1
    files = [UploadedFile(f"{n}.dcm", data) for n, data in enumerate((whole, spoilt, refused))]
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study = read_study(files, limits)
    messages = (
        [str(w.message) for w in caught] + caplog.messages + [r.reason for r in study.refused]
    )
    everything = pickle.dumps(study) + repr(study).encode() + "\n".join(messages).encode()
    assert (sum(len(s.slices) for s in study.series), len(study.refused)) == (2, 1)
    assert [mark for mark in marks() if mark.encode() in everything] == []


def test_the_sentence_of_an_empty_study_quotes_no_header(limits, ct, as_bytes, caplog):
    data = identifying(ct, as_bytes, Modality="Zzyzx^Quentin")
    with caplog.at_level(logging.DEBUG), pytest.raises(EmptyStudy) as caught:
        read_study([UploadedFile("1.dcm", data)], limits)
    assert "only head CT is read" in str(caught.value)
    assert [mark for mark in marks() if mark in str(caught.value) + caplog.text] == []


# Malformed files: whatever is done to the bytes, a study or a sentence comes back.


def samples(ct, as_bytes, picture, head, grey_head) -> list[bytes]:
    files = [as_bytes(ct(head)), picture(grey_head, "JPEG"), picture(grey_head)]
    files.append(picture(grey_head, "TIFF"))
    for syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        data_set = ct((head + 1024).astype(np.uint16), RescaleIntercept=-1024)
        data_set.compress(syntax, generate_instance_uid=False)
        files.append(as_bytes(data_set))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", files[2])
    return [*files, buffer.getvalue()]


CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF])), max_size=6
)


@seed(20190331)
@examples(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, 7), changes=CHANGES, keep=st.floats(0.3, 1), extra=st.binary(max_size=9)
)
def test_malformed_files_give_a_study_or_a_sentence(
    limits, ct, as_bytes, picture, head, grey_head, which, changes, keep, extra
):
    whole = samples(ct, as_bytes, picture, head, grey_head)[which]
    data = bytearray(whole)
    for place, value in changes:
        data[min(int(place * len(data)), len(data) - 1)] = value
    data = data[: int(len(data) * keep)] + extra
    with contextlib.suppress(HemodetectError):
        study = read_study([UploadedFile("a", bytes(data))], limits)
        assert study.slices
        assert all(s.values.ndim == 2 and s.values.size for s in study.slices)


# The real sets.


@pytest.mark.realdata
def test_the_tilted_ge_head_is_ordered_along_its_normal(ge_head, limits):
    study = read_study(ge_head, limits)
    assert [s.source for s in study.slices] == [f"{n:02}.dcm" for n in range(1, 29)]
    geometry = [s.geometry for s in study.slices]
    gaps = np.diff([g.position_mm for g in geometry]).round(1)
    np.testing.assert_allclose(gaps[:13], 4)
    np.testing.assert_allclose(gaps[14:], 7)
    tilt = np.degrees(np.arccos(geometry[0].normal[2]))
    assert tilt == pytest.approx(18.5, abs=0.05)
    assert {s.values.dtype for s in study.slices} == {np.dtype(np.int16)}
    assert min(int(s.values.min()) for s in study.slices) >= -1024


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "counts"),
    [
        ("NORMAL/N6[N6]", [135]),
        ("Hemorrhagic/KANAMA/15[15]", [195, 1]),
        ("Hemorrhagic/KANAMA/19[19]", [23]),
    ],
)
def test_the_folders_of_near_east_are_read_whole(near_east, limits, folder, counts):
    study = read_study(near_east / folder, limits)
    assert [len(series.slices) for series in study.series] == counts
    assert (study.refused, study.ignored, study.units) == ((), 0, "grey")
