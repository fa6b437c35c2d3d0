"""Migrations make the tables that the code expects, and make them once, whatever opens them first."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import hemodetect.reviews.tables
import hemodetect.storage.audit_trail
import hemodetect.training.jobs.rows
from hemodetect.errors import SettingError
from hemodetect.storage.database import MIGRATIONS, NEWEST, engine, metadata

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
    code = "from hemodetect.storage.audit_trail import record; record('a', 'open', 's')"

    def program(_: int) -> int:
        return subprocess.run([sys.executable, "-c", code], timeout=120).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(program, range(4))) == [0, 0, 0, 0]
    assert hemodetect.storage.audit_trail.verify()[0] == 4


def test_jobs_of_a_version_without_migrations_are_kept() -> None:
    with engine().begin() as connection:
        tables = set(metadata.tables) - {"jobs"}
        first = ("reads", "model_reads", "review_skips", "review_readers", "review_studies")
        for table in (*first, *tables):
            connection.execute(sql.text(f"drop table if exists {table}"))
        connection.execute(sql.text("drop table alembic_version"))
        if connection.dialect.name == "postgresql":
            for table in ("reads", "model_reads", "review_skips", "audit_trail"):
                connection.execute(sql.text(f"drop function {table}_only_added"))
        connection.execute(
            sql.text(
                "insert into jobs values (7, 'old', '{}', 'cpu', 'ada', 'h', 'finished', '', false,"
                " '2026-01-01', null, null, '2026-01-01', 0, '{}', null)"
            )
        )
    from hemodetect.storage import database

    database._engine.cache_clear()
    with engine().connect() as connection:
        assert connection.scalar(sql.text("select number from jobs")) == 7
        assert sql.inspect(connection).has_table("reads")


def test_reads_of_the_migration_before_are_kept() -> None:
    url = engine().url.render_as_string(hide_password=False)
    with engine().begin() as connection:
        for statement in (
            "drop table worklist", "drop table deliveries",
            "drop table model_reads", "drop table review_skips", "drop table reads",
            "update alembic_version set version_num = '0001'", "drop table audit_trail",
            "drop table review_readers", "drop table review_studies", "drop table review_sessions",
        ):  # fmt: skip
            connection.execute(sql.text(statement))
        if connection.dialect.name == "postgresql":
            for table in ("reads", "model_reads", "review_skips", "audit_trail"):
                connection.execute(sql.text(f"drop function {table}_only_added"))
    from hemodetect.storage import database

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with sql.create_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0002")
        for statement in (
            "insert into review_sessions values ('s', 't', 'blind-first', 1, '2026-01-01', 'Lena')",
            "insert into review_readers values ('s', 'Ada', 0)",
            "insert into review_studies values ('s', 1, '{}', null)",
            "insert into reads values (1, 's', 1, 'Ada', 'shown', 'none', 3, '[]', '[]', '', 2.5,"
            " '2026-01-01')",
            "insert into model_reads values ('s', 1, 'cnn', 'cnn-1', 0.25, 0.5, false)",
        ):
            connection.execute(sql.text(statement))
    database._engine.cache_clear()
    with engine().connect() as connection:
        migrated = connection.execute(sql.select(hemodetect.reviews.tables.model_reads)).one()
        assert tuple(migrated) == ("s", 1, "cnn", "cnn-1", 0.25, 0.5, False, None)
        read = connection.execute(sql.select(hemodetect.reviews.tables.reads)).one()
        assert (read.seconds, read.bundles) == (2.5, [])
    for table in ("reads", "model_reads"):
        with pytest.raises(sql.exc.DBAPIError, match="only added to"), engine().begin() as open_:
            open_.execute(sql.text(f"delete from {table}"))


def test_a_database_of_a_newer_version_is_left_alone() -> None:
    with engine().begin() as connection:
        connection.execute(sql.text("update alembic_version set version_num = '9999'"))
    from hemodetect.storage import database

    database._engine.cache_clear()
    with pytest.raises(SettingError, match="newer version of hemodetect"):
        engine()
