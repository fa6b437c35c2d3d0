"""Half of a session's studies bleed, and the same seed draws the same studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hemodetect.reviews.choosing import (
    balanced_patients,
    drawn_from,
    one_per_person,
    synthetic_phantoms,
)
from hemodetect.reviews.sources import OfSet, Truth
from hemodetect.settings import settings

TRUTH: dict[str, Truth] = {
    **{f"b{n}": "hemorrhage" for n in range(5)},
    **{f"n{n}": "none" for n in range(20)},
}


@pytest.mark.parametrize(("n", "bleeding"), [(4, 2), (10, 5), (16, 5), (25, 5), (1, 0)])
def test_half_are_labelled_hemorrhage_as_far_as_there_are_enough(n: int, bleeding: int) -> None:
    drawn = balanced_patients(TRUTH, n, seed=1)
    assert len(set(drawn)) == n
    assert sum(name.startswith("b") for name in drawn) == bleeding


def test_where_the_others_run_out_more_are_labelled_hemorrhage() -> None:
    few = {name: TRUTH[name] for name in ("n0", "b0", "b1", "b2")}
    assert sorted(balanced_patients(few, 4, seed=0)) == ["b0", "b1", "b2", "n0"]


def test_a_seed_draws_the_same_again_and_another_seed_others() -> None:
    assert balanced_patients(TRUTH, 8, 3) == balanced_patients(TRUTH, 8, 3)
    assert balanced_patients(TRUTH, 8, 3) != balanced_patients(TRUTH, 8, 4)
    assert synthetic_phantoms(6, 1) == synthetic_phantoms(6, 1)


def test_of_folders_of_one_person_one_is_drawn_not_always_the_same() -> None:
    groups = {name: name for name in TRUTH} | {"b1": "b0", "n7": "b0"}
    drawn = [one_per_person(TRUTH, groups, seed) for seed in range(20)]
    assert all(len(set(patients) & {"b0", "b1", "n7"}) == 1 for patients in drawn)
    assert all(len(patients) == len(TRUTH) - 2 for patients in drawn)
    assert set().union(*drawn) == set(TRUTH)
    assert all(patients[name] == TRUTH[name] for patients in drawn for name in patients)


def test_a_copied_folder_is_not_read_twice(
    blob_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(blob_folder, tmp_path / "copied")
    shutil.copytree(tmp_path / "copied/NORMAL/P00", tmp_path / "copied/NORMAL/P09")
    monkeypatch.setenv("HEMODETECT_DATA", str(tmp_path))
    settings.cache_clear()
    drawn = drawn_from("copied", 13, seed=1)
    settings.cache_clear()
    assert len({source for source, _ in drawn}) == len(drawn) == 12
    assert all(isinstance(source, OfSet) for source, _ in drawn)


def test_every_second_synthetic_phantom_bleeds() -> None:
    phantoms = synthetic_phantoms(6, 10)
    assert [truth for _, truth in phantoms] == ["hemorrhage", "none"] * 3
    assert len({source for source, _ in phantoms}) == 6
    assert all(5 <= source.millilitres <= 40 for source, _ in phantoms[::2])  # type: ignore[union-attr]
