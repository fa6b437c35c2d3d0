"""Pseudonyms are stable, keyed, and their key is made once."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hemodetect.errors import SettingError
from hemodetect.imaging.pseudonym import _KEPT, KEY_FILE, pseudonym
from hemodetect.settings import Settings
from hemodetect.storage.secret_keys import _stored


@pytest.fixture
def without_key(tmp_path):
    return replace(Settings(), state=tmp_path / "state", pseudonym_key="")


def test_a_pseudonym_is_short_and_stable(limits):
    name = pseudonym("study", "4711", "1.2.3", limits=limits)
    assert re.fullmatch(r"study-[0-9a-f]{10}", name)
    assert name == pseudonym("study", "4711", "1.2.3", limits=limits)


def test_another_key_gives_another_pseudonym(limits):
    other = replace(limits, pseudonym_key="another")
    assert pseudonym("study", "4711", limits=limits) != pseudonym("study", "4711", limits=other)


def test_parts_are_kept_apart(limits):
    assert pseudonym("study", "ab", "c", limits=limits) != pseudonym(
        "study", "a", "bc", limits=limits
    )


def test_the_key_is_made_once_and_for_the_owner_alone(without_key):
    first = pseudonym("study", "4711", limits=without_key)
    file = without_key.state / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    _stored.cache_clear()  # as a new process
    assert pseudonym("study", "4711", limits=without_key) == first
    assert list(without_key.state.iterdir()) == [file]


def test_all_that_make_the_key_at_once_get_the_same(without_key):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: _stored.__wrapped__(_KEPT, without_key.state), range(32)))
    assert len(keys) == 1


def test_a_state_folder_that_cannot_be_made_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    limits = replace(Settings(), state=tmp_path / "file", pseudonym_key="")
    with pytest.raises(SettingError, match="HEMODETECT_PSEUDONYM_KEY"):
        pseudonym("study", "4711", limits=limits)


def test_a_key_that_was_cut_short_is_not_used(without_key):
    without_key.state.mkdir()
    (without_key.state / KEY_FILE).write_bytes(b"")
    with pytest.raises(SettingError, match="holds 0 bytes"):
        pseudonym("study", "4711", limits=without_key)
