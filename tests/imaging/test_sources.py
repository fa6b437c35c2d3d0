"""Folders, zips and uploads are listed within the limits, and nothing leads outside."""

from __future__ import annotations

import io
import os
import stat
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hemodetect.errors import EmptyStudy, UnreadableFile
from hemodetect.imaging.archives import Archive
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.sources import UploadedFile, display_name, open_listing

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def listing(limits):
    """Lists a path or uploads, and reads every entry whole: ({name: data}, {name: reason}, n)."""

    def list_(files, limits_=limits):
        with open_listing(files, limits_, Budget(limits_)) as opened:
            read = {entry.name: entry.read(entry.size) for entry in opened.entries}
            return read, {r.file: r.reason for r in opened.refused}, opened.ignored

    return list_


def upload(name: str, data: bytes = PNG) -> UploadedFile:
    return UploadedFile(name, data)


def test_a_folder_its_upload_and_its_zip_give_the_same_names(listing, tmp_path):
    folder = tmp_path / "scan"
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    names = ["scan/a/1.png", "scan/a/2.png", "scan/b/1.png"]
    packed = tmp_path / "scan.zip"
    packed.write_bytes(zipped(dict.fromkeys(names, PNG)))
    expected = {"a/1.png": PNG, "a/2.png": PNG, "b/1.png": PNG}
    assert listing(folder)[0] == expected
    assert listing([upload(name) for name in names])[0] == expected
    assert listing(packed)[0] == expected
    assert listing([upload("scan.zip", packed.read_bytes())])[0] == expected


def test_a_single_file_is_a_study(listing, tmp_path):
    (tmp_path / "1.png").write_bytes(PNG)
    assert listing(tmp_path / "1.png")[0] == {"1.png": PNG}


def test_a_path_that_does_not_exist_is_named(listing, tmp_path):
    with pytest.raises(EmptyStudy, match=r"gone: no such file or folder"):
        listing(tmp_path / "gone")


def test_what_lies_beside_slices_is_passed_over_in_silence(listing):
    beside = {
        "DICOMDIR": b"\1\2\0",
        "Thumbs.db": b"\xd0\xcf\0",
        "notes.txt": b"normal",
        ".DS_Store": b"\0\0\0\1Bud1",
        "__MACOSX/._1.png": PNG,
        "viewer/run.exe": b"MZ\0",
        "README": b"How to open these images",
    }
    read, refused, ignored = listing([upload("1.png"), *(upload(n, d) for n, d in beside.items())])
    assert (list(read), refused, ignored) == (["1.png"], {}, len(beside))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("1.dcm", b"This is a text, not an image.", "holds text"),
        ("2.png", b"", "is empty"),
        ("3.gif", b"GIF89a\1\0", "GIF pictures"),
        ("4.bmp", b"BM\0\0\0\0", "BMP pictures"),
        ("5.rar", b"Rar!\x1a\7\0", "RAR archives"),
        ("6.xyz", b"\1\2\3\0\4", "neither DICOM, NIfTI, JPEG"),
        ("7.webp", b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
    ],
)
def test_strangers_are_refused_with_a_reason(listing, name, data, reason):
    assert reason in listing([upload(name, data)])[1][name]


def test_a_file_is_known_by_its_content_not_its_name(listing):
    dicom = bytes(128) + b"DICM" + b"\2\0\0\0"
    assert set(listing([upload("picture.txt"), upload("IM0001", dicom)])[0]) == {
        "picture.txt",
        "IM0001",
    }


def test_symbolic_links_in_a_folder_are_refused(listing, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "2.png").write_bytes(PNG)
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(secret / "2.png")
    (folder / "linked").symlink_to(secret)
    read, refused, _ = listing(folder)
    assert set(read) == {"1.png"}
    assert set(refused) == {"link.png", "linked"}
    assert all("symbolic link" in reason for reason in refused.values())


