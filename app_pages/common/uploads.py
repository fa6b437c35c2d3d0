"""Files that a person uploads: read once, then forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile


def forget_uploads(uploads: Iterable[UploadedFile]) -> None:
    """Drops the bytes of uploads that have been read.

    Streamlit holds them until the session ends: a study of 300 slices would be in memory twice, and
    its files, headers and names included, would outlive the study that was closed.
    """
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return
    for upload in uploads:
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
