"""Buttons that give a file, with an entry in the audit trail for each that was taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath

from streamlit.delta_generator import DeltaGenerator

from hemodetect.storage import audit_trail
from pages.common.sign_in import acting_person

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
    """A button for `file`, made when it is asked for; `subject` and `detail` go into the trail.

    The entry is written where the file is made, not in a callback: that would run the page anew, and
    the file that the browser then asks for would be gone.
    """
    name, (kind, icon) = acting_person().name, _KINDS[PurePath(file).suffix]

    def made() -> bytes | str:
        data = make()
        audit_trail.record(name, "export", subject, {"file": label, **detail})
        return data

    place.download_button(
        label, made, file, kind, icon=icon, on_click="ignore", width="stretch", help=help_text
    )
