"""A receiver's folders, and a PACS (Debian's Orthanc)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pacs_peers import PASSWORD, USER, Orthanc, free_port

from hemodetect.settings import settings
from hemodetect.storage.database import _engine

ORTHANC = "Orthanc"
DICOMWEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Debian's Orthanc with DICOMweb; skips where it is missing."""
    program = shutil.which(ORTHANC) or shutil.which(ORTHANC, path="/usr/sbin")
    if program is None or not Path(DICOMWEB_PLUGIN).exists():
        needed = "Orthanc is not installed (apt-get install orthanc orthanc-dicomweb)"
        if os.environ.get("HEMODETECT_REQUIRE_ORTHANC"):
            pytest.fail(needed)
        pytest.skip(needed)
    folder = tmp_path_factory.mktemp("orthanc")
    pacs = Orthanc(free_port(), free_port())
    (folder / "orthanc.json").write_text(
        json.dumps(
            {
                "Name": "test",
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "storage"),
                "HttpPort": pacs.web_port,
                "DicomPort": pacs.dicom_port,
                "DicomAet": pacs.title,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": True,
                "RegisteredUsers": {USER: PASSWORD},
                "DicomAlwaysAllowStore": True,
                "DicomCheckCalledAet": False,
                "Plugins": [DICOMWEB_PLUGIN],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
        )
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                pacs.ask("/system")
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, "Orthanc does not answer"
                time.sleep(0.2)
        yield pacs
    finally:
        process.terminate()
        process.wait(20)


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
