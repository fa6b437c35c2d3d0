"""The database: a SQLite file in the folder of what must last, or what `database_url` says.

Its tables are those of the newest migration (``storage/migrations``): who opens it first brings it
up to date, all others wait for that.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import sqlalchemy as sql

from hemodetect.errors import HemodetectError, SettingError
from hemodetect.settings import settings

NEWEST = "0003"
"""Revision of the newest migration."""
MIGRATIONS = Path(__file__).parent / "migrations"

metadata = sql.MetaData()
"""Every table of ours; the module that uses a table declares it."""

_WRITES = "hemodetect_writes"
_LOCK_NUMBER = 0x68656D6F  # of PostgreSQL's advisory lock while the tables are changed


class DatabaseDown(HemodetectError):
    """The database cannot be read or written now."""


def engine() -> sql.Engine:
    """Connections to the database, whose tables are there.

    Raises:
        SettingError: it cannot be reached, or was made by a newer version.
    """
    own = settings()
    return _engine(own.database_url or f"sqlite:///{own.state.resolve() / 'hemodetect.sqlite'}")


@contextlib.contextmanager
def reading() -> Iterator[sql.Connection]:
    """A connection to read by; raises `DatabaseDown` where the database does not answer."""
    with _in_words(), engine().connect() as connection:
        yield connection


@contextlib.contextmanager
def writing() -> Iterator[sql.Connection]:
    """A transaction that reads before it writes; nobody else writes from its beginning on.

    Raises:
        DatabaseDown: it cannot be written; then nothing of the transaction was.
    """
    with (
        _in_words(),
        engine().connect() as connection,
        connection.execution_options(**{_WRITES: True}).begin(),
    ):
        if connection.dialect.name == "postgresql":
            connection.execute(
                sql.text("select pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER + 1}
            )
        yield connection


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sql.exc.SQLAlchemyError as error:
        name = type(error.__cause__ or error).__name__  # its text may hold what was to be kept
        raise DatabaseDown(
            f"The database does not take or give what it should ({name}); nothing was kept. Is the disk"
            " full, or its server down? Try again soon."
        ) from error


@cache
def _engine(url: str) -> sql.Engine:
    try:
        parsed = sql.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            settings().state.mkdir(parents=True, exist_ok=True)
            made = sql.create_engine(url, connect_args={"timeout": 30})
            sql.event.listen(made, "connect", _careful)
            sql.event.listen(made, "begin", _begun)
        else:
            made = sql.create_engine(url, pool_pre_ping=True)
        if _revision(made) != NEWEST:
            _brought_up(made)
    except (sql.exc.SQLAlchemyError, ImportError, OSError) as error:
        name = type(error).__name__  # its text may hold the password
        raise SettingError(
            f"The database of HEMODETECT_DATABASE_URL cannot be used ({name})."
            " Check the address, and that its driver is installed."
        ) from error
    return made


def _careful(connection: object, _: object) -> None:
    """Readers do not wait for writers, and what was confirmed is on disk."""
    # By default Python begins a transaction before some statements and not before others.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begun(connection: sql.Connection) -> None:
    # A transaction that has read and then wants to write is refused where another wrote meanwhile.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(made: sql.Engine) -> str | None:
    with made.connect() as connection:
        if not sql.inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(sql.text("select version_num from alembic_version"))


def _brought_up(made: sql.Engine) -> None:
    """Runs what migrations are missing, in one transaction."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _alone(made) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SettingError(
                f"The database was made by a newer version of hemodetect ({error}); update this one."
            ) from error


@contextlib.contextmanager
def _alone(made: sql.Engine) -> Iterator[sql.Connection]:
    """A transaction that no other program changes the tables beside."""
    if made.dialect.name == "sqlite" and made.url.database:
        with Path(f"{made.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with made.begin() as connection:
                yield connection
        return
    with made.begin() as connection:
        if made.dialect.name == "postgresql":
            connection.execute(sql.text("select pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        yield connection
