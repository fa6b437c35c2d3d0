"""The audit trail finds a changed, removed or cut-off entry, and takes many writers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sql

from hemodetect.storage import audit_trail
from hemodetect.storage.audit_trail import TrailBroken, entries, record, verify
from hemodetect.storage.database import engine, writing

pytestmark = pytest.mark.usefixtures("database")


def forced(statement: str) -> None:
    """Runs a statement with the rights of the database's owner, who can switch off its protection."""
    with engine().begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sql.text("drop trigger if exists audit_trail_no_update"))
            connection.execute(sql.text("drop trigger if exists audit_trail_no_delete"))
        else:
            connection.execute(sql.text("alter table audit_trail disable trigger all"))
        connection.execute(sql.text(statement))


@pytest.fixture
def three() -> list[str]:
    """Digests of three entries."""
    return [
        record("ada", "open", "study-1").digest,
        record("bo", "read", "study-1", {"call": "none", "slices": [1, 2]}).digest,
        record("ada", "export", "session-1").digest,
    ]


def test_a_trail_that_nobody_touched_is_whole(three: list[str]) -> None:
    assert verify() == (3, three[-1])
    assert verify(seal=three[0]) == (3, three[-1])
    assert [entry.number for entry in entries()] == [1, 2, 3]
    assert [entry.who for entry in entries(last=2)] == ["bo", "ada"]
    assert entries()[1].detail == '{"call": "none", "slices": [1, 2]}'


@pytest.mark.parametrize(
    "statement", ["update audit_trail set who = 'eve'", "delete from audit_trail"]
)
def test_the_database_refuses_to_change_or_remove_an_entry(
    three: list[str], statement: str
) -> None:
    with pytest.raises(sql.exc.DBAPIError, match="only added to"), engine().begin() as connection:
        connection.execute(sql.text(statement))
    assert verify() == (3, three[-1])


@pytest.mark.parametrize(
    "column", ["at", "who", "action", "subject", "detail", "previous", "digest"]
)
def test_a_changed_entry_is_found_and_named(three: list[str], column: str) -> None:
    forced(f"update audit_trail set {column} = 'eve' where number = 2")
    with pytest.raises(TrailBroken, match=r"Entry 2 of"):
        verify()


def test_a_removed_entry_is_found(three: list[str]) -> None:
    forced("delete from audit_trail where number = 2")
    with pytest.raises(TrailBroken, match="lacks entry 2"):
        verify()


def test_a_trail_cut_off_at_its_end_is_found_by_its_seal(three: list[str]) -> None:
    forced("delete from audit_trail where number = 3")
    assert verify() == (2, three[1])
    with pytest.raises(TrailBroken, match="None of the 2 entries"):
        verify(seal=three[2])


def test_an_entry_is_undone_with_the_change_that_it_belongs_to(three: list[str]) -> None:
    def fail() -> None:
        with writing() as connection:
            record("ada", "read", "study-2", connection=connection)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert verify() == (3, three[-1])


def test_many_writers_at_once_make_one_chain() -> None:
    def write(who: int) -> None:
        for _ in range(10):
            record(f"reader {who}", "read", "study-1")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert verify()[0] == 60


def test_an_action_without_a_name_here_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of sign-in"):
        audit_trail.record("ada", "dance", "study-1")  # type: ignore[arg-type]
