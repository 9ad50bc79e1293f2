import asyncio
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.audit.deliver import Fate, Pace
from proxy.audit.journal import SqliteJournal
from proxy.audit.notice import Message
from proxy.audit.notice_book import Postbox
from proxy.audit.notify import Channel, notify, signature_of
from proxy.errors import UpstreamError
from tests.audit.notices import NOON, PARIS, noticing, told


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", writer="w")
    yield opened
    opened.close()


class Receiver:
    """Takes what it is told to take, and stops the delivery after so many answers."""

    def __init__(self, enough: int, *answers: int) -> None:
        self.asked: list[str] = []
        self.stop = asyncio.Event()
        self._answers, self._enough = list(answers), enough

    async def __call__(self, name: str, body: bytes) -> int:
        await asyncio.sleep(0)
        self.asked.append(name)
        if len(self.asked) >= self._enough:
            self.stop.set()
        answer = self._answers.pop(0) if self._answers else 201
        if not answer:
            raise UpstreamError("no answer")
        return answer


def form(message: Message) -> bytes:
    return b'{"id":"%b"}' % message.id.encode()


async def run(
    box: Postbox, receiver: Receiver, nameless: bool = False, clock: Callable[[], float] = lambda: NOON
) -> list[Fate]:  # fmt: skip
    fates: list[Fate] = []
    pace = Pace(jitter=lambda: 0.0, first_s=0.001, longest_s=0.01, idle_s=0.01, tell=fates.append)
    async with asyncio.timeout(20):
        await notify(Channel(box, form, receiver, nameless), clock, receiver.stop, pace)
    return fates


async def filled(journal: SqliteJournal, number: int) -> Postbox:
    box = Postbox(journal.file.path, "patient", "each", PARIS)
    box.open()
    for one in range(number):
        await journal.record(noticing(one, told(), when=NOON - 10 + one))
    return box


async def test_every_notice_arrives_once_the_oldest_first(journal: SqliteJournal) -> None:
    box = await filled(journal, 5)
    receiver = Receiver(5)
    await run(box, receiver)
    assert len(set(receiver.asked)) == 5
    assert box.take(NOON, 10) == []
    again = Receiver(1)
    again.stop.set()
    await run(box, again)
    assert again.asked == []


@pytest.mark.parametrize("answer", [0, 500, 503, 429, 401, 404])
async def test_what_may_pass_is_tried_until_it_is_taken(
    journal: SqliteJournal, answer: int
) -> None:
    box = await filled(journal, 1)
    receiver = Receiver(3, answer, answer)
    assert await run(box, receiver) == [Fate.AGAIN, Fate.AGAIN, Fate.TAKEN]
    assert len(set(receiver.asked)) == 1
    assert box.take(NOON, 10) == []


async def test_what_will_never_be_taken_is_flagged_and_passed_by(journal: SqliteJournal) -> None:
    box = await filled(journal, 2)
    assert await run(box, Receiver(2, 422)) == [Fate.STUCK, Fate.TAKEN]
    assert [stuck.why for stuck in box.stuck()] == ["it was answered with 422"]


async def test_who_refuses_ids_of_clients_gets_none(journal: SqliteJournal) -> None:
    box = await filled(journal, 1)
    receiver = Receiver(2, 405)
    assert await run(box, receiver, nameless=True) == [Fate.TAKEN]
    assert receiver.asked[1] == ""


async def test_a_restart_loses_nothing(journal: SqliteJournal) -> None:
    box = await filled(journal, 3)
    before = Receiver(1, 503)
    await run(box, before)
    after = Receiver(3)
    await run(Postbox(journal.file.path, "patient", "each", PARIS), after)
    assert len(set(after.asked)) == 3


async def test_a_journal_in_trouble_is_waited_for(journal: SqliteJournal, tmp_path: Path) -> None:
    box = Postbox(tmp_path / "gone.db", "patient", "each", PARIS)
    receiver = Receiver(1)
    asyncio.get_running_loop().call_later(0.05, receiver.stop.set)
    assert await run(box, receiver) == []


def test_the_signature_is_an_hmac_of_the_body() -> None:
    expected = hmac.digest(b"key", b"body", "sha256").hex()
    assert signature_of(b"body", b"key") == f"sha256={expected}"
    assert signature_of(b"bodx", b"key") != signature_of(b"body", b"key")


async def test_two_workers_send_each_notice_once(journal: SqliteJournal) -> None:
    box = await filled(journal, 10)
    receiver = Receiver(10)
    await asyncio.gather(run(box, receiver), run(box, receiver))
    assert len(receiver.asked) == len(set(receiver.asked)) == 10
