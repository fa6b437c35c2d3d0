"""The database: a SQLite file in the state folder, or the one of the setting `database_url`.

Its tables are those of the newest migration (``storage/migrations``). The first process that opens it
runs the missing migrations; all others wait for that.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from hemodetect.errors import HemodetectError, SettingError
from hemodetect.settings import settings

NEWEST = "0005"
"""Revision of the newest migration."""
MIGRATIONS = Path(__file__).parent / "migrations"

metadata = sql.MetaData()
"""All tables; the module that uses a table declares it."""

_WRITES = "hemodetect_writes"
_LOCK_NUMBER = 0x68656D6F  # of PostgreSQL's advisory lock while the tables are changed


class DatabaseDown(HemodetectError):
    """The database cannot be read or written now."""


def engine() -> sql.Engine:
    """Connections to the database, whose tables are up to date.

    Raises:
        SettingError: it cannot be reached, or a newer version created it.
    """
    current = settings()
    file = current.state.resolve() / "hemodetect.sqlite"
    return _engine(current.database_url or f"sqlite:///{file}")


@contextlib.contextmanager
def reading() -> Iterator[sql.Connection]:
    """A connection to read by; raises `DatabaseDown` where the database does not answer."""
    with _database_errors(), engine().connect() as connection:
        yield connection


@contextlib.contextmanager
def writing() -> Iterator[sql.Connection]:
    """A transaction that reads before it writes; nobody else writes from its beginning on.

    Raises:
        DatabaseDown: it cannot be written; then nothing of the transaction was.
    """
    with (
        _database_errors(),
        engine().connect() as connection,
        connection.execution_options(**{_WRITES: True}).begin(),
    ):
        if connection.dialect.name == "postgresql":
            connection.execute(
                sql.text("select pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER + 1}
            )
        yield connection


def stored_time(value: Any) -> Any:
    """A value as stored; a time with its zone, UTC, which SQLite does not keep."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except sql.exc.SQLAlchemyError as error:
        name = type(error.__cause__ or error).__name__  # its text may hold what was to be saved
        raise DatabaseDown(
            f"The database cannot be read or written now ({name}); nothing was saved. Is the disk full,"
            " or its server down? Try again soon."
        ) from error


@cache
def _engine(url: str) -> sql.Engine:
    try:
        parsed = sql.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            settings().state.mkdir(parents=True, exist_ok=True)
            new_engine = sql.create_engine(url, connect_args={"timeout": 30})
            sql.event.listen(new_engine, "connect", _set_pragmas)
            sql.event.listen(new_engine, "begin", _begin)
        else:
            new_engine = sql.create_engine(url, pool_pre_ping=True)
        if _revision(new_engine) != NEWEST:
            _upgrade(new_engine)
    except (sql.exc.SQLAlchemyError, ImportError, OSError) as error:
        name = type(error).__name__  # its text may hold the password
        raise SettingError(
            f"The database of HEMODETECT_DATABASE_URL cannot be used ({name})."
            " Check the address, and that its driver is installed."
        ) from error
    return new_engine


def _set_pragmas(connection: object, _: object) -> None:
    """Readers do not wait for writers, and a committed transaction is on disk."""
    # By default Python begins a transaction before some statements and not before others.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sql.Connection) -> None:
    # A transaction that has read and then wants to write is refused where another wrote meanwhile.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(new_engine: sql.Engine) -> str | None:
    with new_engine.connect() as connection:
        if not sql.inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(sql.text("select version_num from alembic_version"))


def _upgrade(new_engine: sql.Engine) -> None:
    """Runs the missing migrations, in one transaction."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _exclusive(new_engine) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SettingError(
                f"The database was created by a newer version of hemodetect ({error}); update this one."
            ) from error


@contextlib.contextmanager
def _exclusive(new_engine: sql.Engine) -> Iterator[sql.Connection]:
    """A transaction during which no other program changes the tables."""
    if new_engine.dialect.name == "sqlite" and new_engine.url.database:
        with Path(f"{new_engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with new_engine.begin() as connection:
                yield connection
        return
    with new_engine.begin() as connection:
        if new_engine.dialect.name == "postgresql":
            connection.execute(sql.text("select pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        yield connection
