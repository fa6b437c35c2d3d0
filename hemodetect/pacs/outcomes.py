"""What can come of asking a PACS, or of being asked: status codes of DICOM, and errors."""

from __future__ import annotations

from hemodetect.errors import HemodetectError

SUCCESS = 0x0000
DUPLICATE_INSTANCE = 0x0111
OUT_OF_RESOURCES = 0xA700
CLASS_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
TAKEN = (SUCCESS, DUPLICATE_INSTANCE, 0xB000, 0xB006, 0xB007)
"""Status of an object that is stored, or is there already (PS3.4, B.2.3)."""


class PacsError(HemodetectError):
    """The PACS cannot be reached, refuses, or answers something else than DICOMweb."""


class Unreachable(PacsError):
    """It may well answer later."""


class Refused(PacsError):
    """It will not take a result, however often it is asked."""


def check_taken(statuses: list[int], name: str) -> None:
    """Raises where an object was not stored.

    Args:
        statuses: of each object.
        name: of the PACS, to begin a sentence with.

    Raises:
        Unreachable: it has no room now.
        Refused: it will not take one.
    """
    failed = [status for status in statuses if status not in TAKEN]
    if any(status & 0xFF00 == OUT_OF_RESOURCES for status in failed):
        raise Unreachable(f"{name} has no room for results now.")
    if failed:
        raise Refused(f"{name} refused a result (status {failed[0]:04X}H).")
