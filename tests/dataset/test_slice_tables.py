"""Sets labelled slice by slice are read in the layouts of their downloads, and joined."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.peer_maps import peer_maps
from hemodetect.dataset.splits import patient_split
from hemodetect.errors import DatasetError


def picture(path: Path, seed: int, side: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    Image.fromarray(grey).save(path)


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    root = tmp_path / "rsna"
    lines = ["file,study,any,epidural,intraparenchymal,intraventricular,subarachnoid,subdural"]
    for number in range(6):
        picture(root / "images" / f"ID_{number}.png", number)
        study = "ID_5e" if number < 2 else ""
        lines.append(f"ID_{number}.png,{study},{number % 2},0,0,0,0,{number % 2}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


@pytest.fixture
def phe(tmp_path: Path) -> Path:
    root = tmp_path / "phe"
    lines = ["patient,slice,hemorrhage,x_min,y_min,x_max,y_max"]
    for patient in ("0001", "0002"):
        for number, label in enumerate(("0", "", "1", "1")):
            picture(root / patient / f"{number:02d}.png", 10 * int(patient) + number)
            box = "4,8,12,16" if label == "1" else ",,,"
            lines.append(f"{patient},{number},{label},{box}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


def test_single_slices_are_patients_of_their_own_where_no_study_is_known(rsna: Path) -> None:
    table = open_dataset(rsna).slices
    assert table["patient"].nunique() == 5
    assert (table["patient"] == "ID_5e").sum() == 2
    assert table["label"].sum() == table["Subdural"].sum() == 3
    assert table["Epidural"].sum() == 0


def test_slices_of_unknown_label_are_left_out_and_boxes_kept(phe: Path) -> None:
    table = open_dataset(phe).slices
    assert list(table["number"]) == [0, 2, 3] * 2
    assert list(table["label"]) == [0, 1, 1] * 2
    assert [json.loads(b) if b else None for b in table["boxes"][:2]] == [None, [[4, 8, 12, 16]]]


@pytest.mark.parametrize(
    ("lost", "message"),
    [("any", "column patient is missing"), ("subdural", "column subdural is missing")],
)
def test_a_table_that_lacks_a_column_is_refused(rsna: Path, lost: str, message: str) -> None:
    text = (rsna / "labels.csv").read_text()
    (rsna / "labels.csv").write_text(text.replace(lost, "another", 1))
    with pytest.raises(DatasetError, match=message):
        open_dataset(rsna)


def test_a_label_that_is_no_number_is_refused(phe: Path) -> None:
    text = (phe / "labels.csv").read_text()
    (phe / "labels.csv").write_text(text.replace("0001,0,0", "0001,0,yes", 1))
    with pytest.raises(DatasetError, match="not a number"):
        open_dataset(phe)


def test_sets_are_joined_under_their_names(rsna: Path, phe: Path, tmp_path: Path) -> None:
    (tmp_path / "both.sets").write_text("# two hospitals\nrsna\n\nphe\n")
    joined = open_dataset(tmp_path / "both.sets")
    parts = [open_dataset(root) for root in (rsna, phe)]
    assert len(joined.slices) == sum(len(part.slices) for part in parts)
    for size in (128, 244):
        np.testing.assert_array_equal(
            joined.grey(size), np.concatenate([part.grey(size) for part in parts])
        )
    assert set(joined.slices["set"]) == {"rsna", "phe"}
    of_phe = joined.slices[joined.slices["set"] == "phe"]
    assert set(of_phe["Subdural"]) == {-1}  # this set does not say what kind a bleed is
    assert set(of_phe["patient"]) == {"phe/0001", "phe/0002"}
    assert [part.fingerprint for part in joined.parts] == [part.fingerprint for part in parts]
    # Groups and folds are those of the sets, under their names.
    groups = patient_groups(joined)
    assert groups["phe/0001"] == "phe/0001"
    split = patient_split(joined, {p: p for p in groups}, folds=2)
    of_part = split.of_part("phe", parts[1].fingerprint)
    for number in range(2):
        whole = split.test_mask(joined.slices, number)[len(parts[0].slices) :]
        np.testing.assert_array_equal(of_part.test_mask(parts[1].slices, number), whole)


def test_names_that_are_not_those_of_a_public_download_become_pseudonyms(phe: Path) -> None:
    (phe / "0001").rename(phe / "Miller_Anna")
    text = (phe / "labels.csv").read_text()
    (phe / "labels.csv").write_text(text.replace("0001,", "Miller_Anna,"))
    table = open_dataset(phe).slices
    assert len(table) == 6
    for column in ("patient", "slice"):
        assert not table[column].str.contains("Miller|0002").any()


@pytest.mark.parametrize("text", ["rsna\n", "rsna\nrsna\n", ""])
def test_a_list_of_fewer_than_two_sets_is_refused(rsna: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "one.sets").write_text(text)
    with pytest.raises(DatasetError, match="two sets or more"):
        open_dataset(tmp_path / "one.sets")


def test_maps_of_another_network_find_their_slices(phe: Path, tmp_path: Path) -> None:
    (tmp_path / "maps" / "phe").mkdir(parents=True)
    maps = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4)
    np.savez(tmp_path / "maps" / "phe" / "0002.npz", prob=maps, slices=[3, 9])
    maps_by_slice = peer_maps(tmp_path / "maps", open_dataset(phe))
    assert list(maps_by_slice) == [5]
    np.testing.assert_array_equal(maps_by_slice[5], maps[0])


def test_a_file_that_holds_no_maps_is_refused(phe: Path, tmp_path: Path) -> None:
    (tmp_path / "maps" / "phe").mkdir(parents=True)
    (tmp_path / "maps" / "phe" / "0001.npz").write_bytes(b"PK")
    with pytest.raises(DatasetError, match="not a file of maps"):
        peer_maps(tmp_path / "maps", open_dataset(phe))
    with pytest.raises(DatasetError, match="no such folder"):
        peer_maps(tmp_path / "nowhere", open_dataset(phe))