def test_a_file_swapped_for_a_link_after_listing_is_refused(limits, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    with open_listing(folder, limits, Budget(limits)) as opened:
        (folder / "1.png").unlink()
        (folder / "1.png").symlink_to(tmp_path / "secret.png")
        with pytest.raises(UnreadableFile, match="symbolic link"):
            opened.entries[0].read(100)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(listing, tmp_path):
    os.mkfifo(tmp_path / "1.png")
    assert "not a regular file" in listing(tmp_path)[1]["1.png"]


@pytest.mark.parametrize(
    "name", ["../1.png", "a/../../1.png", "/etc/1.png", "C:\\1.png", "..\\1.png", "a/..\\1.png"]
)
def test_a_zip_entry_that_leads_outside_is_refused(listing, name):
    read, refused, _ = listing([upload("scan.zip", zipped({name: PNG, "ok.png": PNG}))])
    assert len(read) == 1
    assert ["leads out of the archive" in reason for reason in refused.values()] == [True]


def test_a_symbolic_link_in_a_zip_is_refused(listing):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in listing([upload("s.zip", buffer.getvalue())])[1]["s.zip/link.png"]


def test_an_encrypted_entry_is_refused(listing):
    data = bytearray(zipped({"1.png": PNG}))
    data[6] |= 1  # local header
    data[data.index(b"PK\1\2") + 8] |= 1  # directory
    assert "encrypted" in listing([upload("s.zip", bytes(data))])[1]["s.zip/1.png"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_read_in_pieces_is_refused(listing, method):
    refused = listing([upload("s.zip", zipped({"1.png": PNG}, method))])[1]
    assert "other than Deflate" in refused["s.zip/1.png"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(listing):
    bomb = zipped({"1.png": PNG + bytes(300 << 20)})
    tracemalloc.start()
    try:
        _, refused, _ = listing([upload("s.zip", bomb)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "times its packed size" in refused["s.zip/1.png"]
    assert peak < 5_000_000


def test_a_zip_that_unpacks_to_more_than_a_study_is_refused_whole(listing, limits):
    small = replace(limits, max_study_bytes=1000)
    data = zipped({f"{i}.png": PNG + os.urandom(300) for i in range(5)})
    _, refused, _ = listing([upload("s.zip", data)], small)
    assert "HEMODETECT_MAX_STUDY_BYTES" in refused["s.zip"]


def test_an_entry_that_unpacks_to_more_than_it_states_is_cut_at_its_statement(limits):
    data = bytearray(zipped({"1.png": PNG + bytes(100_000)}))
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = (50).to_bytes(4, "little")
    archive = Archive(io.BytesIO(bytes(data)), limits)
    with pytest.raises(UnreadableFile, match="damaged"):
        archive.read(archive.entries[0], 10_000_000)


def test_zips_are_opened_as_deep_as_the_settings_allow(listing, limits):
    inner = zipped({"1.png": PNG})
    once = zipped({"inner.zip": inner})
    twice = zipped({"once.zip": once})
    assert list(listing([upload("s.zip", once)])[0].values()) == [PNG]
    assert "archive inside an archive" in next(iter(listing([upload("s.zip", twice)])[1].values()))
    none = replace(limits, max_zip_depth=0)
    assert "archive inside an archive" in next(iter(listing([upload("s", once)], none)[1].values()))


def test_a_nest_of_bombs_costs_no_more_than_the_study_may(listing, limits):
    level = zipped({f"{i}.png": PNG + bytes(900_000) for i in range(20)})
    nest = zipped({f"{i}.zip": level for i in range(20)})
    small = replace(limits, max_study_bytes=4 << 20)
    _, refused, _ = listing([upload("nest.zip", nest)], small)
    assert len(refused) == 20


def test_a_zip_with_too_many_files_is_refused_whole(listing, limits):
    data = zipped({f"{i}.png": PNG for i in range(11)})
    refused = listing([upload("s.zip", data)], replace(limits, max_files=10))[1]
    assert "more than the 10 files" in refused["s.zip"]


def test_a_directory_too_large_to_hold_is_refused_before_it_is_parsed(limits):
    entry = zipped({"1.png": PNG})
    start = entry.index(b"PK\1\2")
    end = entry.index(b"PK\5\6")
    directory = entry[start:end] * 40_000
    tail = bytearray(entry[end:])
    tail[12:16] = len(directory).to_bytes(4, "little")
    data = entry[:start] + directory + bytes(tail)
    assert len(directory) > 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="more than the 10 files"):
            Archive(io.BytesIO(data), replace(limits, max_files=10))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(directory)


def test_a_damaged_zip_is_refused(listing):
    data = zipped({"1.png": PNG})
    assert "damaged" in listing([upload("s.zip", data[:-30])])[1]["s.zip"]


def test_an_office_document_is_not_opened(listing):
    report = zipped({"[Content_Types].xml": b"<x/>", "word/media/logo.png": PNG})
    assert listing([upload("report.docx", report), upload("1.png")])[::2] == ({"1.png": PNG}, 1)


def test_no_file_is_read_where_there_are_too_many(listing, limits, tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    assert len(listing(tmp_path, replace(limits, max_files=5))[0]) == 5
    with pytest.raises(EmptyStudy, match="more than 4 files, so none was read"):
        listing(tmp_path, replace(limits, max_files=4))


def test_a_file_over_the_limit_is_refused(listing, limits):
    refused = listing([upload("1.png", PNG + bytes(1000))], replace(limits, max_file_bytes=500))[1]
    assert "HEMODETECT_MAX_FILE_BYTES" in refused["1.png"]


def test_a_name_is_made_fit_to_be_shown():
    assert display_name("a\x1b[2J\n\u202egnp.png") == "a\ufffd[2J\ufffd\ufffdgnp.png"
    assert len(display_name("x" * 5000)) < 400


def test_a_name_that_is_not_unicode_can_be_shown(listing, tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(PNG)
    except OSError:
        pytest.skip("this file system takes Unicode names alone")
    (name,) = listing(tmp_path)[0]
    assert name.encode() == "\ufffd.png".encode()
