import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.audit.journal import SqliteJournal, encoded
from proxy.audit.journal_file import JournalFile, entry_of
from proxy.errors import OwnError
from tests.audit.cases import ALL, READ, changed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(path, writer="w1")
    yield opened
    opened.close()


def ids(path: Path) -> list[str]:
    return [entry.id for entry in JournalFile(path).entries()]


async def record(journal: SqliteJournal, *names: str) -> None:
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(journal.record(changed(READ, id=name)))


async def test_what_is_recorded_can_be_read_back_as_it_was(journal: SqliteJournal) -> None:
    for entry in ALL.values():
        await journal.record(entry)
    assert list(journal.file.entries()) == list(ALL.values())


async def test_many_at_once_keep_their_order_and_one_chain(journal: SqliteJournal) -> None:
    names = [f"e{number}" for number in range(1000)]
    await record(journal, *names)
    assert ids(journal.file.path) == names
    assert journal.file.verify() is None
    assert [head.length for head in journal.file.heads()] == [1000]


async def test_those_who_wait_together_share_a_transaction(journal: SqliteJournal) -> None:
    await record(journal, *map(str, range(200)))
    with sqlite3.connect(journal.file.path) as connection:
        pages = journal.file.path.with_name("journal.db-wal").stat().st_size / 4096
        (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    connection.close()
    # A commit rewrites at least four pages (entry, index, writer, sequence): alone, they would be 800 and more.
    assert count == 200
    assert pages < 400


async def test_the_chain_goes_on_after_reopening(path: Path) -> None:
    for writer in ("w1", "w1", "w2"):
        journal = SqliteJournal(path, writer=writer)
        await record(journal, "a", "b")
        journal.close()
    assert JournalFile(path).verify() is None
    assert [(head.writer, head.length) for head in JournalFile(path).heads()] == [
        ("w1", 4),
        ("w2", 2),
    ]


async def test_a_later_writer_vouches_for_the_chains_before_it(path: Path) -> None:
    for writer in ("w1", "w2"):
        journal = SqliteJournal(path, writer=writer)
        await record(journal, "a")
        journal.close()
    alter(path, "DELETE FROM entry WHERE writer = 'w1'", "DELETE FROM writer WHERE id = 'w1'")
    broken = JournalFile(path).verify()
    assert broken is not None
    assert "a chain of 1 entries was removed" in str(broken)


def alter(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


async def test_a_closed_journal_takes_nothing(journal: SqliteJournal) -> None:
    await record(journal, "a")
    journal.close()
    with pytest.raises(OwnError, match="closed"):
        await journal.record(READ)


async def test_closing_writes_what_waits(journal: SqliteJournal) -> None:
    waiting = asyncio.ensure_future(record(journal, "a", "b"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    journal.close()
    await waiting
    assert ids(journal.file.path) == ["a", "b"]


async def test_a_cancelled_request_does_not_disturb_the_others(journal: SqliteJournal) -> None:
    tasks = [asyncio.ensure_future(record(journal, name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(tasks[0], tasks[2])
    await record(journal, "d")
    assert journal.file.verify() is None
    assert {"a", "c", "d"} <= set(ids(journal.file.path))


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OwnError, match="cannot be opened"):
        SqliteJournal(tmp_path, writer="w")


def test_a_file_that_is_no_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(OwnError, match="cannot be opened"):
        SqliteJournal(path, writer="w")
    with pytest.raises(OwnError, match="cannot be read"):
        JournalFile(path).verify()


async def test_a_journal_replaced_while_in_use_takes_nothing(journal: SqliteJournal) -> None:
    await record(journal, "a")
    path = journal.file.path
    path.rename(path.with_name("moved.db"))
    with pytest.raises(OwnError, match="cannot write"):
        await journal.record(READ)
    path.touch()
    with pytest.raises(OwnError, match="replaced"):
        await journal.record(READ)


async def test_a_journal_whose_head_was_removed_takes_nothing(journal: SqliteJournal) -> None:
    await record(journal, "a")
    alter(journal.file.path, "ALTER TABLE entry RENAME TO gone")
    with pytest.raises(OwnError):
        await journal.record(READ)
    alter(journal.file.path, "ALTER TABLE gone RENAME TO entry", "DELETE FROM writer")
    with pytest.raises(OwnError, match="removed"):
        await journal.record(READ)


async def test_a_journal_locked_for_too_long_refuses_and_recovers(path: Path) -> None:
    journal = SqliteJournal(path, writer="w", patience_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OwnError, match="locked"):
        await record_one(journal, "a")
    other.execute("ROLLBACK")
    other.close()
    await record_one(journal, "b")
    assert ids(path) == ["b"]
    assert journal.file.verify() is None
    journal.close()


async def record_one(journal: SqliteJournal, name: str) -> None:
    await journal.record(changed(READ, id=name))


def test_code_units_that_are_no_text_are_kept_as_escapes() -> None:
    body = encoded(changed(READ, target="/fhir/\udcff", accept="\ud800"))
    entry = entry_of(body)
    assert entry.target == "/fhir/\\udcff"
    assert entry.touched == READ.touched


def test_no_credential_is_kept() -> None:
    body = encoded(
        changed(READ, target="/fhir/Patient?access_token=s3cr3t", accept="Bearer s3cr3t")
    )
    assert b"s3cr3t" not in body


RECORD_FOREVER = """
import asyncio, dataclasses, sys, msgspec
from pathlib import Path
from proxy.audit.journal import SqliteJournal
from tests.audit.cases import READ, changed

async def writer(journal, name):
    number = 0
    while True:
        number += 1
        await journal.record(changed(READ, id=f"{name}.{number}"))
        sys.stdout.write(f"{name}.{number}\\n")
        sys.stdout.flush()

async def main():
    journal = SqliteJournal(Path(sys.argv[1]), writer=sys.argv[2])
    async with asyncio.TaskGroup() as group:
        for one in range(8):
            group.create_task(writer(journal, f"{sys.argv[2]}.{one}"))

asyncio.run(main())
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  our own interpreter and script
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """What was acknowledged when SIGKILL came, in the middle of the work; a line cut short does not count."""
    assert process.stdout is not None
    early = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    return [
        line.strip() for line in [*early, *rest.splitlines(keepends=True)] if line.endswith("\n")
    ]


@pytest.mark.parametrize("lines", [1, 137, 900])
async def test_kill_loses_nothing_that_was_acknowledged(path: Path, lines: int) -> None:
    acknowledged = killed_after(start(RECORD_FOREVER, str(path), "w1"), lines)
    assert len(acknowledged) >= lines
    assert set(acknowledged) <= set(ids(path))
    assert JournalFile(path).verify() is None
    again = SqliteJournal(path, writer="w2")
    await record_one(again, "later")
    again.close()
    assert JournalFile(path).verify() is None


def test_processes_that_start_together_share_one_file(path: Path) -> None:
    writers = ("w1", "w2", "w3")
    processes = [start(RECORD_FOREVER, str(path), writer) for writer in writers]
    acknowledged = [name for process in processes for name in killed_after(process, 100)]
    assert set(acknowledged) <= set(ids(path))
    assert JournalFile(path).verify() is None
    assert [head.writer for head in JournalFile(path).heads()] == [*writers]
    assert all(head.length >= 100 for head in JournalFile(path).heads())


def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda n: SqliteJournal(path, writer=f"w{n}"), range(8)))
    for journal in opened:
        journal.close()
    assert len(JournalFile(path).heads()) == 8
    assert JournalFile(path).verify() is None


FILL_THE_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
from proxy.audit.journal import SqliteJournal
from proxy.errors import OwnError
from tests.audit.cases import READ, changed

async def main():
    path = Path(sys.argv[1])
    journal = SqliteJournal(path, writer="w")
    kept, refused = [], ""
    # No file of this process may grow beyond this: what a full disk looks like.
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    for number in range(1000):
        try:
            await journal.record(changed(READ, id=str(number)))
        except OwnError as error:
            refused = error.detail
            break
        kept.append(str(number))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.record(changed(READ, id="space again"))
    kept.append("space again")
    journal.close()
    print(json.dumps({"kept": kept, "refused": refused}))

asyncio.run(main())
"""


def test_a_full_disk_refuses_and_later_goes_on(path: Path) -> None:
    process = start(FILL_THE_DISK, str(path))
    output, _ = process.communicate(timeout=60)
    told = json.loads(output)
    assert told["refused"].startswith("the journal cannot write")
    assert set(told["kept"]) <= set(ids(path))
    assert told["kept"][-1] == "space again"
    assert JournalFile(path).verify() is None
