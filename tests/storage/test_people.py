"""Roles come from the settings, and what they do not cover is refused with a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hemodetect.settings import settings
from hemodetect.storage.people import NotAllowed, local_person, signed_in_person


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HEMODETECT_LEADS", "Lena@clinic.example, head@clinic.example")
    monkeypatch.setenv("HEMODETECT_TRAINERS", "")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_whoever_signs_in_reads_and_those_named_lead() -> None:
    assert signed_in_person("ada@clinic.example").roles == {"reader"}
    assert signed_in_person("lena@CLINIC.example ").roles == {"reader", "lead"}


def test_nobody_trains_where_nobody_is_named() -> None:
    for address in ("", "ada@clinic.example", "*", ","):
        with pytest.raises(NotAllowed):
            signed_in_person(address).require("trainer")


def test_readers_may_be_named_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMODETECT_READERS", "bo@clinic.example")
    settings.cache_clear()
    assert signed_in_person("bo@clinic.example").roles == {"reader"}
    assert signed_in_person("ada@clinic.example").roles == set()


def test_without_sign_in_a_name_is_all_that_is_needed() -> None:
    local_person("Ada").require("trainer")
    for name in ("", "  ", "x" * 201):
        with pytest.raises(NotAllowed, match="name"):
            local_person(name).require("reader")
