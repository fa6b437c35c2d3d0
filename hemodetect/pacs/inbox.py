"""Files of received studies: encrypted, one folder a study, named by its pseudonym.

    STATE/inbox/study-7f3a9c21d0/3fd4....sealed

A file is on disk before its sender hears that it was taken. The same image twice is one file. An image
that was refused leaves an empty file (``.refused``) until it comes again.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from hemodetect.errors import UnreadableFile
from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.study import Study
from hemodetect.pacs.sealed import SealBroken, read_sealed, sealed_name, write_sealed
from hemodetect.settings import settings

_SUFFIX = ".sealed"
_REFUSED = ".refused"
_STUDY = re.compile(r"study-[0-9a-f]{10}")
_TAGS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "SpecificCharacterSet"]


@dataclass(frozen=True)
class Received:
    """What a received file says of itself.

    Attributes:
        study: pseudonym, the one that the app shows.
        image_class: SOP Class UID.
        instance: SOP Instance UID; never kept.
    """

    study: str
    image_class: str
    instance: str


class SameNameOtherImage(Exception):
    """Another image with the same SOP Instance UID is there; the first is kept."""


def described(data: bytes) -> Received:
    """What a DICOM file says of itself; raises `UnreadableFile` where it lacks its identifiers."""
    try:
        header = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=_TAGS)
        values = {tag: str(header.get(tag) or "").strip() for tag in _TAGS}
    except Exception:  # noqa: BLE001  a parser raises any error on damaged bytes, and quotes them
        raise UnreadableFile("The DICOM file is damaged; send it again.") from None
    if not values["StudyInstanceUID"] or not values["SOPInstanceUID"]:
        raise UnreadableFile("The DICOM file has no UID of its study or image; send it again.")
    return Received(
        pseudonym("study", values["PatientID"], values["StudyInstanceUID"]),
        values["SOPClassUID"],
        values["SOPInstanceUID"],
    )


def store(received: Received, data: bytes) -> bool:
    """Keeps a file; False where the same one is there already.

    Raises:
        SameNameOtherImage: the study has another image of this UID.
        OSError: the disk is full, or cannot be written; then nothing was kept.
    """
    path = _path(received)
    with suppress(FileNotFoundError, SealBroken):  # a damaged file is replaced
        if not _same_image(read_sealed(path), data):
            raise SameNameOtherImage
        return False
    write_sealed(path, data)
    path.with_suffix(_REFUSED).unlink(missing_ok=True)
    return True


def refuse(received: Received) -> None:
    """Notes that an image was refused, where other images of its study are there and it is not."""
    if has(received):
        return
    with suppress(OSError):  # no such study, or the disk is full
        _path(received).with_suffix(_REFUSED).touch()


def refused(study: str) -> int:
    """Number of images that were refused and have not come since."""
    return sum(1 for _ in _folder(study).glob(f"*{_REFUSED}"))


def read(study: str) -> tuple[Study, list[UploadedFile]]:
    """The study, whose cautions name refused images, and its files.

    Raises:
        EmptyStudy: nothing in it can be read.
        SealBroken: a file cannot be opened.
        OSError: the disk cannot be read.
    """
    received = files(study)
    found, number = read_study(received), refused(study)
    if number:
        images = "1 image" if number == 1 else f"{number} images"
        caution = (
            f"{images} of this study could not be received; it may be incomplete. Send it again."
        )
        found = replace(found, left_out=f"{caution} {found.left_out}".strip())
    return found, received


def _same_image(first: bytes, second: bytes) -> bool:
    """Whether two files of one UID show the same; headers differ by the way that a file took."""
    if first == second:
        return True
    one, other = (dcmread(BytesIO(data)) for data in (first, second))
    if one.file_meta.TransferSyntaxUID != other.file_meta.TransferSyntaxUID:
        return True  # packed in another way
    return one.get("PixelData") == other.get("PixelData")


def has(received: Received) -> bool:
    """Whether there is a file of this image."""
    return _path(received).exists()


def files(study: str) -> list[UploadedFile]:
    """The study's files, for `read_study`, under numbers.

    Raises:
        SealBroken: a file cannot be opened.
        OSError: the disk cannot be read.
    """
    return [
        UploadedFile(f"{number:05}.dcm", read_sealed(path))
        for number, path in enumerate(_files(study), start=1)
    ]


def size(study: str) -> tuple[int, int]:
    """Number of files, and their bytes."""
    sizes = [path.stat().st_size for path in _files(study)]
    return len(sizes), sum(sizes)


def count(study: str) -> int:
    """Number of files."""
    folder = _folder(study)
    if not folder.is_dir():
        return 0
    # Names alone: this is asked for every study every few seconds.
    names = os.listdir(folder)  # noqa: PTH208
    return sum(name.endswith(_SUFFIX) and not name.startswith(".") for name in names)


def last_arrival(study: str) -> datetime | None:
    """When its newest file came."""
    times = [path.stat().st_mtime for path in _files(study)]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def studies() -> list[str]:
    """Pseudonyms of the studies that have a folder."""
    root = settings().state / "inbox"
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if _STUDY.fullmatch(path.name))


def set_aside(study: str) -> Path | None:
    """Takes a study's folder out of the inbox, to be removed; None where there is none.

    From then on new files of the study make a new folder.
    """
    folder = _folder(study)
    if not folder.is_dir():
        return None
    return folder.rename(folder.with_name(f".removed-{secrets.token_hex(8)}"))


def _path(received: Received) -> Path:
    return _folder(received.study) / f"{sealed_name(received.instance)}{_SUFFIX}"


def _files(study: str) -> list[Path]:
    return sorted(_folder(study).glob(f"[!.]*{_SUFFIX}"))


def _folder(study: str) -> Path:
    if not _STUDY.fullmatch(study):
        raise ValueError(f"study is {study!r}; expected a study's pseudonym.")
    return settings().state / "inbox" / study
