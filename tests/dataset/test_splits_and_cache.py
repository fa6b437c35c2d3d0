"""A data set is decoded once, and no patient group ever straddles a patient split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies
from PIL import Image

from hemodetect.dataset import cache
from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.splits import Split, paper_split, patient_split
from hemodetect.errors import DatasetError, SplitError


@pytest.fixture(scope="module")
def blobs(blob_folder: Path) -> Dataset:
    return open_dataset(blob_folder)


def test_a_folder_by_class_becomes_a_table_of_slices(blobs: Dataset) -> None:
    assert len(blobs.slices) == 72
    assert blobs.labels.sum() == 36
    assert blobs.grey(128).shape == (72, 128, 128)
    assert blobs.grey(244).shape == (72, 244, 244)
    assert list(blobs.slices["number"][:6]) == [1, 2, 3, 4, 5, 6]


def test_unknown_folder_names_become_pseudonyms(blobs: Dataset) -> None:
    assert not blobs.slices["patient"].str.startswith("P").any()
    assert blobs.slices["patient"].nunique() == 12
    assert blobs.slices["slice"].nunique() == 72
    assert not blobs.slices["slice"].str.contains(r"P\d|NORMAL|png").any()


def test_a_second_start_decodes_nothing(blobs: Dataset, monkeypatch) -> None:
    monkeypatch.setattr(cache, "decode_picture", lambda *_: pytest.fail("decoded again"))
    assert open_dataset(blobs.root).fingerprint == blobs.fingerprint


def test_a_new_file_alone_is_decoded(blobs: Dataset, tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "set"
    shutil.copytree(blobs.root, root)
    open_dataset(root)
    new = root / "NORMAL" / "P00" / "7.png"
    Image.fromarray(np.full((50, 60), 9, np.uint8)).save(new)
    decoded: list[int] = []

    def counted(data: bytes, limit: int) -> np.ndarray:
        decoded.append(len(data))
        return real(data, limit)

    real = cache.decode_picture
    monkeypatch.setattr(cache, "decode_picture", counted)
    assert len(open_dataset(root).slices) == 73
    assert decoded == [new.stat().st_size]


def test_a_damaged_file_is_refused_and_the_rest_is_read(blobs: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(blobs.root, root)
    (root / "NORMAL" / "P00" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    dataset = open_dataset(root)
    assert [r.file for r in dataset.refused] == ["NORMAL/P00/3.png"]
    assert len(dataset.slices) == len(dataset.grey(128)) == 71


@pytest.mark.parametrize("names", [[], ["cats/a/1.png"], ["NORMAL/a/1.png"]])
def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    with pytest.raises(DatasetError, match=str(tmp_path.name)):
        open_dataset(tmp_path)


def test_two_folders_of_one_scan_are_one_patient_group(blobs: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(blobs.root, root)
    shutil.copytree(root / "NORMAL" / "P01", root / "NORMAL" / "P99")
    dataset = open_dataset(root)
    twins = dataset.slices.loc[dataset.slices["file"].str.contains("P01|P99"), "patient"].unique()
    groups = patient_groups(dataset)
    assert len(twins) == 2
    assert groups[twins[0]] == groups[twins[1]]
    assert len(set(groups.values())) == 12


@settings(max_examples=60, deadline=None)
@given(
    labels=strategies.lists(strategies.booleans(), min_size=12, max_size=40),
    joins=strategies.lists(strategies.tuples(*2 * [strategies.integers(0, 39)]), max_size=6),
    seed=strategies.integers(0, 1000),
)
def test_no_patient_group_ever_straddles_a_patient_split(labels, joins, seed) -> None:
    patients = [f"p{i}" for i in range(len(labels))]
    groups = {p: p for p in patients}
    for a, b in joins:
        if a < len(labels) and b < len(labels):
            old, new = groups[f"p{a}"], groups[f"p{b}"]
            groups = {p: new if g == old else g for p, g in groups.items()}
    slices = pd.DataFrame(
        {
            "slice": [f"{p}/{i}" for p in patients for i in range(3)],
            "patient": np.repeat(patients, 3),
            "label": np.repeat(np.array(labels, np.int8), 3),
        }
    )
    dataset = Dataset(Path("set"), "f" * 16, slices, (), Path("none"))
    try:
        split = patient_split(dataset, groups, seed=seed)
    except SplitError:
        return
    tested = np.zeros(len(slices), int)
    for fold in range(5):
        test = split.test_mask(slices, fold)
        tested += test
        by_group = slices["patient"].map(groups)
        assert not set(by_group[test]) & set(by_group[~test])
    assert (tested == 1).all()


def test_a_split_reads_back_and_fits_one_data_set_only(blobs: Dataset, tmp_path: Path) -> None:
    split = patient_split(blobs, patient_groups(blobs))
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json", blobs) == split
    other = Dataset(blobs.root, "0" * 16, blobs.slices, (), blobs.folder)
    with pytest.raises(SplitError, match="is of data set"):
        Split.read(tmp_path / "split.json", other)


@pytest.mark.parametrize(("family", "share"), [("svm", 0.3), ("rnn", 0.2)])
def test_the_paper_split_holds_out_what_the_study_did(
    blobs: Dataset, family: str, share: float
) -> None:
    split = paper_split(blobs, patient_groups(blobs), family)
    test = split.test_mask(blobs.slices, 0)
    assert test.sum() == pytest.approx(share * 72, abs=1)
    assert blobs.labels[test].mean() == pytest.approx(0.5, abs=0.05)
