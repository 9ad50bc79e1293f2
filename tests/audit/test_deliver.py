import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.deliver import Fate, Outbox, Pace, deliver
from proxy.audit.entry import Actor
from proxy.audit.event import events_of
from proxy.audit.journal import SqliteJournal
from proxy.audit.journal_file import JournalFile
from proxy.errors import OwnError, UpstreamError
from tests.audit.cases import ALL, OBSERVER, READ, SEARCH, changed

Answer = int | type[UpstreamError]


class Repository:
    """An Audit Record Repository in memory: answers as told, then takes everything."""

    def __init__(self, stop: asyncio.Event, enough: Callable[["Repository"], bool]) -> None:
        self.events: dict[str, dict[str, object]] = {}
        self.posted: list[dict[str, object]] = []
        self.asked: list[str] = []
        self.answers: Callable[[str], Answer] = lambda _: 201
        self._stop, self._enough = stop, enough

    async def __call__(self, event_id: str, body: bytes) -> int:
        await asyncio.sleep(0)
        self.asked.append(event_id)
        answer = self.answers(event_id)
        if answer == 201 and event_id:
            self.events[event_id] = json.loads(body)
        elif answer == 201:
            self.posted.append(json.loads(body))
        if self._enough(self):
            self._stop.set()
        if not isinstance(answer, int):
            raise UpstreamError("no answer")
        return answer


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", writer="w")
    yield opened
    opened.close()


async def filled(journal: SqliteJournal, number: int) -> list[str]:
    """The ids of the events of so many reads."""
    entries = [changed(READ, id=f"e{index}") for index in range(number)]
    for entry in entries:
        await journal.record(entry)
    return [e["id"] for entry in entries for e in events_of(entry, observer=OBSERVER)]


def pace(**fields: object) -> Pace:
    fast = {"jitter": lambda: 0.0, "first_s": 0.001, "longest_s": 0.01, "idle_s": 0.01}
    return Pace(**(fast | fields))  # type: ignore[arg-type]  # settings by name


async def run(
    outbox: Outbox, repository: Repository, stop: asyncio.Event, **fields: object
) -> None:
    async with asyncio.timeout(20):
        await deliver(outbox, repository, OBSERVER, stop, pace(**fields))


def until(number: int) -> tuple[asyncio.Event, Repository]:
    stop = asyncio.Event()
    return stop, Repository(stop, lambda one: len(one.events) + len(one.posted) >= number)


async def test_every_event_arrives_once_and_valid(journal: SqliteJournal) -> None:
    expected = await filled(journal, 20)
    stop, repository = until(len(expected))
    await run(journal.file, repository, stop)
    assert sorted(repository.asked) == sorted(expected)
    for name, event in repository.events.items():
        assert AuditEvent.model_validate(event).id == name
    assert journal.file.undelivered(10) == []


async def test_r5_repositories_get_r5(journal: SqliteJournal) -> None:
    await journal.record(READ)
    stop, repository = until(2)
    async with asyncio.timeout(20):
        await deliver(journal.file, repository, OBSERVER, stop, pace(), "5.0.0")
    assert all("category" in event for event in repository.events.values())


@pytest.mark.parametrize("answer", [UpstreamError, 500, 503, 429, 408, 401, 403, 302])
async def test_what_may_pass_is_tried_until_it_is_taken(
    journal: SqliteJournal, answer: Answer
) -> None:
    expected = await filled(journal, 2)
    stop, repository = until(len(expected))
    refused: dict[str, int] = {}

    def thrice(event_id: str) -> Answer:
        refused[event_id] = refused.get(event_id, 0) + 1
        return answer if refused[event_id] <= 3 else 201

    repository.answers = thrice
    await run(journal.file, repository, stop)
    assert set(repository.events) == set(expected)
    assert set(refused.values()) == {4}
    assert journal.file.stuck() == []


async def test_what_will_never_be_taken_is_kept_flagged_and_passed_by(
    journal: SqliteJournal,
) -> None:
    expected = await filled(journal, 3)
    bad = expected[2]
    stop, repository = until(len(expected) - 1)
    repository.answers = lambda event_id: 422 if event_id == bad else 201
    fates: list[Fate] = []
    await run(journal.file, repository, stop, tell=fates.append)
    assert set(repository.events) == set(expected) - {bad}
    (stuck,) = journal.file.stuck()
    assert stuck.id == "e1"
    assert stuck.why == f"the repository answered 422 to {bad}"
    assert fates.count(Fate.STUCK) == 1
    assert journal.file.undelivered(10) == []
    assert [entry.id for entry in journal.file.entries()] == ["e0", "e1", "e2"]


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_repository_that_takes_no_client_ids_gets_post(
    journal: SqliteJournal, status: int
) -> None:
    expected = await filled(journal, 2)
    stop, repository = until(len(expected))
    repository.answers = lambda event_id: status if event_id else 201
    await run(journal.file, repository, stop)
    assert len(repository.posted) == len(expected)
    assert all("id" not in event for event in repository.posted)


