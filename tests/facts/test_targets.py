from collections.abc import Sequence

import orjson

from proxy.errors import UpstreamError
from proxy.facts.cache import FactCache
from proxy.facts.targets import MOST_ASKED, SUBSETTED, Targets

SMALL = orjson.dumps({"resourceType": "Encounter", "id": "a"})


class Reader:
    def __init__(self, *bodies: bytes) -> None:
        self.bodies = {orjson.loads(one)["id"]: one for one in bodies}
        self.broken = False
        self.asked: list[tuple[str, int]] = []
        self.parameters: list[dict[str, str]] = []

    async def search(self, rtype: str, parameters: Sequence[tuple[str, str]]) -> list[bytes]:
        self.parameters.append(dict(parameters))
        ids = dict(parameters)["_id"].split(",")
        self.asked.append((rtype, len(ids)))
        if self.broken:
            raise UpstreamError("broken")
        return [self.bodies[one] for one in ids if one in self.bodies]


def targets(reader: Reader, ttl: float = 30.0) -> Targets:
    return Targets(reader, FactCache(ttl, 5000, lambda: 0.0))


async def test_what_is_there_is_given_and_what_is_not_is_missing() -> None:
    assert await targets(Reader(SMALL)).bodies({"Encounter/a", "Encounter/b"}, 9) == {
        "Encounter/a": SMALL
    }


async def test_one_search_asks_for_all_of_a_type() -> None:
    reader = Reader(SMALL)
    asked = {f"Encounter/{n}" for n in range(400)} | {"Condition/c"}
    await targets(reader).bodies(asked, 9)
    assert reader.asked == [("Encounter", 400), ("Condition", 1)]


async def test_what_is_not_there_is_kept_like_what_is() -> None:
    reader = Reader(SMALL)
    source = targets(reader)
    for asked in ({"Encounter/a"}, {"Encounter/a"}, {"Encounter/b"}, {"Encounter/b"}):
        await source.bodies(asked, 9)
    assert reader.asked == [("Encounter", 1), ("Encounter", 1)]
    source.forget()
    await source.bodies({"Encounter/b"}, 9)
    assert len(reader.asked) == 3


async def test_look_ups_are_bounded_and_the_fewest_are_lost() -> None:
    reader = Reader(SMALL)
    asked = {f"Encounter/{n}" for n in range(2 * MOST_ASKED)} | {"Condition/c"}
    await targets(reader).bodies(asked, 2)
    assert reader.asked == [("Encounter", MOST_ASKED)] * 2


async def test_what_could_not_be_read_is_missing_and_not_kept() -> None:
    reader = Reader(SMALL)
    reader.broken = True
    source = targets(reader)
    assert await source.bodies({"Encounter/a"}, 9) == {}
    reader.broken = False
    assert await source.bodies({"Encounter/a"}, 9) == {"Encounter/a": SMALL}


async def test_what_no_look_up_was_left_for_is_not_kept() -> None:
    reader = Reader(SMALL)
    source = targets(reader)
    assert await source.bodies({"Encounter/a"}, 0) == {}
    assert await source.bodies({"Encounter/a"}, 1) == {"Encounter/a": SMALL}


async def test_a_large_resource_is_read_again() -> None:
    large = orjson.dumps({"resourceType": "Encounter", "id": "a", "language": "x" * 60_000})
    reader = Reader(large)
    source = targets(reader)
    for _ in range(2):
        assert await source.bodies({"Encounter/a"}, 9) == {"Encounter/a": large}
    assert len(reader.asked) == 2


async def test_nothing_is_asked_for_nothing() -> None:
    reader = Reader()
    assert await targets(reader).bodies((), 9) == {}
    assert reader.asked == []


async def test_of_a_binary_its_content_is_not_asked_for_and_the_part_counts_as_whole() -> None:
    tags = [{"code": "kept"}, {"code": SUBSETTED}]
    part = orjson.dumps({"resourceType": "Binary", "id": "a", "meta": {"tag": tags}})
    plain = orjson.dumps({"resourceType": "Binary", "id": "b"})
    reader = Reader(part, plain)
    told = await targets(reader).bodies({"Binary/a", "Binary/b"}, 9)
    assert orjson.loads(told["Binary/a"])["meta"] == {"tag": [{"code": "kept"}]}
    assert told["Binary/b"] == plain
    assert reader.parameters[-1]["_elements"] == "id,meta,contentType,securityContext"


async def test_what_says_that_it_is_a_part_and_was_asked_for_whole_stays_one() -> None:
    tagged = {"resourceType": "Encounter", "id": "a", "meta": {"tag": [{"code": SUBSETTED}]}}
    reader = Reader(orjson.dumps(tagged))
    told = await targets(reader).bodies({"Encounter/a"}, 9)
    assert orjson.loads(told["Encounter/a"]) == tagged
    assert "_elements" not in reader.parameters[-1]
