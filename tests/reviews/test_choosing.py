"""Studies of a session are drawn in equal parts, and the same again."""

from __future__ import annotations

import pytest

from hemodetect.reviews.choosing import balanced_patients, made_up_heads
from hemodetect.reviews.sources import Truth

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
    assert made_up_heads(6, 1) == made_up_heads(6, 1)


def test_every_second_made_up_head_bleeds() -> None:
    heads = made_up_heads(6, 10)
    assert [truth for _, truth in heads] == ["hemorrhage", "none"] * 3
    assert len({source for source, _ in heads}) == 6
    assert all(5 <= source.millilitres <= 40 for source, _ in heads[::2])  # type: ignore[union-attr]
