import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.audit.entry import Touched
from proxy.audit.journal import SqliteJournal
from proxy.audit.journal_file import JournalFile, connect
from proxy.errors import OwnError
from tests.audit.cases import READ, changed


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", writer="w1")
    yield opened
    opened.close()


async def record(journal: SqliteJournal, *names: str) -> None:
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(journal.record(changed(READ, id=name)))


def alter(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


TAMPERING = {
    "edited": ("UPDATE entry SET entry = replace(entry, 'anna', 'otto') WHERE seq = 2", "b"),
    "edited keeping its type": (
        "UPDATE entry SET entry = CAST(replace(entry, 'anna', 'otto') AS BLOB) WHERE seq = 2",
        "b",
    ),
    "edited beside": ("UPDATE entry SET recorded = 1 WHERE seq = 2", "b"),
    "removed": ("DELETE FROM entry WHERE seq = 2", "c"),
    "swapped": (
        "UPDATE entry SET seq = CASE seq WHEN 2 THEN -3 ELSE 2 END WHERE seq IN (2, 3)",
        "b",
    ),
    "truncated": ("DELETE FROM entry WHERE seq = 3", "b"),
}


@pytest.mark.parametrize("case", TAMPERING)
async def test_verify_names_the_entry_where_the_record_breaks(
    case: str, journal: SqliteJournal
) -> None:
    await record(journal, "a", "b", "c")
    statement, name = TAMPERING[case]
    alter(journal.file.path, statement)
    broken = journal.file.verify()
    assert broken is not None
    assert broken.entry_id == name


async def test_entries_can_be_asked_by_instant_and_patient(journal: SqliteJournal) -> None:
    for number, name in enumerate(("p1", "p10", "p1")):
        touched = (Touched(("List/l",), "disclosed", (f"Patient/{name}",)),)
        await journal.record(
            changed(READ, id=str(number), recorded=float(number), touched=touched, decisions=())
        )
    of_p1 = [entry.id for entry in journal.file.entries(patient="Patient/p1")]
    assert of_p1 == ["0", "2"]
    assert [entry.id for entry in journal.file.entries(since=1.0)] == ["1", "2"]


async def test_delivery_states_are_kept(journal: SqliteJournal) -> None:
    await record(journal, "a", "b", "c")
    journal.file.mark_delivered([1])
    journal.file.mark_stuck(2, "status 422")
    assert [waiting.id for waiting in journal.file.undelivered(10)] == ["c"]
    assert [(stuck.id, stuck.why) for stuck in journal.file.stuck()] == [("b", "status 422")]
    assert journal.file.verify() is None
    journal.file.retry_stuck()
    assert [waiting.id for waiting in journal.file.undelivered(10)] == ["b", "c"]


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.db"
    connect(path, 1.0).close()
    assert path.stat().st_mode & 0o077 == 0


def test_commits_are_durable(tmp_path: Path) -> None:
    connection = connect(tmp_path / "journal.db", 1.0)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_missing_journal_is_said_to_be_missing_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    for ask in (JournalFile(path).verify, JournalFile(path).heads, JournalFile(path).stuck):
        with pytest.raises(OwnError, match="cannot be read"):
            ask()
    assert not path.exists()


async def test_reading_does_not_write(journal: SqliteJournal) -> None:
    await record(journal, "a")
    with (
        pytest.raises(OwnError, match="readonly"),
        journal.file._reading() as connection,
    ):
        connection.execute("DELETE FROM entry")
