from datetime import datetime

import msgspec
import pytest

from proxy.audit.entry import Entry
from proxy.audit.notice import MOST_NAMED, SETTLED_S, Folding
from tests.audit.notices import ADA, BEN, NOON, PARIS, messages, noticing, told

DAY = 86_400.0


def ids(folding: Folding, *entries: Entry) -> list[str]:
    return [one.id for entry in entries for one in messages(entry, folding)]


SHARED: list[tuple[Folding, list[Entry], int]] = [
    ("each", [noticing(1, told()), noticing(2, told())], 2),
    ("each", [noticing(1, told()), noticing(1, told())], 1),
    ("each", [noticing(1, told(ADA), told(BEN))], 2),
    ("first", [noticing(1, told()), noticing(2, told(), when=NOON + 9 * DAY)], 1),
    ("first", [noticing(1, told()), noticing(2, told(), who="bea")], 2),
    ("first", [noticing(1, told(ADA)), noticing(2, told(BEN))], 2),
    ("first", [noticing(1, told(why="a")), noticing(2, told(why="b"))], 2),
    ("daily", [noticing(1, told()), noticing(2, told(), who="bea")], 1),
    ("daily", [noticing(1, told(ADA)), noticing(2, told(BEN))], 2),
    ("daily", [noticing(1, told()), noticing(2, told(), when=NOON + DAY)], 2),
]


@pytest.mark.parametrize(("folding", "entries", "number"), SHARED)
def test_which_accesses_share_a_message(
    folding: Folding, entries: list[Entry], number: int
) -> None:
    assert len(set(ids(folding, *entries))) == number


@pytest.mark.parametrize("folding", ["each", "first", "daily"])
def test_an_emergency_is_told_at_once_and_alone(folding: Folding) -> None:
    one, other = (
        messages(noticing(number, told(why="break-glass-start")), folding) for number in (1, 2)
    )
    assert one[0].id != other[0].id
    assert (one[0].kind, one[0].due) == ("emergency", NOON)


def test_others_are_told_their_own_notices_only() -> None:
    entry = noticing(1, told(), told(recipient="privacy-officer", patient=BEN))
    assert [one.patient for one in messages(entry)] == [ADA]
    assert [one.patient for one in messages(entry, recipient="privacy-officer")] == [BEN]


def test_a_digest_leaves_after_its_day_in_the_houses_zone() -> None:
    [late] = messages(noticing(1, told(), when=NOON + 11.5 * 3600), "daily")
    [early] = messages(noticing(1, told(), when=NOON + 12.5 * 3600), "daily")
    assert late.due + DAY == early.due
    left = datetime.fromtimestamp(late.due - SETTLED_S, PARIS)
    assert (left.hour, left.minute) == (0, 0)


def test_a_digest_counts_every_access_and_names_every_accessor_once() -> None:
    [whole], *others = (
        messages(noticing(number, told(), who=who), "daily")
        for number, who in enumerate(["anna", "anna", "bea"])
    )
    for [one] in others:
        whole = whole.and_also(one)
    assert whole.count == 3
    assert [one.actor.subject for one in whole.accesses] == ["anna", "bea"]


def test_a_digest_does_not_grow_without_end() -> None:
    [whole] = messages(noticing(0, told()), "daily")
    for number in range(MOST_NAMED + 10):
        [one] = messages(noticing(number, told(), who=f"w{number}"), "daily")
        whole = whole.and_also(one)
    assert (len(whole.accesses), whole.count) == (MOST_NAMED, MOST_NAMED + 11)


def test_a_message_tells_nothing_of_what_was_read_and_nothing_of_the_token() -> None:
    foldings: tuple[Folding, ...] = ("each", "first", "daily")
    for folding in foldings:
        [one] = messages(noticing(1, told()), folding)
        text = msgspec.json.encode(one).decode()
        for secret in ("Observation", "jti-1234", "TREAT", "DOC", "Consent/c1", "192.0.2.7"):
            assert secret not in text
