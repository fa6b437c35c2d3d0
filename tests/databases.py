"""Databases that tests run against: SQLite always, PostgreSQL where Debian's is installed."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql

from hemodetect.settings import settings


def _postgres_programs() -> Path | None:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return binaries[-1].parent if binaries else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server of this test run, without a database's name."""
    programs = _postgres_programs()
    if programs is None:
        if os.environ.get("HEMODETECT_REQUIRE_POSTGRES"):
            pytest.fail("PostgreSQL is not installed (apt-get install postgresql)")
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # It refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    account = pwd.getpwnam(user)
    # Short: the path of a socket may have 107 characters.
    home = Path(f"/tmp/hemodetect-pg-{os.getpid()}")
    home.mkdir()
    os.chown(home, account.pw_uid, account.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run_as = {"user": account.pw_uid, "group": account.pw_gid} if os.getuid() == 0 else {}
    data = home / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "hemodetect", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=home, **run_as)
    command = [programs / "postgres", "-D", data, "-p", str(port), "-k", home, "-h", "127.0.0.1"]
    server = subprocess.Popen(
        command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **run_as
    )
    address = f"postgresql+psycopg://hemodetect@127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                sql.create_engine(f"{address}/postgres").connect().close()
                break
            except sql.exc.OperationalError:
                assert server.poll() is None, "PostgreSQL ended before it could be reached"
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.1)
        yield address
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: its data are thrown away
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """Address of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    server = sql.create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sql.text(f"create database {name}"))
    server.dispose()
    return f"{postgres}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Address of an empty database that the settings name. Runs a test once for each kind."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_DATABASE_URL", url)
    settings.cache_clear()
    yield url
    settings.cache_clear()
