"""Data sets uploaded as a zip: stored on this server until a person removes them."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipInfo

from hemodetect.dataset.class_folders import class_label
from hemodetect.dataset.files import is_part_of_a_picture_set, listed_files
from hemodetect.dataset.lookup import data_folders
from hemodetect.dataset.manifest import labelled_slices, uploaded_sets
from hemodetect.errors import DatasetError, UnreadableFile
from hemodetect.imaging.archives import Archive, ZipLimits
from hemodetect.settings import MIB, settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import Person
from hemodetect.storage.whole_file import whole_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_MOST_FOLDERS = 12  # around a file
_LONGEST_NAME = 200  # bytes; file systems take 255
_SPARE_BYTES = 512 * MIB  # of the disk, left free


def store_set(name: str, packed: BinaryIO, who: Person) -> Path:
    """Unpacks a labelled set into a new folder, whole or not at all.

    Only pictures and the table of labels are unpacked. A folder around the whole set is left out.

    Args:
        name: of the new set.
        packed: the zip, seekable.
        who: must have the role trainer.

    Returns:
        The set's folder.

    Raises:
        NotAllowed: not a trainer.
        DatasetError: the name is taken or not a plain name; the zip is damaged, too large, or holds
            a file that must not be unpacked; or its layout is unknown.
    """
    who.require("trainer")
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"{name!r} cannot be a set's name; use up to 60 letters, digits, dots and dashes."
        )
    if any((folder / name).exists() for folder in data_folders()):
        raise DatasetError(f"A set {name} exists already; choose another name.")
    limits = settings()
    zip_limits = ZipLimits(
        "set",
        "leave out files that are not part of the set",
        limits.max_set_files,
        limits.max_set_bytes,
        ("HEMODETECT_MAX_SET_FILES", "HEMODETECT_MAX_SET_BYTES"),
    )
    sets_folder = uploaded_sets()
    sets_folder.mkdir(parents=True, exist_ok=True)
    try:
        archive = Archive(packed, limits, zip_limits)
        _check_disk_space(sets_folder, archive.unpacked_bytes)
        # A set may have 100,000 files: flushing each would take minutes.
        with whole_folder(sets_folder / name, flush=False) as partial:
            _unpack_labelled(archive, partial)
            audit_trail.record(who.name, "upload", name, {"files": len(archive.entries)})
    except UnreadableFile as error:
        raise DatasetError(str(error)) from None
    except FileExistsError:
        raise DatasetError(f"A set {name} exists already; choose another name.") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DatasetError("The disk of this server is full; make room first.") from None
        raise
    return sets_folder / name


def remove_set(folder: Path, who: Person) -> None:
    """Removes an uploaded set from the disk.

    Raises:
        NotAllowed: not a trainer.
        DatasetError: it is not an uploaded set.
    """
    who.require("trainer")
    if folder.parent != uploaded_sets() or not folder.is_dir() or folder.is_symlink():
        raise DatasetError(f"{folder.name} was not uploaded here and cannot be removed.")
    # Hidden first, so that nobody opens a set that is partly removed.
    hidden = folder.with_name(f".{secrets.token_hex(8)}")
    audit_trail.record(who.name, "remove", folder.name)
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _unpack_labelled(archive: Archive, folder: Path) -> None:
    """Unpacks a set; raises `DatasetError` where its labels cannot be read."""
    try:
        _unpack(archive, folder)
        labelled_slices(folder, listed_files(folder))
    except DatasetError as error:
        raise DatasetError(str(error).replace(str(folder), "The zip")) from None
    except (ValueError, KeyError) as error:
        raise DatasetError(
            f"The zip: its table of labels cannot be read ({type(error).__name__})."
        ) from None


def _unpack(archive: Archive, target: Path) -> None:
    set_entries = [
        (info, path)
        for info in archive.entries
        if is_part_of_a_picture_set((path := _path(info)).name)
    ]
    if not set_entries:
        raise DatasetError(f"{target}: holds no JPEG, PNG or TIFF slices.")
    outer = _outer_folder([path for _, path in set_entries])
    for info, path in set_entries:
        refusal = archive.refusal(info)
        if refusal is not None:
            raise DatasetError(f"{path}: {refusal}")
        file = target / path.relative_to(outer)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as out:
                out.write(archive.read(info, info.file_size))
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise DatasetError(f"{path}: is in the zip twice; pack it again.") from None
        except UnreadableFile as error:
            raise DatasetError(f"{path}: {error}") from None


def _path(info: ZipInfo) -> PurePosixPath:
    """Where an entry belongs under the set's folder; raises `DatasetError` where that is outside."""
    path = PurePosixPath(info.filename.replace("\\", "/"))
    has_bad_part = any(
        part == ".." or len(os.fsencode(part)) > _LONGEST_NAME or not part.isprintable()
        for part in path.parts
    )
    if path.is_absolute() or has_bad_part or not 0 < len(path.parts) <= _MOST_FOLDERS:
        raise DatasetError(
            f"{info.filename[:80]!r}: an entry of a set's zip must have a printable name, lie inside"
            f" the set, and lie in at most {_MOST_FOLDERS} folders; pack it again."
        )
    return path


def _outer_folder(paths: list[PurePosixPath]) -> PurePosixPath:
    """The folders around the whole set, which are not part of its layout."""
    common = PurePosixPath(os.path.commonpath([path.parent.as_posix() for path in paths]))
    outer = takewhile(lambda part: class_label(part) is None, common.parts)
    return PurePosixPath(*outer)


def _check_disk_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if needed > free:
        raise DatasetError(
            f"The set unpacks to {needed / MIB:,.0f} MiB and the disk has room for"
            f" {max(free, 0) / MIB:,.0f}; make room on this server first."
        )
