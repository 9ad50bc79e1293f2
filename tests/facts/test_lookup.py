from collections.abc import Sequence

import pytest

from proxy.errors import UpstreamError
from proxy.facts.lookup import CHUNK, Budget, chunks_of, escaped


class Reader:
    def __init__(self, answer: list[bytes] | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        self.asked += parameters
        if self.answer is None:
            raise UpstreamError("down")
        return self.answer


GROUP = b'{"resourceType":"Group","id":"g"}'


@pytest.mark.parametrize(
    ("answer", "believed"),
    [
        ([], []),
        ([GROUP], [{"resourceType": "Group", "id": "g"}]),
        ([GROUP, b'{"resourceType":"OperationOutcome"}'], None),
        ([b"<html>"], None),
        ([b"[]"], None),
        (
            [b'{"resourceType":"Group","id":"g","member":[{"inactive":true,"inactive":false}]}'],
            None,
        ),
        ([b'{"resourceType":"Group","id":"g","x":"\\ud800"}'], None),
        ([b'{"resourceType":"Group","id":"g","x":"\xff"}'], None),
        (None, None),
    ],
)
async def test_only_an_answer_of_nothing_else_is_believed(
    answer: list[bytes] | None, believed: object
) -> None:
    assert await Budget(Reader(answer), 1).search("Group", ("_id", "g")) == believed


async def test_a_spent_budget_gives_nothing_and_asks_nothing() -> None:
    reader = Reader([GROUP])
    budget = Budget(reader, 1)
    assert await budget.search("Group", ("_id", "g"))
    assert await budget.search("Group", ("_id", "g")) is None
    assert len(reader.asked) == 1


async def test_no_ids_no_look_up_and_other_ids_are_not_believed() -> None:
    reader = Reader([GROUP])
    assert await Budget(reader, 1).by_id("Group", set()) == []
    assert reader.asked == []
    assert await Budget(reader, 1).by_id("Group", {"other"}) == []


async def test_ids_are_asked_in_chunks_and_one_lost_chunk_loses_all() -> None:
    ids = {f"g{number}" for number in range(CHUNK + 1)}
    reader = Reader([])
    assert await Budget(reader, 2).by_id("Group", ids) == []
    assert [len(value.split(",")) for _, value in reader.asked] == [CHUNK, 1]
    assert await Budget(reader, 1).by_id("Group", ids) is None


def test_chunks_lose_nothing() -> None:
    items = [str(number) for number in range(2 * CHUNK + 1)]
    assert [one for chunk in chunks_of(items) for one in chunk] == items
    assert chunks_of([]) == []


def test_a_token_means_itself() -> None:
    assert escaped(r"a,b|c$d\e") == r"a\,b\|c\$d\\e"


class Poisoned(Reader):
    """Fails where one of some ids is asked for."""

    def __init__(self, *poison: str) -> None:
        super().__init__([])
        self.poison = set(poison)

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        self.asked += parameters
        ids = dict(parameters)["_id"].split(",")
        if not self.poison.isdisjoint(ids):
            raise UpstreamError("broken")
        return [b'{"resourceType":"Group","id":"%s"}' % one.encode() for one in ids]


IDS = [f"g{number:03}" for number in range(200)]


@pytest.mark.parametrize(
    "poison", [{"g000"}, {"g199"}, {"g077"}, {"g010", "g011"}, {"g000", "g001"}]
)
async def test_what_makes_a_look_up_fail_is_found_and_stands_alone(poison: set[str]) -> None:
    budget = Budget(Poisoned(*poison), 20)
    sifted = await budget.each("Group", set(IDS))
    assert sifted.failed == poison
    assert {one["id"] for one in sifted.found} == set(IDS) - poison
    assert budget.left == 19


async def test_finding_out_is_bounded_and_what_is_left_over_is_unknown() -> None:
    reader = Poisoned("g000")
    sifted = await Budget(reader, 4).each("Group", set(IDS))
    assert len(reader.asked) == 1 + 4
    assert len(sifted.failed) == 50
    assert "g000" in sifted.failed


async def test_once_something_was_answered_two_failing_halves_are_sifted_both() -> None:
    reader = Poisoned("g000", "g199")
    budget = Budget(reader, 40)
    assert (await budget.each("Group", {"g050"})).failed == frozenset()
    assert (await budget.each("Group", set(IDS))).failed == {"g000", "g199"}


async def test_where_nothing_is_ever_answered_nobody_is_asked_again_and_again() -> None:
    reader = Reader(None)
    assert (await Budget(reader, 20).each("Group", set(IDS))).failed == set(IDS)
    assert len(reader.asked) == 3


async def test_a_spent_budget_is_told_as_such() -> None:
    heard: list[tuple[str, str]] = []
    budget = Budget(Reader([]), 0, lambda kind, about: heard.append((kind.value, about)))
    assert (await budget.each("Group", {"g"})).failed == {"g"}
    assert heard == [("unaffordable-look-up", "Group")]
