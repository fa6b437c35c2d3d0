"""Decoded slices on disk, memory-mapped, so that a file is decoded once.

In the cache folder: ``datasets-3/<fingerprint>-<key>/`` (3: the version of this layout; key: a digest
of the pseudonyms' key, because slices of private sets are named by pseudonyms) holds
``slices.parquet``, ``refused.json`` and one ``grey<size>.npy`` a size;
``roots/<hash of the path>.json`` holds the name of that folder, a digest of the pseudonyms' key and of
the sizes and times of change that the set's files had then, and the files that were refused: two
folders with the same slices may have others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hemodetect.dataset.files import FileStat, listed_files
from hemodetect.dataset.joined import SUFFIX, folders_of, joined_fingerprint, joined_table
from hemodetect.dataset.layouts.choose import labelled_studies
from hemodetect.dataset.layouts.study import LabelledStudy
from hemodetect.dataset.manifest import fingerprint, in_order, labelled_slices, named_slices
from hemodetect.dataset.slice_tables import BOXES, SUBTYPES
from hemodetect.dataset.study_slices import read_labelled
from hemodetect.errors import DatasetError, UnreadableFile
from hemodetect.imaging.pictures import (
    as_8_bit,
    decode_picture,
    grey_spread,
    raw_spread_reason,
)
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.imaging.study import RefusedFile
from hemodetect.preprocessing.model_input import resized
from hemodetect.settings import settings
from hemodetect.storage.whole_file import whole_file, whole_folder

SIZES = (128, 244)
"""Side lengths that are cached: the input sizes of the recipes."""

LAYOUT_VERSION = 3
"""Version of the folders' layout in the cache."""
_OF_STUDIES = ("patient", "series", "number", BOXES, *SUBTYPES)
"""Columns of a set of studies that a table of labels, or a mask, may change."""
_COPIED = 256  # slices that are put in order at once

Progress = Callable[[int, int], None]
"""Called with (slices done, slices in all)."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of slices.

    Attributes:
        root: the folder it was read from.
        fingerprint: digest of paths, contents and labels (see `manifest.fingerprint`).
        slices: one row a slice; columns as in `manifest.labelled_slices`, and sha256, rows, columns.
        refused: files that could not be decoded; they have no row.
        folder: holds the arrays.
        parts: the sets that it joins, if it does.
    """

    root: Path
    fingerprint: str
    slices: pd.DataFrame
    refused: tuple[RefusedFile, ...]
    folder: Path
    parts: tuple[Dataset, ...] = ()

    def grey(self, size: int) -> np.ndarray:
        """(n, size, size) uint8, memory-mapped, read-only, rows as in `slices`."""
        return np.load(self.folder / f"grey{size}.npy", mmap_mode="r")

    @property
    def labels(self) -> np.ndarray:
        """(n,) int8, 1 is hemorrhage."""
        return self.slices["label"].to_numpy()


def open_dataset(root: Path, progress: Progress | None = None) -> Dataset:
    """The data set at `root`, decoded on first use.

    Args:
        root: folder in one of the layouts of `hemodetect.dataset.manifest` and
            `hemodetect.dataset.layouts`, or a file that joins several sets
            (`hemodetect.dataset.joined`).
        progress: called while decoding with (slices done, slices in all), or where it is not known
            before how many slices there are, with (studies done, studies in all).

    Raises:
        DatasetError: missing, empty, or not a known layout.
    """
    root = root.resolve()
    if root.suffix == SUFFIX:
        return _open_joined(root, progress)
    files = listed_files(root)
    index = settings().cache / "roots" / f"{_digest(str(root))[:16]}.json"
    state = _digest(json.dumps([_key_digest(), [(f.file, f.size, f.changed_ns) for f in files]]))
    earlier = _earlier_state(index)
    if earlier.get("state") == state and (_datasets() / earlier["folder"]).is_dir():
        refused = tuple(RefusedFile(**one) for one in earlier["refused"])
        return replace(_open_cached(root, earlier["folder"]), refused=refused)
    studies = labelled_studies(root, files)
    if studies is None:
        dataset = _decode(root, files, earlier.get("folder"), progress)
    else:
        dataset = _decode_studies(root, studies, progress)
    with whole_file(index) as partial:
        refusals = [vars(one) for one in dataset.refused]
        partial.write_text(
            json.dumps({"state": state, "folder": dataset.folder.name, "refused": refusals})
        )
    return dataset


