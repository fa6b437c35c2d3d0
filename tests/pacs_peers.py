"""A PACS (Debian's Orthanc) to ask, and studies to send."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Bleed, Phantom, head_phantom
from hemodetect.settings import settings

ORTHANC = "Orthanc"
DICOMWEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
USER, PASSWORD = "reader", "a-password"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running PACS."""

    web_port: int
    dicom_port: int
    title: str = "ORTHANC"

    @property
    def dicomweb(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    def ask(self, path: str, data: bytes | None = None) -> object:
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", data)
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def keep(self, files: Mapping[str, bytes]) -> None:
        for data in files.values():
            self.ask("/instances", data)

    def instances(self, **wanted: str) -> list[dict]:
        """Of the instances with these values, what Orthanc says of each."""
        query = {"Level": "Instance", "Query": wanted, "Expand": True}
        found = self.ask("/tools/find", json.dumps(query).encode())
        assert isinstance(found, list)
        return [
            {**one, "tags": self.ask(f"/instances/{one['ID']}/simplified-tags")} for one in found
        ]


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


def change(patch: pytest.MonkeyPatch, **values: str) -> None:
    """Changes settings of a test, by name."""
    for name, value in values.items():
        patch.setenv(f"HEMODETECT_{name.upper()}", value)
    settings.cache_clear()


def small_phantom(
    bleeds: tuple[Bleed, ...] = (), seed: int = 0, slices: int = 24, spacing_mm: float = 5.0
) -> Phantom:
    return head_phantom(
        bleeds,
        slices=slices,
        size=192,
        pixel_spacing_mm=1.2,
        slice_spacing_mm=spacing_mm,
        seed=seed,
    )


def patient_files(
    phantom: Phantom, patient: str = "4711", name: str = "Müller^Anna", **more: str
) -> dict[str, bytes]:
    """A phantom's series with the identity of a person, as a scanner writes it."""
    files = {}
    for file, data in dicom_files(phantom):
        header = dcmread(BytesIO(data))
        header.SpecificCharacterSet = "ISO_IR 100"
        header.PatientID, header.PatientName = patient, name
        header.PatientBirthDate, header.PatientSex = "19500101", "F"
        header.AccessionNumber, header.StudyID = f"A{patient}", "S1"
        header.StudyDate, header.StudyTime = "20261120", "101500"
        header.StudyDescription, header.SeriesDescription = "CT Schädel", "Schädel 5.0"
        for keyword, value in more.items():
            setattr(header, keyword, value)
        # The same phantom may be sent as several patients.
        uid = generate_uid(entropy_srcs=[patient, file, str(header.SeriesInstanceUID)])
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = uid
        written = BytesIO()
        header.save_as(written, enforce_file_format=True)
        files[file] = written.getvalue()
    return files
