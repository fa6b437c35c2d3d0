"""A chain names the entry that was changed, and digests of earlier versions are still valid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from hemodetect.registry.promotion import Promotion
from hemodetect.storage.audit_trail import Entry
from hemodetect.storage.hash_chain import FIRST_LINK, ChainBroken, checked_entries, entry_digest


@dataclass(frozen=True)
class Note:
    text: str
    previous: str


@pytest.fixture
def chain() -> list[tuple[Note, str]]:
    entries: list[tuple[Note, str]] = []
    for text in ("one", "two", "three"):
        note = Note(text, entries[-1][1] if entries else FIRST_LINK)
        entries.append((note, entry_digest(note)))
    return entries


def test_a_whole_chain_gives_its_entries(chain: list[tuple[Note, str]]) -> None:
    assert [note.text for note in checked_entries(chain)] == ["one", "two", "three"]
    assert list(checked_entries(list[tuple[Note, str]]())) == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_entry_is_named_and_those_before_it_are_given(
    place: int, chain: list[tuple[Note, str]]
) -> None:
    note, digest = chain[place]
    chain[place] = (replace(note, text="other"), digest)
    passed = []
    with pytest.raises(ChainBroken) as caught:
        passed.extend(note.text for note in checked_entries(chain))
    assert caught.value.number == place + 1
    assert caught.value.entry == chain[place][0]


@pytest.mark.parametrize("place", [0, 1])
def test_a_removed_entry_breaks_the_chain_where_it_was(
    place: int, chain: list[tuple[Note, str]]
) -> None:
    del chain[place]
    with pytest.raises(ChainBroken) as caught:
        list(checked_entries(chain))
    assert caught.value.number == place + 1


def test_a_rewritten_entry_with_a_fitting_digest_breaks_the_next_link(
    chain: list[tuple[Note, str]],
) -> None:
    other = replace(chain[1][0], text="other")
    chain[1] = (other, entry_digest(other))
    with pytest.raises(ChainBroken) as caught:
        list(checked_entries(chain))
    assert caught.value.number == 3


def test_digests_of_both_trails_are_those_of_earlier_versions() -> None:
    entry = Entry(
        1, "2026-11-24T10:00:00.000+00:00", "ada", "read", "study-1", '{"call": "none"}', FIRST_LINK
    )
    promotion = Promotion(
        "2026-11-24T10:00:00+00:00", "ada", "übung", "promote", "svm", None, "paper-1", FIRST_LINK
    )
    assert entry.digest == "4217f70ab04fef5d9252385f9f3f58908913cdc1a598bd949636709d1df957d1"
    assert promotion.digest == "d0d8ff4641f1b5bc3344b9f5899e343a4b401e610968ba5ad05712bfaa1a2fc4"
