"""Migrations make the tables that the code expects, once, whoever comes first."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import hemodetect.audit_trail
import hemodetect.reviews.tables
import hemodetect.training.job_rows
from hemodetect.database import MIGRATIONS, NEWEST, engine, metadata
from hemodetect.errors import SettingError

pytestmark = pytest.mark.usefixtures("database")


def test_migrations_make_exactly_the_tables_of_the_code() -> None:
    with engine().connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == NEWEST


def test_the_newest_migration_is_the_one_the_code_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


def test_programs_that_open_a_new_database_at_once_all_find_it_ready() -> None:
    code = "from hemodetect.audit_trail import record; record('a', 'open', 's')"

    def program(_: int) -> int:
        return subprocess.run([sys.executable, "-c", code], timeout=120).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(program, range(4))) == [0, 0, 0, 0]
    assert hemodetect.audit_trail.verify()[0] == 4


def test_jobs_of_a_version_without_migrations_are_kept() -> None:
    with engine().begin() as connection:
        tables = set(metadata.tables) - {"jobs"}
        for table in ("reads", "model_reads", "review_readers", "review_studies", *tables):
            connection.execute(sql.text(f"drop table if exists {table}"))
        connection.execute(sql.text("drop table alembic_version"))
        if connection.dialect.name == "postgresql":
            for table in ("reads", "model_reads", "audit_trail"):
                connection.execute(sql.text(f"drop function {table}_only_added"))
        connection.execute(
            sql.text(
                "insert into jobs values (7, 'old', '{}', 'cpu', 'ada', 'h', 'finished', '', false,"
                " '2026-01-01', null, null, '2026-01-01', 0, '{}', null)"
            )
        )
    from hemodetect import database

    database._engine.cache_clear()
    with engine().connect() as connection:
        assert connection.scalar(sql.text("select number from jobs")) == 7
        assert sql.inspect(connection).has_table("reads")


def test_a_database_of_a_newer_version_is_left_alone() -> None:
    with engine().begin() as connection:
        connection.execute(sql.text("update alembic_version set version_num = '9999'"))
    from hemodetect import database

    database._engine.cache_clear()
    with pytest.raises(SettingError, match="newer version of hemodetect"):
        engine()
