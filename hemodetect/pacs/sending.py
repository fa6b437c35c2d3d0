"""Sends DICOM files to where the setting `send_to` says: over DICOMweb, or to an AE title."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from hemodetect.errors import SettingError
from hemodetect.pacs.dicomweb import Pacs, PacsError, Unreachable
from hemodetect.settings import settings

DICOMWEB = "dicomweb"
_PEER = re.compile(r"(?P<title>[^@]{1,16})@(?P<address>.+):(?P<port>\d{1,5})")
_SECONDS = 30
_WARNINGS = (0xB000, 0xB006, 0xB007, 0x0111)  # stored all the same, or there already


def send(files: Mapping[str, bytes]) -> None:
    """Sends all files; raises where one was not taken.

    Raises:
        Unreachable: the PACS does not answer, or has no room; it may later.
        PacsError: it refuses a file.
        SettingError: `send_to` names no PACS.
    """
    target = settings().send_to.strip()
    if target == DICOMWEB:
        Pacs().store(files)
        return
    peer = _PEER.fullmatch(target)
    if peer is None:
        raise SettingError(
            f"HEMODETECT_SEND_TO is {target!r}; expected dicomweb, or an AE title with address and port"
            " as in PACS@10.0.0.9:104."
        )
    _store(files, peer["title"], peer["address"], int(peer["port"]))


def _store(files: Mapping[str, bytes], title: str, address: str, port: int) -> None:
    data_sets = [dcmread(BytesIO(data)) for data in files.values()]
    entity = AE(settings().ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _SECONDS
    for image_class in {data_set.SOPClassUID for data_set in data_sets}:
        entity.add_requested_context(image_class, ExplicitVRLittleEndian)
    association = entity.associate(address, port, ae_title=title)
    if not association.is_established:
        if association.is_rejected:
            raise PacsError(
                f"{title} refuses the AE title {settings().ae_title}; have it registered there, or set"
                " HEMODETECT_AE_TITLE."
            )
        raise Unreachable(f"{title} does not answer (HEMODETECT_SEND_TO).")
    try:
        for data_set in data_sets:
            _stored(association.send_c_store(data_set).get("Status"), title)
    except ValueError as error:  # no accepted presentation context
        raise PacsError(
            f"{title} takes no structured reports or secondary captures; allow them there."
        ) from error
    finally:
        association.release()


def _stored(status: int | None, title: str) -> None:
    if status is None or status & 0xFF00 == 0xA700:
        raise Unreachable(
            f"{title} broke off, or has no room."
            if status is None
            else f"{title} has no room for results now (status {status:04X}H)."
        )
    if status and status not in _WARNINGS:
        raise PacsError(f"{title} refused a result (status {status:04X}H).")
