"""The folders and settings of a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pacs_peers import free_port, patient_files, small_phantom

from hemodetect.settings import settings
from hemodetect.storage.database import _engine


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Empty folders and an empty database; gives what changes further settings."""
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_RECEIVE_FROM", "SCANNER, PACS@127.0.0.1")
    monkeypatch.setenv("HEMODETECT_RECEIVE_PORT", str(free_port()))
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()
    _engine.cache_clear()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return patient_files(small_phantom(slices=6))
