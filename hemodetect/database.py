"""The database: a SQLite file in the folder of what must last, or what `database_url` says."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sql

from hemodetect.errors import SettingError
from hemodetect.settings import settings

metadata = sql.MetaData()
"""Every table of ours; the module that uses a table declares it."""


def engine() -> sql.Engine:
    """Connections to the database, whose tables are there.

    Raises:
        SettingError: it cannot be reached.
    """
    own = settings()
    return _engine(own.database_url or f"sqlite:///{own.state.resolve() / 'hemodetect.sqlite'}")


@cache
def _engine(url: str) -> sql.Engine:
    try:
        parsed = sql.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            settings().state.mkdir(parents=True, exist_ok=True)
            made = sql.create_engine(url, connect_args={"timeout": 30})
            sql.event.listen(made, "connect", _careful)
        else:
            made = sql.create_engine(url, pool_pre_ping=True)
        metadata.create_all(made)
    except (sql.exc.SQLAlchemyError, ImportError, OSError) as error:
        name = type(error).__name__  # its text may hold the password
        raise SettingError(
            f"The database of HEMODETECT_DATABASE_URL cannot be used ({name})."
            " Check the address, and that its driver is installed."
        ) from error
    return made


def _careful(connection: object, _: object) -> None:
    """Readers do not wait for writers, and what was confirmed is on disk."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
