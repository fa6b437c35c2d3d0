"""Sends DICOM files to where the setting `send_to` says: over DICOMweb, or to an AE title."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from hemodetect.errors import SettingError
from hemodetect.pacs.dicomweb import Pacs
from hemodetect.pacs.outcomes import PacsError, Unreachable, check_taken
from hemodetect.settings import settings

DICOMWEB = "dicomweb"
_PEER = re.compile(r"(?P<title>[^@]{1,16})@(?P<address>.+):(?P<port>\d{1,5})")
_SECONDS = 30


def send(files: Mapping[str, bytes]) -> None:
    """Sends all files; raises where one was not taken.

    Raises:
        Refused: the PACS will not take a file.
        PacsError: it does not take them now: it does not answer, has no room, or does not let us in.
        SettingError: `send_to` names no PACS.
    """
    peer = _peer()
    if peer is None:
        Pacs().store(files)
        return
    data_sets = [dcmread(BytesIO(data)) for data in files.values()]
    classes = {data_set.SOPClassUID for data_set in data_sets}
    with _association(peer, classes) as association:
        try:
            for data_set in data_sets:
                _check(association.send_c_store(data_set).get("Status"), peer.title)
        except RuntimeError as error:  # it broke off
            raise Unreachable(f"{peer.title} broke off.") from error
        except ValueError as error:  # no accepted presentation context
            raise PacsError(
                f"{peer.title} takes no structured reports or secondary captures; allow them there."
            ) from error


def ask() -> None:
    """Raises as `send` where the PACS does not answer."""
    peer = _peer()
    if peer is None:
        Pacs().ask()
        return
    with _association(peer, {Verification}) as association:
        _check(association.send_c_echo().get("Status"), peer.title)


@dataclass(frozen=True)
class _Peer:
    title: str
    address: str
    port: int


def _peer() -> _Peer | None:
    """Whom the setting names; None for the DICOMweb service. Raises `SettingError`."""
    target = settings().send_to.strip()
    if target == DICOMWEB:
        return None
    named = _PEER.fullmatch(target)
    if named is None:
        raise SettingError(
            f"HEMODETECT_SEND_TO is {target!r}; expected dicomweb, or an AE title with address and port"
            " as in PACS@10.0.0.9:104."
        )
    return _Peer(named["title"], named["address"], int(named["port"]))


@contextmanager
def _association(peer: _Peer, classes: Collection[str]) -> Iterator[Association]:
    entity = AE(settings().ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _SECONDS
    for one in classes:
        entity.add_requested_context(one, ExplicitVRLittleEndian)
    association = entity.associate(peer.address, peer.port, ae_title=peer.title)
    if association.is_rejected:
        raise PacsError(
            f"{peer.title} refuses the AE title {settings().ae_title}; have it registered there, or set"
            " HEMODETECT_AE_TITLE."
        )
    if not association.is_established:
        raise Unreachable(f"{peer.title} does not answer (HEMODETECT_SEND_TO).")
    try:
        yield association
    finally:
        association.release()


def _check(status: int | None, title: str) -> None:
    if status is None:
        raise Unreachable(f"{title} broke off.")
    check_taken([status], title)
