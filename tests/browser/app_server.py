"""Starts the app for a browser test, with separate folders and a separate database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_app(variables: Mapping[str, str], port: int | None = None) -> Iterator[str]:
    """Runs the app with these environment variables; yields its address."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | dict(variables))
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, "the app ended before it could be reached"
                assert time.monotonic() < deadline, "the app does not answer"
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
