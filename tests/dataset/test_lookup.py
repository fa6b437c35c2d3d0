"""Pictures of a set are found in the configured folders; no file can point outside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.lookup import LocatedSet, find_set
from hemodetect.errors import DatasetError
from hemodetect.settings import settings


@pytest.fixture
def slices(blob_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pd.DataFrame]:
    monkeypatch.setenv("HEMODETECT_DATA", str(blob_folder.parent))
    settings.cache_clear()
    yield open_dataset(blob_folder).slices[["patient", "slice", "label"]]
    monkeypatch.undo()
    settings.cache_clear()


def located_set(blob_folder: Path, slices: pd.DataFrame) -> LocatedSet:
    located = find_set(blob_folder.name, slices)
    assert located is not None
    return located


def test_a_set_is_found_by_name_with_every_slice_a_file(blob_folder, slices) -> None:
    located = located_set(blob_folder, slices)
    first = slices.iloc[0]
    assert located.file(first["patient"], first["slice"]).is_file()
    files = located.patient_files(first["patient"])
    assert [file.name for file in files.values()] == [f"{n}.png" for n in range(1, 7)]


def test_a_private_set_shows_neither_folder_nor_file_names(blob_folder, slices) -> None:
    located = located_set(blob_folder, slices)
    page_names = located.page_names(slices.iloc[0]["patient"])
    assert list(page_names.values()) == [f"series-1/{n:04}.png" for n in range(1, 7)]
    assert list(page_names) == list(located.patient_files(slices.iloc[0]["patient"]))


def test_a_set_with_other_labels_is_not_the_one(blob_folder, slices) -> None:
    assert find_set(blob_folder.name, slices.assign(label=1 - slices["label"])) is None


def test_a_set_without_all_slices_is_not_the_one(blob_folder, slices) -> None:
    assert find_set(blob_folder.name, slices.assign(slice=slices["slice"] + "x")) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../{name}", "/{path}", "sub/{name}"])
def test_a_name_that_is_a_path_finds_nothing(name, blob_folder, slices) -> None:
    set_name = name.format(name=blob_folder.name, path=blob_folder)
    assert find_set(set_name, slices) is None


def test_a_link_to_a_set_is_not_followed(blob_folder, slices, tmp_path, monkeypatch) -> None:
    (tmp_path / "link").symlink_to(blob_folder)
    monkeypatch.setenv("HEMODETECT_DATA", str(tmp_path))
    settings.cache_clear()
    assert find_set("link", slices) is None


def test_an_unknown_slice_or_patient_is_named(blob_folder, slices) -> None:
    located = located_set(blob_folder, slices)
    with pytest.raises(DatasetError, match="holds no slice nothing of nobody"):
        located.file("nobody", "nothing")
    with pytest.raises(DatasetError, match="holds no patient nobody"):
        located.patient_files("nobody")
