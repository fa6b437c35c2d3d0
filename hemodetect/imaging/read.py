"""Reads a patient's folder, zip, file or uploads into a `Study`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from hemodetect.errors import EmptyStudy, UnreadableFile
from hemodetect.imaging.budget import Budget
from hemodetect.imaging.choice import proposed_first
from hemodetect.imaging.dicom import read_dicom
from hemodetect.imaging.pictures import decode_pages, page_sizes
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.series import DecodedSlice, stacks, without_copies
from hemodetect.imaging.sources import Entry, UploadedFile, open_listing
from hemodetect.imaging.study import RefusedFile, Slice, Study
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
    slices: list[DecodedSlice] = []
    with open_listing(files, limits, budget) as listing:
        refused, ignored = list(listing.refused), listing.ignored
        for done, result in enumerate(_results(listing.entries, budget), start=1):
            if isinstance(result, RefusedFile):
                refused.append(result)
            else:
                slices.extend(result)
                ignored += not result
            if progress:
                progress(done, len(listing.entries))
    slices, copies = without_copies(slices)
    if not slices:
        raise EmptyStudy(_why_empty(refused, ignored))
    proposed, series = proposed_first(stacks(slices), limits)
    return Study(
        id=_study_id(proposed.members[0].study, slices, limits),
        series=tuple(series),
        refused=(*refused, *copies),
        ignored=ignored,
    )


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
    except UnreadableFile as error:
        refused: Future[list[DecodedSlice] | RefusedFile] = Future()
        refused.set_result(RefusedFile(entry.name, str(error)))
        return refused
    return pool.submit(_decoded, entry, data, budget)


def _decoded(entry: Entry, data: bytes, budget: Budget) -> list[DecodedSlice] | RefusedFile:
    decode = read_dicom if entry.kind == "dicom" else _read_picture
    try:
        return decode(data, entry.name, budget)
    except UnreadableFile as error:
        return RefusedFile(entry.name, str(error))


def _read_picture(data: bytes, name: str, budget: Budget) -> list[DecodedSlice]:
    limits = budget.limits
    sizes = page_sizes(data, limits.max_slice_pixels, limits.max_slices)
    with budget.reserved(len(sizes), sum(rows * columns for rows, columns in sizes)):
        pages = decode_pages(data, len(sizes))
    content = sha256(data).hexdigest()
    slices = []
    for number, values in enumerate(pages, start=1):
        values.flags.writeable = False
        page = number if len(pages) > 1 else 0
        source = f"{name}#{page}" if page else name
        slice_ = Slice(values=values, units="grey", source=source)
        slices.append(DecodedSlice(slice=slice_, content=content, page=page))
    return slices


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
        return "There are no files in it; give a folder with DICOM, JPEG, PNG or TIFF slices."
    reasons = [f"{r.file}: {r.reason}" for r in refused[:_REASONS_IN_ERROR]]
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
    reasons.append("Give DICOM, JPEG, PNG or TIFF slices.")
    return "No CT slice could be read. " + " ".join(reasons)
