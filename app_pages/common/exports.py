"""Download buttons; each download is recorded in the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath

from streamlit.delta_generator import DeltaGenerator

from app_pages.common.sign_in import acting_person
from hemodetect.storage import audit_trail

_KINDS = {
    ".csv": ("text/csv", ":material/download:"),
    ".pdf": ("application/pdf", ":material/picture_as_pdf:"),
    ".zip": ("application/zip", ":material/radiology:"),
}


def export_button(
    place: DeltaGenerator,
    label: str,
    file: str,
    make: Callable[[], bytes | str],
    subject: str,
    detail: Mapping[str, object],
    *,
    help_text: str | None = None,
) -> None:
    """A download button; `make` makes `file` on the click, and `subject` and `detail` are recorded.

    The entry is written where the file is made. A callback would rerun the page, and the file would be
    gone before the browser asks for it.
    """
    name, (kind, icon) = acting_person().name, _KINDS[PurePath(file).suffix]

    def make_and_record() -> bytes | str:
        data = make()
        audit_trail.record(name, "export", subject, {"file": label, **detail})
        return data

    place.download_button(
        label,
        make_and_record,
        file,
        kind,
        icon=icon,
        on_click="ignore",
        width="stretch",
        help=help_text,
    )
