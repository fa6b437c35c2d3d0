"""Receiver, models and app as processes that can be killed, and senders that do not give up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pacs_peers import free_port
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

ROOT = Path(__file__).parents[2]


@dataclass(eq=False)
class Hospital:
    """The processes of one state folder.

    Attributes:
        variables: settings of all.
        app_port: of the app.
    """

    variables: dict[str, str]
    app_port: int = field(default_factory=free_port)
    _running: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def receive_port(self) -> int:
        return int(self.variables["HEMODETECT_RECEIVE_PORT"])

    def start(self, name: str) -> None:
        """Starts "receive", "judge" or "app"."""
        command = [sys.executable, "-m", "hemodetect", name]
        if name == "app":
            port = f"--server.port={self.app_port}"
            command = [sys.executable, "-m", "streamlit", "run", "app.py", port]
        log = Path(self.variables["HEMODETECT_STATE"]).parent / f"{name}.log"
        with log.open("a") as output:
            self._running[name] = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | self.variables, stdout=output, stderr=output
            )

    def kill(self, name: str) -> None:
        """kill -9, and a start."""
        self._running[name].kill()
        self._running[name].wait()
        self.start(name)

    def died(self) -> list[str]:
        """Processes that ended by themselves."""
        return [name for name, one in self._running.items() if one.poll() is not None]

    def stop(self) -> None:
        for one in self._running.values():
            one.kill()
            one.wait()


@contextmanager
def hospital(folder: Path, names: Sequence[str]) -> Iterator[Hospital]:
    """A hospital with these processes, and an empty state folder in `folder`."""
    one = Hospital(
        {
            "HEMODETECT_STATE": str(folder / "state"),
            "HEMODETECT_RECEIVE_FROM": "*",
            "HEMODETECT_RECEIVE_PORT": str(free_port()),
            "HEMODETECT_QUIET_SECONDS": "3",
        }
    )
    try:
        for name in names:
            one.start(name)
        yield one
    finally:
        one.stop()


def send_until_taken(
    studies: Sequence[Mapping[str, bytes]], port: int, title: str, seconds: float = 600
) -> dict[str, float]:
    """Sends studies one after the other, as a scanner: what was not acknowledged is sent again.

    Returns:
        StudyInstanceUID -> time.monotonic() when its last image was acknowledged.
    """
    entity = AE(title)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    taken: dict[str, float] = {}
    deadline = time.monotonic() + seconds
    for files in studies:
        waiting: list[Dataset] = [dcmread(BytesIO(data)) for data in files.values()]
        uid = str(waiting[0].StudyInstanceUID)
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} images of {uid} were not taken"
            association = entity.associate("127.0.0.1", port, ae_title="HEMODETECT")
            if not association.is_established:
                time.sleep(0.2)
                continue
            with suppress(RuntimeError, OSError):  # the receiver was killed
                while waiting:
                    if association.send_c_store(waiting[0]).get("Status") != 0:
                        break
                    waiting.pop(0)
            with suppress(RuntimeError, OSError):
                association.release()
        taken[uid] = time.monotonic()
    return taken


def all_sent(
    batches: Sequence[Sequence[Mapping[str, bytes]]], port: int
) -> tuple[dict[str, float], list[threading.Thread]]:
    """Starts a sender for each batch; the times fill as images are taken."""
    taken: dict[str, float] = {}

    def send(number: int, batch: Sequence[Mapping[str, bytes]]) -> None:
        for files in batch:
            taken.update(send_until_taken([files], port, f"CT{number}"))

    threads = [
        threading.Thread(target=send, args=(n, batch), daemon=True)
        for n, batch in enumerate(batches, 1)
    ]
    for thread in threads:
        thread.start()
    return taken, threads


def images_of(files: dict[str, bytes]) -> list[Dataset]:
    return [dcmread(BytesIO(data)) for data in files.values()]


def association_with(port: int, title: str = "SCANNER", called: str = "HEMODETECT", classes=()):
    entity = AE(title)
    for image_class in (CTImageStorage, *classes):
        entity.add_requested_context(image_class, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title=called)
