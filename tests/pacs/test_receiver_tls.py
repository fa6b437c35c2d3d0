"""Over TLS, studies are received from those who show a known certificate."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from hospital import association_with, images_of
from pacs_peers import change
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
)
from pynetdicom import AE

from hemodetect.errors import SettingError
from hemodetect.pacs.receiver import Receiver


def test_a_connection_that_says_nothing_stops_nobody_else(
    state: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, bytes]
) -> None:
    _certificate(tmp_path, "server")
    change(
        state,
        receive_certificate=str(tmp_path / "server.pem"),
        receive_key=str(tmp_path / "server.key"),
    )
    one = Receiver()
    one.start("127.0.0.1")
    try:
        with socket.create_connection(("127.0.0.1", one.port)):
            context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
            entity = AE("SCANNER")
            entity.acse_timeout = 10
            entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            association = entity.associate(
                "127.0.0.1", one.port, ae_title="HEMODETECT", tls_args=(context, "127.0.0.1")
            )
            assert association.is_established
            association.release()
    finally:
        one.stop()


def test_with_tls_who_shows_no_known_certificate_is_not_let_in(
    state: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, bytes]
) -> None:
    _certificate(tmp_path, "server")
    _certificate(tmp_path, "client")
    change(
        state,
        receive_certificate=str(tmp_path / "server.pem"),
        receive_key=str(tmp_path / "server.key"),
        receive_ca=str(tmp_path / "client.pem"),
    )
    one = Receiver()
    one.start("127.0.0.1")
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        entity = AE("SCANNER")
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        arguments = {"ae_title": "HEMODETECT", "tls_args": (context, "127.0.0.1")}
        assert not entity.associate("127.0.0.1", one.port, **arguments).is_established
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        association = entity.associate("127.0.0.1", one.port, **arguments)
        assert association.is_established
        assert association.send_c_store(images_of(files)[0]).Status == 0
        association.release()
        assert not association_with(one.port).is_established  # in clear
    finally:
        one.stop()


def _certificate(folder: Path, name: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_certificate_that_cannot_be_read_is_named(state: pytest.MonkeyPatch) -> None:
    change(state, receive_certificate="missing.pem")
    with pytest.raises(SettingError, match="HEMODETECT_RECEIVE_CERTIFICATE"):
        Receiver().start("127.0.0.1")
