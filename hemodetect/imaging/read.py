"""Reads a patient's folder, zip, file or uploads into a `Study`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from hemodetect.errors import EmptyStudy, UnreadableFile
from hemodetect.imaging.budget import Budget, LimitReached
from hemodetect.imaging.choice import proposed_first
from hemodetect.imaging.decoded_slice import DecodedSlice, without_copies
from hemodetect.imaging.dicom import read_dicom
from hemodetect.imaging.nifti import read_nifti
from hemodetect.imaging.pictures import as_8_bit, decode_pages, raw_ct_reason, slice_pages
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.series import stacks
from hemodetect.imaging.sources import Entry, UploadedFile, open_listing
from hemodetect.imaging.study import RefusedFile, Slice, Study
from hemodetect.imaging.whole_series import fitting_series
from hemodetect.settings import Settings, settings

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""

_REASONS_IN_ERROR = 3


def read_study(
    files: Path | Sequence[UploadedFile],
    limits: Settings | None = None,
    progress: Progress | None = None,
) -> Study:
    """Reads slices from a folder, a zip, a single file or uploads.

    A file that cannot be read goes to `Study.refused`; the others are read. A chest radiograph is
    refused as DICOM, by its modality; as a plain picture it cannot be distinguished from a slice.

    Args:
        files: a path, or uploaded files, of which each may itself be a zip.
        limits: settings; those of the process by default.
        progress: called in this thread with (files done, files in all).

    Raises:
        EmptyStudy: no slice can be read, with the reasons.
        SettingError: there is no key for the pseudonyms and none can be made.
    """
    limits = limits or settings()
    budget = Budget(limits)
    left_out = ""
    with open_listing(files, limits, budget) as listing:
        refused, ignored = list(listing.refused), listing.ignored
        try:
            slices, unread, without = _all_decoded(listing.entries, budget, progress)
        except LimitReached:
            fitting = fitting_series(listing.entries, limits)
            refused += fitting.refused
            left_out = fitting.left_out
            budget = Budget(limits)
            slices, unread, without = _all_decoded(fitting.entries, budget, progress)
        refused += unread
        ignored += without
    slices, copies = without_copies(slices)
    slices, raw = _all_8_bit(slices)
    refused += [*copies, *raw]
    if not slices:
        raise EmptyStudy(_why_empty(refused, ignored))
    choice = proposed_first(stacks(slices), limits)
    return Study(
        id=_study_id(choice.stack.members[0].study, slices, limits),
        series=choice.series,
        refused=tuple(refused),
        ignored=ignored,
        left_out=left_out,
    )


def _all_decoded(
    entries: Sequence[Entry], budget: Budget, progress: Progress | None
) -> tuple[list[DecodedSlice], list[RefusedFile], int]:
    """Slices, refused files, and the number of files without slices.

    Raises:
        LimitReached: together they exceed a limit; what was read until then depends on chance.
    """
    slices: list[DecodedSlice] = []
    refused: list[RefusedFile] = []
    ignored = 0
    for done, result in enumerate(_results(entries, budget), start=1):
        if isinstance(result, RefusedFile):
            refused.append(result)
        else:
            slices.extend(result)
            ignored += not result
        if progress:
            progress(done, len(entries))
    return slices, refused, ignored


def _results(
    entries: Sequence[Entry], budget: Budget
) -> Iterator[list[DecodedSlice] | RefusedFile]:
    """Slices or refusal of each entry, in order.

    Threads decode; only a few files are read ahead, which bounds memory.
    """
    workers = _free_cores()
    waiting: deque[Future[list[DecodedSlice] | RefusedFile]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for entry in entries:
                waiting.append(_submitted(pool, entry, budget))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _submitted(
    pool: ThreadPoolExecutor, entry: Entry, budget: Budget
) -> Future[list[DecodedSlice] | RefusedFile]:
    try:
        budget.take_bytes(entry.size)
        data = entry.read(entry.size)
    except LimitReached:
        raise
    except UnreadableFile as error:
        refused: Future[list[DecodedSlice] | RefusedFile] = Future()
        refused.set_result(RefusedFile(entry.name, str(error)))
        return refused
    return pool.submit(_decoded, entry, data, budget)


def _decoded(entry: Entry, data: bytes, budget: Budget) -> list[DecodedSlice] | RefusedFile:
    decode = {"dicom": read_dicom, "nifti": read_nifti, "picture": _read_picture}[entry.kind]
    try:
        return decode(data, entry.name, budget)
    except LimitReached:
        raise
    except UnreadableFile as error:
        return RefusedFile(entry.name, str(error))


def _read_picture(data: bytes, name: str, budget: Budget) -> list[DecodedSlice]:
    limits = budget.limits
    pages = slice_pages(data, limits.max_slice_pixels, limits.max_slices)
    with budget.reserved(len(pages), sum(page.rows * page.columns for page in pages)):
        decoded = decode_pages(data, pages)
    content = sha256(data).hexdigest()
    slices = []
    for number, shown in enumerate(decoded, start=1):
        values = shown.values
        values.flags.writeable = False
        page = number if len(decoded) > 1 else 0
        source = f"{name}#{page}" if page else name
        slice_ = Slice(values, "grey", source, is_coloured=shown.is_coloured)
        slices.append(DecodedSlice(slice=slice_, content=content, page=page))
    return slices


def _all_8_bit(slices: list[DecodedSlice]) -> tuple[list[DecodedSlice], list[RefusedFile]]:
    """Slices with 16-bit pictures, judged together, as 8 bits; or without them, and why."""
    wide = [item for item in slices if item.slice.values.dtype == np.uint16]
    reason = raw_ct_reason(item.slice.values for item in wide)
    if reason:
        raw = {id(item) for item in wide}
        refused = [RefusedFile(item.slice.source, reason) for item in wide]
        return [item for item in slices if id(item) not in raw], refused
    return [_as_8_bit(item) for item in slices], []


def _as_8_bit(item: DecodedSlice) -> DecodedSlice:
    if item.slice.values.dtype != np.uint16:
        return item
    values = as_8_bit(item.slice.values)
    values.flags.writeable = False
    return replace(item, slice=replace(item.slice, values=values))


def _free_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _study_id(proposed: str | None, slices: Sequence[DecodedSlice], limits: Settings) -> str:
    """Pseudonym of the proposed DICOM study, or of all contents where there is none."""
    if proposed:
        return proposed
    contents = sorted(f.content or f.instance or f.slice.source for f in slices)
    return pseudonym("study", *contents, limits=limits)


def _why_empty(refused: Sequence[RefusedFile], ignored: int) -> str:
    if not refused and not ignored:
        return (
            "There are no files in it; give a folder with DICOM, NIfTI, JPEG, PNG or TIFF slices."
        )
    first_of_each = {r.reason: r for r in reversed(refused)}.values()
    reasons = [f"{r.file}: {r.reason}" for r in [*first_of_each][::-1][:_REASONS_IN_ERROR]]
    more = len(refused) - len(reasons)
    if more > 0:
        reasons.append(f"{more:,} more files were refused.")
    if ignored:
        passed = (
            "1 file without an image was"
            if ignored == 1
            else f"{ignored:,} files without images were"
        )
        reasons.append(f"{passed} passed over.")
    reasons.append("Give DICOM, NIfTI, JPEG, PNG or TIFF slices.")
    return "No CT slice could be read. " + " ".join(reasons)