def open_together(
    folders: Sequence[Path], list_file: Path, progress: Progress | None = None
) -> Dataset:
    """One set, or several as one.

    Args:
        folders: of the sets.
        list_file: where the list of several is written, with the suffix ``.sets``; it opens the joined
            set again later.
        progress: as for `open_dataset`.

    Raises:
        DatasetError: as for `open_dataset`, or two sets have one name.
    """
    if len(folders) == 1:
        return open_dataset(folders[0], progress)
    list_file.parent.mkdir(parents=True, exist_ok=True)
    parent = list_file.resolve().parent
    with whole_file(list_file) as partial:
        partial.write_text("".join(f"{os.path.relpath(f.resolve(), parent)}\n" for f in folders))
    return open_dataset(list_file, progress)


def _open_joined(file: Path, progress: Progress | None) -> Dataset:
    parts = tuple(open_dataset(folder, progress) for folder in folders_of(file))
    table = joined_table({part.root.name: part.slices for part in parts})
    name = f"{joined_fingerprint([part.fingerprint for part in parts])}-{_key_digest()}"
    if not (_datasets() / name).is_dir():
        refused = [
            RefusedFile(f"{part.root.name}/{one.file}", one.reason)
            for part in parts
            for one in part.refused
        ]
        with _kept(name, table, refused) as partial:
            for size in SIZES:
                array = np.lib.format.open_memmap(
                    partial / f"grey{size}.npy", "w+", np.uint8, (len(table), size, size)
                )
                start = 0
                for part in parts:
                    array[start : start + len(part.slices)] = part.grey(size)
                    start += len(part.slices)
                array.flush()
    return replace(_open_cached(file, name), parts=parts)


@contextlib.contextmanager
def _kept(name: str, slices: pd.DataFrame, refused: Sequence[RefusedFile]) -> Iterator[Path]:
    """Writes a folder of the cache whole; gives it for the arrays.

    Another process may be first; the same name means the same content.
    """
    with contextlib.suppress(FileExistsError), whole_folder(_datasets() / name) as partial:
        yield partial
        slices.to_parquet(partial / "slices.parquet", index=False)
        (partial / "refused.json").write_text(json.dumps([vars(one) for one in refused]))


def _open_cached(root: Path, name: str) -> Dataset:
    folder = _datasets() / name
    refused = json.loads((folder / "refused.json").read_text())
    return Dataset(
        root=root,
        fingerprint=name.partition("-")[0],
        slices=pd.read_parquet(folder / "slices.parquet"),
        refused=tuple(RefusedFile(**r) for r in refused),
        folder=folder,
    )


def _decode(
    root: Path, files: list[FileStat], previous: str | None, progress: Progress | None
) -> Dataset:
    slices = labelled_slices(root, files)
    _datasets().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".decoding-", dir=_datasets()) as decoding:
        arrays = {
            size: np.lib.format.open_memmap(
                Path(decoding) / f"all{size}.npy",
                mode="w+",
                dtype=np.uint8,
                shape=(len(slices), size, size),
            )
            for size in SIZES
        }
        slices, refused = _fill(root, slices, arrays, _EarlierCache.of(previous), progress)
        if slices.empty:
            raise DatasetError(f"{root}: none of its {len(refused)} slices can be decoded.")
        decoded_rows = slices.pop("row").to_numpy()
        name = f"{fingerprint(slices)}-{_key_digest()}"
        with _kept(name, slices, refused) as partial:
            for size, array in arrays.items():
                np.save(
                    partial / f"grey{size}.npy",
                    array if len(decoded_rows) == len(array) else array[decoded_rows],
                )
                (Path(decoding) / f"all{size}.npy").unlink()
    # A folder of the same slices may be there, with other refusals.
    return replace(_open_cached(root, name), refused=tuple(refused))


