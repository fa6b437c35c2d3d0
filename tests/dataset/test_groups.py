"""Pixels show which folders are one person; folders of different people are not joined."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_heads import Scan, drawn_dataset, slice_table
from hypothesis import given, settings, strategies
from PIL import Image

from hemodetect.dataset import groups as method
from hemodetect.dataset import likeness
from hemodetect.dataset.bleeds import LARGE, BleedSite, bleed_site
from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.duplicates import shared_slices
from hemodetect.dataset.groups import BLEED, HEAD, PICTURES, Join, patient_grouping, patient_groups
from hemodetect.dataset.heads import patient_heads
from hemodetect.dataset.splits import SplitError, patient_split

pytestmark = pytest.mark.slow
STRANGERS = [Scan(person, seed=person) for person in range(10)]


def test_one_head_scanned_twice_is_one_patient_group(tmp_path: Path) -> None:
    second_scan = Scan(person=3, turn_degrees=9, scale=0.9, seed=77)
    grouping = patient_grouping(drawn_dataset(tmp_path, [*STRANGERS, second_scan]))
    assert [(j.patients, j.reason) for j in grouping.joins] == [(("p3", "p10"), HEAD)]
    assert grouping.groups["p10"] == grouping.groups["p3"] == "p3"


def test_in_a_large_set_one_head_is_found_among_those_that_look_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_scan = Scan(person=3, turn_degrees=9, scale=0.9, seed=77)
    heads = patient_heads(drawn_dataset(tmp_path, [*STRANGERS, second_scan]), 12)
    every_pair = likeness.head_likeness(heads)
    monkeypatch.setattr(likeness, "MOST_PATIENTS", 10)
    monkeypatch.setattr(likeness, "CANDIDATES", 3)
    monkeypatch.setattr(likeness, "_SAMPLE", 11)
    monkeypatch.setattr(likeness, "_BLOCK", 30)
    alike = likeness.head_likeness(heads)
    assert len(alike) < len(every_pair)
    # With everybody in the sample, a score is the same as in the full search.
    assert all(alike[pair] == pytest.approx(every_pair[pair], abs=1e-4) for pair in alike)
    assert max(alike, key=alike.__getitem__) == ("p3", "p10")


def test_different_people_stay_apart_and_the_most_similar_are_reported(tmp_path: Path) -> None:
    grouping = patient_grouping(drawn_dataset(tmp_path, STRANGERS))
    assert grouping.joins == ()
    assert grouping.groups == {f"p{i}": f"p{i}" for i in range(10)}
    assert all(j.score < j.threshold for j in grouping.runners_up if j.reason == HEAD)
    assert len(grouping.runners_up) >= 5


def test_too_few_patients_to_compare_heads_are_joined_by_pictures_only(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path, [Scan(0), Scan(0, turn_degrees=5, seed=1), Scan(2), Scan(2)])
    groups = patient_groups(dataset)
    assert groups == {"p0": "p0", "p1": "p1", "p2": "p2", "p3": "p2"}


def test_one_picture_in_two_folders_joins_them(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path, STRANGERS)
    grey = np.load(tmp_path / "grey128.npy")
    grey[5] = grey[100]
    np.save(tmp_path / "grey128.npy", grey)
    grouping = patient_grouping(dataset)
    assert [(j.patients, j.reason) for j in grouping.joins] == [(("p0", "p8"), PICTURES)]


def test_black_pictures_in_two_folders_join_nothing(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path, STRANGERS)
    grey = np.load(tmp_path / "grey128.npy")
    grey[[0, 40, 100]] = 0
    np.save(tmp_path / "grey128.npy", grey)
    assert shared_slices(dataset) == ()


def test_a_compressed_copy_of_a_folder_is_nearly_the_same(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path, STRANGERS)
    grey = np.load(tmp_path / "grey128.npy").astype(np.int16)
    change = np.random.default_rng(1).integers(-2, 3, (12, 128, 128))
    grey[108:] = np.clip(grey[:12] + change, 0, 255)
    np.save(tmp_path / "grey128.npy", grey.astype(np.uint8))
    (shared,) = shared_slices(dataset)
    assert (shared.patients, shared.identical, shared.near) == (("p0", "p9"), 0, 12)


def test_a_large_bleed_is_found_where_it_was_drawn(tmp_path: Path) -> None:
    left = Scan(0, bleed=(0.1, 0.3))
    heads = patient_heads(drawn_dataset(tmp_path, [Scan(0), left, Scan(0, bleed=(0.1, -0.3))]), 40)
    no_bleed, left_bleed, right_bleed = (bleed_site(heads[p]) for p in ("p0", "p1", "p2"))
    assert no_bleed.share < LARGE < left_bleed.share
    assert left_bleed.overlap(right_bleed) < 0.1 < 0.9 < left_bleed.overlap(left_bleed)
    assert left_bleed.map[:, 8:].sum() > 0.9 * left_bleed.map.sum()


def test_a_bleed_joins_only_folders_that_are_each_others_best() -> None:
    a, b, c = (
        Join(p, BLEED, s, 0.77)
        for p, s in ((("x", "y"), 0.9), (("y", "z"), 0.8), (("v", "w"), 0.7))
    )
    assert method._mutual([a, b, c], set()) == [a]


def test_no_bleed_overlaps_nothing() -> None:
    empty = BleedSite(0.0, np.zeros((16, 16)))
    assert empty.overlap(empty) == 0.0


def test_a_grouping_is_cached_and_read_back(tmp_path: Path, monkeypatch) -> None:
    dataset = drawn_dataset(tmp_path, [*STRANGERS, Scan(3, turn_degrees=9, seed=77)])
    first = patient_grouping(dataset)
    monkeypatch.setattr(method, "_computed_grouping", lambda _: pytest.fail("computed twice"))
    assert patient_grouping(dataset) == first
    assert [p.name for p in tmp_path.glob("groups*")] == ["groups.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"version": 0}', '{"version": 1, "groups": 7}'])
def test_a_damaged_or_older_file_is_replaced(tmp_path: Path, content: str) -> None:
    dataset = drawn_dataset(tmp_path, STRANGERS[:4])
    (tmp_path / "groups.json").write_text(content)
    assert patient_groups(dataset) == {f"p{i}": f"p{i}" for i in range(4)}
    assert json.loads((tmp_path / "groups.json").read_text())["version"] == method.VERSION


@settings(max_examples=25, deadline=None)
@given(
    copies=strategies.lists(strategies.tuples(*2 * [strategies.integers(0, 15)]), max_size=5),
    seed=strategies.integers(0, 99),
)
def test_copies_never_straddle_a_patient_split(tmp_path_factory, copies, seed) -> None:
    folder = tmp_path_factory.mktemp("copies")
    grey = np.random.default_rng(seed).integers(0, 255, (16, 2, 128, 128), np.uint8)
    for source, target in copies:
        grey[target, 1] = grey[source, 1]
    np.save(folder / "grey128.npy", grey.reshape(-1, 128, 128))
    slices = slice_table(16, 2)
    dataset = Dataset(folder, "f" * 16, slices, (), folder)
    groups = patient_groups(dataset)
    try:
        split = patient_split(dataset, groups, folds=3, seed=seed)
    except SplitError:
        return
    for fold in range(3):
        test = split.test_mask(slices, fold)
        tested = {g.tobytes() for g in dataset.grey(128)[test]}
        assert not tested & {g.tobytes() for g in dataset.grey(128)[~test]}


@pytest.mark.long
@pytest.mark.realdata
def test_near_east_is_39_people(near_east: Path) -> None:
    groups = patient_groups(open_dataset(near_east))
    assert {a: b for a, b in groups.items() if a != b} == {
        "N27[N27]": "N6[N6]",
        "N14[N14]": "N3[N3]",
        "4[4]": "1[1]",
        "8[8]": "7[7]",
        "12[12]": "11[11]",
        "21[21] _2": "19[19]",
    }


def test_a_patient_in_two_sets_that_are_joined_never_straddles_a_split(
    blob_folder: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        shutil.copytree(blob_folder, tmp_path / name)
    for file in (tmp_path / "second").rglob("*.png"):
        if file.parent.name != "P03" or file.name != "2.png":  # the one picture that both sets hold
            with Image.open(file) as image:
                image.transpose(Image.Transpose.ROTATE_90).save(file)
    (tmp_path / "both.sets").write_text("first\nsecond\n")
    joined = open_dataset(tmp_path / "both.sets")
    groups = patient_groups(joined)
    owner = {
        part.root.name: part.slices.loc[part.slices["file"] == "NORMAL/P03/2.png", "patient"].item()
        for part in joined.parts
    }
    copies = {f"{name}/{patient}" for name, patient in owner.items()}
    assert {groups[patient] for patient in copies} == {f"first/{owner['first']}"}
    assert len(set(groups.values())) == 23
    split = patient_split(joined, groups)
    folds = [
        fold
        for fold in range(5)
        if copies & set(joined.slices.loc[split.test_mask(joined.slices, fold), "patient"])
    ]
    assert len(folds) == 1
