"""Uploads leave Streamlit's memory once they are read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from app_pages.common import uploads


def test_only_the_given_files_of_this_session_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    for session in ("mine", "other"):
        for name in ("a", "b"):
            manager.add_file(session, UploadedFileRec(name, name, "", b"pixels"))
    context = SimpleNamespace(uploaded_file_mgr=manager, session_id="mine")
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    uploads.forget_uploads([SimpleNamespace(file_id="a")])  # type: ignore[list-item]
    assert [file.file_id for file in manager.get_files("mine", ["a", "b"])] == ["b"]
    assert len(manager.get_files("other", ["a", "b"])) == 2