async def test_a_wrong_address_makes_no_dead_letters(journal: SqliteJournal) -> None:
    await filled(journal, 1)
    stop = asyncio.Event()
    repository = Repository(stop, lambda one: len(one.asked) >= 6)
    repository.answers = lambda _: 404
    await run(journal.file, repository, stop)
    assert journal.file.stuck() == []
    assert len(journal.file.undelivered(10)) == 1


async def test_an_event_refused_by_put_and_by_post_is_a_dead_letter(journal: SqliteJournal) -> None:
    await filled(journal, 1)
    stop = asyncio.Event()
    repository = Repository(stop, lambda one: len(one.asked) >= 4)
    repository.answers = lambda _: 400
    await run(journal.file, repository, stop)
    assert len(journal.file.stuck()) + len(journal.file.undelivered(10)) == 1


async def test_delivery_goes_on_where_it_stopped(journal: SqliteJournal) -> None:
    expected = await filled(journal, 12)
    stop, first = until(7)
    await run(journal.file, first, stop, batch=4, lanes=2)
    stop, second = until(len(set(expected) - set(first.events)))
    await run(JournalFile(journal.file.path), second, stop, batch=4, lanes=2)
    assert set(first.events) | set(second.events) == set(expected)
    assert journal.file.verify() is None


class Forgetful(JournalFile):
    """A journal that can be read but not marked, as when the process dies before it could note what was taken."""

    def mark_delivered(self, seqs: Iterable[int]) -> None:
        raise OwnError(f"{len(list(seqs))} rows cannot be marked")


async def test_what_was_taken_but_not_noted_is_sent_again_under_the_same_id(
    journal: SqliteJournal,
) -> None:
    expected = await filled(journal, 3)
    stop, repository = until(len(expected))
    await run(Forgetful(journal.file.path), repository, stop)
    assert len(journal.file.undelivered(10)) == 3
    stop, again = until(len(expected))
    await run(journal.file, again, stop)
    assert set(again.events) == set(repository.events) == set(expected)


async def test_trouble_of_the_journal_does_not_end_delivery(journal: SqliteJournal) -> None:
    expected = await filled(journal, 2)
    stop = asyncio.Event()
    repository = Repository(stop, lambda one: len(one.asked) >= 3 * len(expected))
    await run(Forgetful(journal.file.path), repository, stop)
    assert set(repository.events) == set(expected)


async def test_an_entry_that_makes_no_valid_event_does_not_stop_the_others(
    journal: SqliteJournal,
) -> None:
    broken = Actor(subject="x", roles=(("http://example.org/roles", " "),))
    await journal.record(changed(READ, id="broken", actor=broken))
    expected = await filled(journal, 2)
    stop, repository = until(len(expected))
    await run(journal.file, repository, stop)
    assert set(repository.events) == set(expected)
    (stuck,) = journal.file.stuck()
    assert stuck.id == "broken"
    assert "ValidationError" in stuck.why


async def test_stop_ends_even_a_long_wait(journal: SqliteJournal) -> None:
    await filled(journal, 1)
    stop = asyncio.Event()
    repository = Repository(stop, lambda one: bool(one.asked))
    repository.answers = lambda _: 503
    before = time.monotonic()
    await run(journal.file, repository, stop, first_s=60.0, longest_s=60.0)
    assert time.monotonic() - before < 10
    assert len(journal.file.undelivered(10)) == 1


async def test_entries_that_come_later_are_delivered_too(journal: SqliteJournal) -> None:
    stop, repository = until(3)
    delivery = asyncio.ensure_future(run(journal.file, repository, stop))
    await asyncio.sleep(0.05)
    await journal.record(SEARCH)
    await delivery
    assert len(repository.events) >= 3


async def test_what_is_sent_is_what_events_of_says(journal: SqliteJournal) -> None:
    for name, entry in ALL.items():
        await journal.record(changed(entry, id=name))
    expected = {
        event["id"]: event
        for name, entry in ALL.items()
        for event in events_of(changed(entry, id=name), observer=OBSERVER)
    }
    stop, repository = until(len(expected))
    await run(journal.file, repository, stop)
    assert repository.events == expected


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_grow_and_stay_bounded(attempt: int, chance: float) -> None:
    found = Pace(jitter=lambda: chance).delay(attempt)
    assert 0.25 <= found <= 60.0
    assert found <= Pace(jitter=lambda: 1.0).delay(attempt + 1)
