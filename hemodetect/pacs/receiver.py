"""Receives studies over DICOM (C-STORE), as `hemodetect receive`.

A file is encrypted on disk before its sender gets "success"; whatever goes wrong before gives a status
of the standard (PS3.4, B.2.3), and nothing is kept of the file. A study is complete when the
association that brought it ends as it should; where it breaks off, after a quiet time (`settle`).
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    Verification,
)

from hemodetect.errors import HemodetectError, SettingError, UnreadableFile
from hemodetect.pacs import inbox, worklist
from hemodetect.pacs.outcomes import (
    CANNOT_UNDERSTAND,
    CLASS_DOES_NOT_MATCH,
    DUPLICATE_INSTANCE,
    OUT_OF_RESOURCES,
    SUCCESS,
)
from hemodetect.settings import MIB, Settings, settings
from hemodetect.storage import audit_trail

_REFUSED_SENDER = (0x01, 0x01, 0x03)
"""Rejected for good, by the user of the service, calling AE title not recognised (PS3.8, 9.3.4)."""
_IMAGES = (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)
"""No secondary captures: a PACS that forwards what it gets would send our own heat maps back."""
_SYNTAXES = [one for one in ALL_TRANSFER_SYNTAXES if one != DeflatedExplicitVRLittleEndian]
"""Deflated headers may inflate without a limit."""
_MOST_ASSOCIATIONS = 20
_SILENT_SECONDS = 60  # also in the middle of a message
_LONGEST_MESSAGE = MIB
"""The parts of an image have 16 KiB, as is negotiated; only what is said before may be longer."""
_LAST_SECONDS = 20  # for what associations still have to note when the receiver is stopped

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Association:
    """What one association has brought.

    Attributes:
        sender: AE title and address.
        new, known: number of files by study, those that were there already apart.
        refused: number of files.
        missing: those of the refused that say which study they are of.
        announced: studies that stand in the worklist.
    """

    sender: str
    new: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    missing: list[inbox.Received] = field(default_factory=list)
    announced: set[str] = field(default_factory=set)


class Receiver:
    """A running receiver."""

    def __init__(self, current: Settings | None = None) -> None:
        self._settings = current or settings()
        self._allowed = _allowed(self._settings.receive_from)
        self._open: dict[int, _Association] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._lock = Lock()
        self._server: Any = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self, address: str = "") -> None:
        """Listens, in threads of its own.

        Args:
            address: of this machine; all of them if not given.

        Raises:
            SettingError: nobody may send, the certificate cannot be used, or the port is taken.
        """
        if not self._allowed:
            raise SettingError(
                "HEMODETECT_RECEIVE_FROM is empty, so nobody may send. Name the senders, e.g."
                " CT1@10.0.0.5, or * for everybody."
            )
        entity = AE(self._settings.ae_title)
        entity.require_called_aet = True
        entity.maximum_associations = _MOST_ASSOCIATIONS
        entity.network_timeout = entity.dimse_timeout = _SILENT_SECONDS
        for image in _IMAGES:
            entity.add_supported_context(image, _SYNTAXES)
        entity.add_supported_context(Verification)
        port = self._settings.receive_port
        try:
            self._server = entity.start_server(
                (address, port),
                block=False,
                ssl_context=_tls(self._settings),
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, self._connected),
                    (evt.EVT_REQUESTED, self._requested),
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_RELEASED, self._released),
                    (evt.EVT_ABORTED, self._broken_off),
                    (evt.EVT_CONN_CLOSE, self._broken_off),
                ],
            )
        except OSError as error:
            raise SettingError(
                f"Port {port} cannot be listened on ({error.strerror}); set HEMODETECT_RECEIVE_PORT."
            ) from error

    def stop(self) -> None:
        """Breaks off all associations, once each has noted what it brought; that is kept."""
        if self._server is None:
            return
        self._server.shutdown()
        associations = self._server.active_associations
        for association in associations:
            association.abort()
        deadline = time.monotonic() + _LAST_SECONDS
        for association in associations:
            if association.requestor.primitive is not None:  # else it never said what it wants
                association.join(max(0.0, deadline - time.monotonic()))

    def _connected(self, event: Event) -> None:
        """Limits what pynetdicom does not: how long a message is, and how long its end may take."""
        connection: Any = event.assoc.dul.socket
        connection.socket.settimeout(_SILENT_SECONDS)
        connection.recv = partial(_part_of_message, connection.socket, connection.recv)

    def _requested(self, event: Event) -> None:
        title, address = _peer(event)
        if not _is_allowed(self._allowed, title, address):
            log.warning("refused an association of %s@%s", title, address)
            event.assoc.acse.send_reject(*_REFUSED_SENDER)
            event.assoc.kill()

    def _store(self, event: Event) -> int:
        association = self._association(event)
        try:
            status = self._kept(event, association)
        except inbox.SameNameOtherImage:
            status = DUPLICATE_INSTANCE
        except UnreadableFile:
            status = CANNOT_UNDERSTAND
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            log.error("a file was refused: %s", "the disk is full" if full else error.strerror)
            status = OUT_OF_RESOURCES
        except HemodetectError as error:
            log.error("%s", error)
            status = OUT_OF_RESOURCES
        if status != SUCCESS:
            association.refused += 1
        return status

    def _kept(self, event: Event, association: _Association) -> int:
        request: Any = event.request
        if request.DataSet.getbuffer().nbytes > self._settings.max_file_bytes:
            return OUT_OF_RESOURCES
        data = event.encoded_dataset()
        received = inbox.described(data)
        stated = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        if (received.image_class, received.instance) != stated:
            return CLASS_DOES_NOT_MATCH
        status = OUT_OF_RESOURCES
        try:
            status = self._taken(received, data, association)
        finally:
            if status != SUCCESS:
                association.missing.append(received)
        return status

    def _taken(self, received: inbox.Received, data: bytes, association: _Association) -> int:
        study = received.study
        is_new = not inbox.has(received)
        if is_new:
            if not self._has_room(study, len(data)):
                return OUT_OF_RESOURCES
            # Before the file: were the program to stop in between, a row without files does no harm.
            self._announce(study, association)
        if not inbox.store(received, data):
            association.known[study] += 1
            return SUCCESS
        if not is_new:  # a damaged file was replaced: the models read the study again
            self._announce(study, association)
        association.new[study] += 1
        with self._lock:
            count, size = self._sizes.get(study, (0, 0))
            self._sizes[study] = count + 1, size + len(data)
        return SUCCESS

    def _announce(self, study: str, association: _Association) -> None:
        if study not in association.announced:
            worklist.arriving(study, association.sender)
            association.announced.add(study)

    def _has_room(self, study: str, more: int) -> bool:
        with self._lock:
            if study not in self._sizes:
                self._sizes[study] = inbox.size(study)
            count, size = self._sizes[study]
        if count < self._settings.max_files and size + more <= self._settings.max_study_bytes:
            return True
        log.error(
            "%s has %d files of %.0f MiB, as many as a study may have", study, count, size / MIB
        )
        return False

    def _released(self, event: Event) -> None:
        self._ended(event, whole=True)

    def _broken_off(self, event: Event) -> None:
        self._ended(event, whole=False)

    def _ended(self, event: Event, *, whole: bool) -> None:
        with self._lock:
            association = self._open.pop(id(event.assoc), None)
            still_coming = {s for other in self._open.values() for s in other.announced}
            for study in set(association.announced if association else ()) - still_coming:
                self._sizes.pop(study, None)  # counted anew on the disk the next time
        if association is None:
            return
        for image in association.missing:  # now, when the study has its folder if it ever has
            inbox.refuse(image)
        for study in sorted(set(association.new) | set(association.known)):
            detail = {
                "new": association.new[study],
                "known": association.known[study],
                "refused": association.refused,
                "whole": whole,
            }
            try:
                audit_trail.record(association.sender, "receive", study, detail)
                # What was refused is sent again, mostly; `settle` waits for it.
                is_complete = whole and not association.refused and study not in still_coming
                if is_complete and association.new[study]:
                    worklist.complete(study)
            except HemodetectError as error:
                log.error("%s: %s", study, error)  # `settle` takes it up
        log.info(
            "%s: new files %d, studies %d, known files %d, refused %d%s",
            association.sender, association.new.total(), len(association.new),
            association.known.total(), association.refused, "" if whole else "; it broke off",
        )  # fmt: skip

    def _association(self, event: Event) -> _Association:
        with self._lock:
            return self._open.setdefault(id(event.assoc), _Association("@".join(_peer(event))))


def _part_of_message(
    connection: socket.socket, receive: Callable[[int], bytearray], size: int
) -> bytearray:
    try:
        if size > _LONGEST_MESSAGE:
            raise OSError(f"a message of {size} bytes is not read")
        return receive(size)
    except OSError:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # pynetdicom takes it for closed
        raise


def _peer(event: Event) -> tuple[str, str]:
    requestor: Any = event.assoc.requestor
    title = str(requestor.primitive.calling_ae_title).strip()
    return title, str(requestor.address)


def _allowed(setting: str) -> tuple[tuple[str, str], ...]:
    """(AE title, address) of each sender; "" for any address, and the title * for everybody."""
    senders = [part.strip() for part in setting.split(",") if part.strip()]
    return tuple((one.partition("@")[0], one.partition("@")[2]) for one in senders)


def _is_allowed(allowed: tuple[tuple[str, str], ...], title: str, address: str) -> bool:
    return any(name in ("*", title) and (not place or place == address) for name, place in allowed)


class _LateHandshake(ssl.SSLContext):
    """Shakes hands in the association's own thread, with the first bytes that are read.

    pynetdicom would do it where it accepts connections; one that says nothing would stop all others.
    """

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """See `ssl`."""
        return super().wrap_socket(*arguments, **options | {"do_handshake_on_connect": False})


def _tls(current: Settings) -> ssl.SSLContext | None:
    if not current.receive_certificate:
        return None
    context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(current.receive_certificate, current.receive_key or None)
        if current.receive_ca:
            context.load_verify_locations(current.receive_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise SettingError(
            "The certificate of HEMODETECT_RECEIVE_CERTIFICATE, its key, or the authority of"
            f" HEMODETECT_RECEIVE_CA cannot be used ({type(error).__name__})."
        ) from error
    return context