def _decode_studies(
    root: Path, studies: Sequence[LabelledStudy], progress: Progress | None
) -> Dataset:
    """One study is in memory at a time; slices go to disk in the order read, then in their order."""
    _datasets().mkdir(parents=True, exist_ok=True)
    tables: list[pd.DataFrame] = []
    refused: list[RefusedFile] = []
    with tempfile.TemporaryDirectory(prefix=".decoding-", dir=_datasets()) as decoding:
        raw = {size: Path(decoding) / f"all{size}" for size in SIZES}
        with contextlib.ExitStack() as stack:
            streams = {size: stack.enter_context(file.open("wb")) for size, file in raw.items()}
            for done, study in enumerate(studies, start=1):
                read = read_labelled(root, study, SIZES)
                # With the study's number: a patient may have several, of one series each.
                tables.append(read.table.assign(series=f"{done:06d}/" + read.table["series"]))
                refused += read.refused
                for size, stream in streams.items():
                    stream.write(read.grey[size].tobytes())
                if progress:
                    progress(done, len(studies))
        table = pd.concat(tables, ignore_index=True)
        if table.empty:
            first = f" {refused[0].file}: {refused[0].reason}" if refused else ""
            raise DatasetError(f"{root}: none of its {len(studies)} studies can be read.{first}")
        table["row"] = np.arange(len(table))
        table = in_order(root, named_slices(root, table))
        rows = table.pop("row").to_numpy()
        name = f"{fingerprint(table, _OF_STUDIES)}-{_key_digest()}"
        with _kept(name, table, refused) as partial:
            for size, file in raw.items():
                unordered = np.memmap(file, np.uint8, "r", shape=(len(table), size, size))
                ordered = np.lib.format.open_memmap(
                    partial / f"grey{size}.npy", "w+", np.uint8, unordered.shape
                )
                for start in range(0, len(rows), _COPIED):
                    part = rows[start : start + _COPIED]
                    ordered[start : start + len(part)] = unordered[part]
                ordered.flush()
    return replace(_open_cached(root, name), refused=tuple(refused))


@dataclass(frozen=True, eq=False)
class _EarlierCache:
    """Decoded slices that an earlier cache of the same folder holds, by content."""

    rows: dict[str, int]
    shapes: list[tuple[int, int]]
    arrays: dict[int, np.ndarray]

    @classmethod
    def of(cls, name: str | None) -> _EarlierCache:
        if name is None or not (_datasets() / name).is_dir():
            return cls({}, [], {})
        earlier = _open_cached(Path(), name)
        table = earlier.slices
        return cls(
            {sha: row for row, sha in enumerate(table["sha256"])},
            list(zip(table["rows"], table["columns"], strict=True)),
            {size: earlier.grey(size) for size in SIZES},
        )


def _fill(
    root: Path,
    slices: pd.DataFrame,
    arrays: Mapping[int, np.ndarray],
    earlier: _EarlierCache,
    progress: Progress | None,
) -> tuple[pd.DataFrame, list[RefusedFile]]:
    """Decodes into `arrays`; returns the decoded rows, with sha256 and shape, and the refused files."""
    limits = settings()

    spreads: dict[str, int] = {}

    def decode(item: tuple[int, str]) -> tuple[str, tuple[int, int]] | RefusedFile:
        row, file = item
        try:
            data = (root / file).read_bytes()
            sha = hashlib.sha256(data).hexdigest()
            if sha in earlier.rows:
                for size, array in arrays.items():
                    array[row] = earlier.arrays[size][earlier.rows[sha]]
                return sha, earlier.shapes[earlier.rows[sha]]
            values = decode_picture(data, limits.max_slice_pixels)
        except (UnreadableFile, OSError) as error:
            return RefusedFile(file, str(error))
        if spread := grey_spread(values):
            spreads[file] = spread
        grey = as_8_bit(values)
        for size, array in arrays.items():
            array[row] = resized(grey, size)
        return sha, (grey.shape[0], grey.shape[1])

    decoded: list[tuple[int, str, int, int]] = []
    refused: list[RefusedFile] = []
    # Pillow decodes outside the interpreter's lock, so threads are enough for two cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, result in enumerate(pool.map(decode, enumerate(slices["file"]))):
            if isinstance(result, RefusedFile):
                refused.append(result)
            else:
                sha, (rows, columns) = result
                decoded.append((row, sha, rows, columns))
            if progress:
                progress(row + 1, len(slices))
    # The 16-bit pictures of a set are judged together.
    if reason := raw_spread_reason(list(spreads.values())):
        refused += [RefusedFile(file, reason) for file in sorted(spreads)]
        decoded = [item for item in decoded if slices["file"].iloc[item[0]] not in spreads]
    table = pd.DataFrame(decoded, columns=["row", "sha256", "rows", "columns"])
    readable = slices.iloc[table["row"]].reset_index(drop=True)
    return pd.concat([readable, table], axis=1), refused


def _datasets() -> Path:
    return settings().cache / f"datasets-{LAYOUT_VERSION}"


def _key_digest() -> str:
    """Ten hexadecimal digits that change with the key of the pseudonyms."""
    return pseudonym("key").partition("-")[2]


def _earlier_state(index: Path) -> dict[str, Any]:
    try:
        earlier = dict(json.loads(index.read_text()))
    except (OSError, ValueError):
        return {}
    return earlier if "refused" in earlier else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
