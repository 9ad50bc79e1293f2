"""Grants at rest: an index that says nothing which no entry says, and that every connection sees at once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proxy.audit.entry import GrantAct, GrantNote
from proxy.audit.grants import SqliteGrants, State, key_of
from proxy.audit.journal import SqliteJournal
from proxy.errors import OwnError
from proxy.facts.grant import Holder
from tests.audit.cases import READ, changed

HOLDER = Holder("i", "s", "c", "Practitioner/a")
STARTED = GrantNote(
    GrantAct.STARTED, "g1", "Patient/p1", "i", "s", "c", "Practitioner/a", opened=100.0, expires=200.0,
    reason="sys#code", text="found unconscious",
)  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", writer="w")
    yield opened
    opened.close()


@pytest.fixture
def grants(journal: SqliteJournal) -> Iterator[SqliteGrants]:
    opened = SqliteGrants(journal.file.path)
    yield opened
    opened.close()


def act(kind: GrantAct, **fields: object) -> GrantNote:
    return msgspec.structs.replace(STARTED, act=kind, **fields)


async def record(
    journal: SqliteJournal, *notes: GrantNote, name: str = "e", at: float = 100.0
) -> None:
    await journal.record(changed(READ, id=name, recorded=at, grants=notes))


async def test_what_was_started_is_open_until_it_expires(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    assert grants.open_of(HOLDER, 150, 5) == ()
    await record(journal, STARTED)
    [grant] = grants.open_of(HOLDER, 150, 5)
    assert (grant.id, grant.patient, grant.opened, grant.expires, grant.reason) == (
        "g1", "Patient/p1", 100.0, 200.0, "sys#code")  # fmt: skip
    assert grant.holder == HOLDER
    assert grants.open_of(HOLDER, 200, 5) == ()
    assert grants.open_of(Holder("i", "s", "other"), 150, 5) == ()


@pytest.mark.parametrize("end", [GrantAct.ENDED, GrantAct.EXPIRED])
async def test_what_was_ended_is_open_no_more_whoever_starts_it_again(
    journal: SqliteJournal, grants: SqliteGrants, end: GrantAct
) -> None:
    await record(journal, STARTED)
    await record(journal, act(end))
    await record(journal, STARTED)
    assert grants.open_of(HOLDER, 150, 5) == ()


async def test_entries_that_share_a_transaction_are_each_found(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            note = act(GrantAct.STARTED, id=f"g{number}", patient=f"Patient/{number}")
            group.create_task(record(journal, *([note] if number % 2 else []), name=f"e{number}"))
    found = grants.open_of(HOLDER, 150, 50)
    assert {grant.id: grant.patient for grant in found} == {
        f"g{n}": f"Patient/{n}" for n in range(1, 20, 2)
    }
    assert journal.file.verify() is None


async def test_of_more_than_a_person_may_have_the_first_count(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    for number in range(4):
        await record(journal, act(GrantAct.STARTED, id=f"g{number}"))
    assert [grant.id for grant in grants.open_of(HOLDER, 150, 2)] == ["g0", "g1"]


async def test_a_grant_whose_entry_could_not_be_written_does_not_exist(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    with sqlite3.connect(journal.file.path, isolation_level=None) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON break_glass BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        with pytest.raises(OwnError):
            await record(journal, STARTED)
        other.execute("DROP TRIGGER full")
    other.close()
    assert grants.open_of(HOLDER, 150, 5) == ()
    assert list(journal.file.entries()) == []
    await record(journal, STARTED)
    assert len(grants.open_of(HOLDER, 150, 5)) == 1
    assert journal.file.verify() is None


async def test_an_index_that_points_elsewhere_opens_nothing(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    await record(journal)
    row = ("g9", key_of(HOLDER), 200.0, 0, 1)
    with sqlite3.connect(journal.file.path, isolation_level=None) as other:
        other.execute(
            "INSERT INTO break_glass (id, holder, expires, trusted, started_in) VALUES (?, ?, ?, ?, ?)",
            row,
        )
        with pytest.raises(OwnError):
            grants.open_of(HOLDER, 150, 5)
        await record(journal, STARTED)
        other.execute("UPDATE break_glass SET started_in = 2 WHERE id = 'g9'")
        with pytest.raises(OwnError):
            grants.open_of(HOLDER, 150, 5)
        other.execute("UPDATE break_glass SET started_in = 77")
    other.close()
    assert grants.open_of(HOLDER, 150, 5) == ()


async def test_the_index_cannot_lengthen_what_the_entry_says(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    await record(journal, STARTED)
    with sqlite3.connect(journal.file.path, isolation_level=None) as other:
        other.execute("UPDATE break_glass SET expires = 1e9")
    other.close()
    assert grants.open_of(HOLDER, 250, 5) == ()


async def test_the_queue_knows_each_state(journal: SqliteJournal, grants: SqliteGrants) -> None:
    for name in ("open", "ended", "expired", "noted", "reviewed"):
        expires = 110.0 if name in {"expired", "noted"} else 200.0
        await record(journal, act(GrantAct.STARTED, id=name, expires=expires))
    await record(journal, act(GrantAct.USED, id="ended"))
    await record(journal, act(GrantAct.USED, id="ended"))
    await record(journal, act(GrantAct.ENDED, id="ended"), at=120)
    await record(journal, act(GrantAct.EXPIRED, id="noted", expires=110.0), at=120)
    await record(journal, act(GrantAct.REVIEWED, id="reviewed", text="fine"), at=130)
    states = {one.note.id: one.state(150) for one in grants.queue()}
    assert states == {
        "open": State.OPEN, "ended": State.ENDED, "expired": State.EXPIRED, "noted": State.EXPIRED,
        "reviewed": State.REVIEWED,
    }  # fmt: skip
    [ended] = grants.queue("ended")
    assert (ended.uses, ended.started.recorded, ended.ended and ended.ended.recorded) == (
        2,
        100.0,
        120.0,
    )
    assert grants.queue("nothing") == ()
    assert grants.unreviewed() == 4
    assert [note.id for note in grants.run_out(150)] == ["expired"]


async def test_a_grant_of_a_trusted_token_begins_with_its_first_use_and_is_never_given_to_others(
    journal: SqliteJournal, grants: SqliteGrants
) -> None:
    use = act(GrantAct.USED, trusted=True, text="")
    await record(journal, use)
    await record(journal, use)
    assert grants.open_of(HOLDER, 150, 5) == ()
    [queued] = grants.queue()
    assert (queued.uses, queued.note.trusted, queued.state(150)) == (2, True, State.OPEN)


def test_what_is_no_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(OwnError):
        SqliteGrants(tmp_path / "nothing.db").unreviewed()


ALTERED = [
    "UPDATE break_glass SET ended_in = NULL",
    "UPDATE break_glass SET expires = 1e9",
    "UPDATE break_glass SET uses = 0",
    "UPDATE break_glass SET reviewed_in = 1",
    "DELETE FROM break_glass",
    "INSERT INTO break_glass (id, holder, expires, trusted, started_in) VALUES ('forged', 'x', 1, 0, 1)",
]


@pytest.mark.parametrize("statement", ALTERED)
async def test_an_index_that_was_altered_is_found(journal: SqliteJournal, statement: str) -> None:
    await record(journal, STARTED)
    await record(journal, act(GrantAct.USED))
    await record(journal, act(GrantAct.ENDED))
    assert journal.file.verify() is None
    with sqlite3.connect(journal.file.path, isolation_level=None) as other:
        other.execute(statement)
    other.close()
    found = journal.file.verify()
    assert found is not None
    assert "index of break-glass grants" in str(found)


async def test_a_journal_from_before_there_were_grants_is_whole(journal: SqliteJournal) -> None:
    await record(journal)
    with sqlite3.connect(journal.file.path, isolation_level=None) as other:
        other.execute("DROP TABLE break_glass")
    other.close()
    assert journal.file.verify() is None
