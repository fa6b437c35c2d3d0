"""Tar archives are listed as zips are: within the limits, and nothing leads outside."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemodetect.errors import UnreadableFile
from hemodetect.imaging import read_study
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.sources import UploadedFile, open_listing
from hemodetect.imaging.tar_archives import inflated_tar, tar_entries
from hemodetect.phantom import head_phantom
from hemodetect.phantom.files import dicom_files
from hemodetect.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"


def packed(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def listed(
    data: bytes, limits: Settings, name: str = "scan.tar.gz"
) -> tuple[dict[str, bytes], dict[str, str]]:
    with open_listing([UploadedFile(name, data)], limits, Budget(limits)) as opened:
        read = {entry.name: entry.read(entry.size) for entry in opened.entries}
        return read, {refused.file: refused.reason for refused in opened.refused}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_every_file_of_an_archive_is_read(mode: str, limits: Settings) -> None:
    files = {"scan/a/1.png": PNG, "scan/a/2.png": PNG + b"2", "scan/notes.txt": b"a note"}
    read, refused = listed(packed(files, mode), limits)
    assert read == {"1.png": PNG, "2.png": PNG + b"2"}
    assert not refused


def test_a_series_in_an_archive_is_the_series_in_its_files() -> None:
    files = dicom_files(head_phantom(slices=4, size=64, pixel_spacing_mm=3.6))
    archive = packed({f"head/{name}": data for name, data in files})
    study = read_study([UploadedFile("head.tar.gz", archive)])
    plain = read_study([UploadedFile(f"head/{name}", data) for name, data in files])
    assert study.id == plain.id
    assert [s.source for s in study.slices] == [s.source for s in plain.slices]


def test_links_devices_and_names_that_lead_outside_are_refused(limits: Settings) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        fifo = tarfile.TarInfo("pipe.png")
        fifo.type = tarfile.FIFOTYPE
        archive.addfile(fifo)
        outside = tarfile.TarInfo("../../outside.png")
        outside.size = len(PNG)
        archive.addfile(outside, io.BytesIO(PNG))
    read, refused = listed(buffer.getvalue(), limits)
    assert not read
    reasons = " ".join(refused.values())
    assert reasons.count("It is a link") == 2
    assert "not a regular file" in reasons
    assert "leads out of" in reasons


def test_a_bomb_is_refused_before_it_is_inflated(limits: Settings) -> None:
    bomb = gzip.compress(packed({"a.png": PNG}, "w")[:1024] + bytes(400 * 1024 * 1024), 9)
    assert len(bomb) < 500_000
    read, refused = listed(bomb, limits)
    assert not read
    assert "inflates to more than" in refused["scan.tar.gz"]


def test_more_files_than_a_study_may_have_are_refused(limits: Settings) -> None:
    few = replace(limits, max_files=3)
    with pytest.raises(UnreadableFile, match="more than the 3 files"):
        tar_entries(packed({f"{n}.png": PNG for n in range(4)}, "w"), few)


def test_an_archive_in_an_archive_in_an_archive_is_refused(limits: Settings) -> None:
    inner = packed({"b.tar.gz": packed({"c.png": PNG})})
    _, refused = listed(packed({"a.tar.gz": inner}), limits)
    assert "archive inside an archive" in " ".join(refused.values())


def test_an_archive_that_ends_too_early_is_refused(limits: Settings) -> None:
    with pytest.raises(UnreadableFile, match="damaged"):
        inflated_tar(packed({"1.png": PNG})[:-20], limits, limits.max_study_bytes)


def test_archives_together_stay_within_the_limit_of_a_study(limits: Settings) -> None:
    small = replace(limits, max_study_bytes=30_000)
    uploads = [UploadedFile(f"{n}.tar.gz", packed({f"{n}.png": PNG})) for n in range(4)]
    with open_listing(uploads, small, Budget(small)) as opened:
        assert len(opened.entries) == 2  # a tar has 10,240 bytes at least
        assert all("inflates to more than" in refused.reason for refused in opened.refused)


@given(place=st.integers(0, 1535), value=st.integers(0, 255))
def test_damaged_bytes_give_files_or_a_sentence(place: int, value: int) -> None:
    data = bytearray(packed({"1.png": PNG, "2.png": PNG}, "w"))
    data[place] = value
    try:
        entries = tar_entries(bytes(data), Settings())
    except UnreadableFile:
        return
    assert all(entry.refusal or entry.start + entry.size <= len(data) for entry in entries)
