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
