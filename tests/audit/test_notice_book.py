from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.audit.entry import Entry
from proxy.audit.journal import SqliteJournal
from proxy.audit.notice import Folding, Message
from proxy.audit.notice_book import CARRIED_S, Postbox
from proxy.errors import OwnError
from tests.audit.cases import READ, changed
from tests.audit.notices import ADA, BEN, NOON, PARIS, noticing, told

LATER = NOON + 2 * 86_400


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", writer="w")
    yield opened
    opened.close()


def postbox(
    journal: SqliteJournal, folding: Folding = "each", recipient: str = "patient"
) -> Postbox:
    box = Postbox(journal.file.path, recipient, folding, PARIS)
    box.open()
    return box


async def recorded(journal: SqliteJournal, *entries: Entry) -> None:
    for entry in entries:
        await journal.record(entry)


def collected(box: Postbox, now: float = LATER) -> list[Message]:
    while box.collect():
        pass
    found = box.take(now, 1000)
    box.give_back(found)
    return found


async def test_notices_become_messages_once(journal: SqliteJournal) -> None:
    box = postbox(journal)
    await recorded(journal, noticing(1, told(ADA), told(BEN)), changed(READ, id="x"))
    first = collected(box)
    assert {one.patient for one in first} == {ADA, BEN}
    assert collected(box) == first


async def test_what_was_taken_waits_no_more_even_for_a_box_opened_anew(
    journal: SqliteJournal,
) -> None:
    box = postbox(journal)
    await recorded(journal, noticing(1, told(ADA)), noticing(2, told(BEN)))
    one, other = collected(box)
    box.mark(one, "")
    assert collected(postbox(journal)) == [other]


async def test_what_is_stuck_is_kept_and_may_be_tried_again(journal: SqliteJournal) -> None:
    box = postbox(journal)
    await recorded(journal, noticing(1, told()))
    [one] = collected(box)
    box.mark(one, "it was answered with 422")
    assert collected(box) == []
    assert [(stuck.id, stuck.why) for stuck in box.stuck()] == [
        (one.id, "it was answered with 422")
    ]
    assert box.retry_stuck() == 1
    assert (collected(box), box.stuck()) == ([one], [])


async def test_what_was_recorded_before_the_box_was_first_opened_stays_in_the_journal(
    journal: SqliteJournal,
) -> None:
    await recorded(journal, noticing(1, told()))
    box = postbox(journal)
    await recorded(journal, noticing(2, told(BEN)))
    assert [one.patient for one in collected(box)] == [BEN]
    await recorded(journal, noticing(3, told(ADA)))
    assert {one.patient for one in collected(postbox(journal))} == {ADA, BEN}


async def test_each_kind_of_recipient_has_a_box_of_its_own(journal: SqliteJournal) -> None:
    patients, officer = postbox(journal), postbox(journal, recipient="privacy-officer")
    await recorded(journal, noticing(1, told(), told(BEN, recipient="privacy-officer")))
    [one] = collected(patients)
    [other] = collected(officer)
    assert (one.recipient, other.recipient) == ("patient", "privacy-officer")
    patients.mark(one, "never")
    assert officer.stuck() == []


async def test_the_first_access_alone_is_told(journal: SqliteJournal) -> None:
    box = postbox(journal, "first")
    await recorded(journal, noticing(1, told()), noticing(2, told(), when=NOON + 60))
    [one] = collected(box)
    assert [access.entry for access in one.accesses] == ["e1"]
    box.mark(one, "")
    await recorded(journal, noticing(3, told(), when=NOON + 120))
    assert collected(box) == []


async def test_a_digest_grows_until_its_day_is_over(journal: SqliteJournal) -> None:
    box = postbox(journal, "daily")
    await recorded(journal, noticing(1, told()))
    assert collected(box, NOON + 3600) == []
    await recorded(journal, noticing(2, told(), who="bea", when=NOON + 7200))
    [one] = collected(box)
    assert (one.count, [access.actor.subject for access in one.accesses]) == (2, ["anna", "bea"])


async def test_what_comes_after_its_digest_left_has_a_message_of_its_own(
    journal: SqliteJournal,
) -> None:
    box = postbox(journal, "daily")
    await recorded(journal, noticing(1, told()))
    [one] = collected(box)
    box.mark(one, "")
    await recorded(journal, noticing(2, told()))
    [other] = collected(box)
    assert (other.count, other.id != one.id) == (1, True)


async def test_a_digest_that_grew_while_it_was_carried_is_carried_again(
    journal: SqliteJournal,
) -> None:
    box = postbox(journal, "daily")
    await recorded(journal, noticing(1, told()))
    [one] = collected(box)
    await recorded(journal, noticing(2, told()))
    collected(box)
    box.mark(one, "")
    [again] = collected(box)
    assert (again.id, again.count) == (one.id, 2)


async def test_what_one_worker_carries_the_others_leave_alone_for_a_while(
    journal: SqliteJournal,
) -> None:
    box, other = postbox(journal), postbox(journal)
    await recorded(journal, noticing(1, told()))
    box.collect()
    [one] = box.take(LATER, 10)
    assert other.take(LATER + 1, 10) == []
    assert other.take(LATER + CARRIED_S + 1, 10) == [one]
    other.give_back([one])
    assert box.take(LATER, 10) == [one]


async def test_a_long_journal_is_read_in_parts(journal: SqliteJournal) -> None:
    box = postbox(journal)
    await recorded(journal, *(noticing(number, told()) for number in range(205)))
    assert box.collect()
    assert len(box.take(LATER, 1000)) == 200
    assert len(collected(box, LATER + 1)) == 5
    assert len(collected(box, LATER + CARRIED_S + 1)) == 205


async def test_the_chain_does_not_know_of_the_book(journal: SqliteJournal) -> None:
    box = postbox(journal)
    await recorded(journal, noticing(1, told()))
    box.mark(collected(box)[0], "")
    assert journal.file.verify() is None


def test_a_book_that_cannot_be_opened_is_our_own_failure(tmp_path: Path) -> None:
    box = Postbox(tmp_path / "none.db", "patient", "each", PARIS)
    for attempt in (box.open, box.collect, box.stuck):
        with pytest.raises(OwnError):
            attempt()
