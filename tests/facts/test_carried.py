import orjson
import pytest

from proxy.errors import UpstreamError
from proxy.facts.carried import ENOUGH, PROBED, Carried, labels_carried
from tests.stage import Json

R = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]


def resource(own: str, labels: list[Json] | None, version: str = "1") -> Json:
    meta = {"versionId": version, **({"security": labels} if labels else {})}
    subject = {"reference": "Patient/p"}
    return {"resourceType": "Observation", "id": own, "meta": meta, "subject": subject}


class Up:
    """A server with Observations; `loses` says which targets come without labels."""

    def __init__(self, *held: Json, loses: tuple[str, ...] = (), finds_labels: bool = True) -> None:
        self.held = {str(one["id"]): one for one in held}
        self.loses = loses
        self.finds_labels = finds_labels
        self.asked: list[str] = []

    async def get(self, target: str) -> tuple[int, bytes]:
        self.asked.append(target)
        path, _, query = target.partition("?")
        if "/" in path and not path.endswith("_history"):
            return 200, orjson.dumps(self.held[path.partition("/")[2]])
        if "_security" in query and not self.finds_labels:
            return 400, b"{}"
        if not path.startswith("Observation") and "_revinclude" not in query:
            return 200, b'{"resourceType":"Bundle"}'
        found = [
            {**one, "meta": {"versionId": one["meta"]["versionId"]}}
            if any(way in target for way in self.loses)
            else one
            for one in self.held.values()
        ]
        entries = [{"resource": one} for one in found]
        return 200, orjson.dumps({"resourceType": "Bundle", "entry": entries})


@pytest.mark.parametrize(
    ("loses", "lost"),
    [
        ((), set()),
        (("_security",), {"search"}),
        (("?_id=",), {"search by _id", "include"}),
        (("Observation?_id=",), {"search by _id"}),
        (("_history",), {"history"}),
        (("_revinclude",), {"include"}),
        (("?", "_history"), {"search", "search by _id", "history", "include"}),
    ],
)
async def test_whatever_bundle_lacks_labels_is_named(
    loses: tuple[str, ...], lost: set[str]
) -> None:
    up = Up(resource("a", R), resource("b", None), loses=loses)
    assert await labels_carried(up.get) == Carried(1, frozenset(lost))


async def test_where_labels_cannot_be_searched_some_of_each_type_are_looked_at() -> None:
    up = Up(resource("a", R), loses=("_count",), finds_labels=False)
    assert await labels_carried(up.get) == Carried(1, frozenset({"search", "history"}))


async def test_no_more_are_compared_than_are_needed() -> None:
    up = Up(*(resource(f"o{number}", R) for number in range(10)))
    assert await labels_carried(up.get) == Carried(ENOUGH, frozenset())
    assert not any("Condition" in one for one in up.asked)


async def test_nothing_labelled_proves_nothing() -> None:
    up = Up(resource("a", None))
    assert await labels_carried(up.get) == Carried(0, frozenset())
    assert {one.partition("?")[0] for one in up.asked} >= set(PROBED)


async def test_another_version_is_not_compared() -> None:
    up = Up(resource("a", R))
    read = up.get

    async def get(target: str) -> tuple[int, bytes]:
        if target == "Observation/a":
            return 200, orjson.dumps(resource("a", [*R, {"code": "new"}], version="2"))
        return await read(target)

    assert await labels_carried(get) == Carried(1, frozenset())


async def test_a_failing_or_babbling_server_tells_nothing() -> None:
    async def fails(target: str) -> tuple[int, bytes]:
        raise UpstreamError(target)

    async def babbles(target: str) -> tuple[int, bytes]:
        return 200, b'{"entry":[{"resource":{"id":7}},{"resource":{"id":"../x"}},{}]}'

    for get in (fails, babbles):
        assert await labels_carried(get) == Carried(0, frozenset())


@pytest.mark.parametrize("poison", [b'"\xff"', b"[" * 50_000 + b"]" * 50_000])
async def test_what_cannot_be_read_tells_nothing(poison: bytes) -> None:
    async def get(target: str) -> tuple[int, bytes]:
        del target
        return 200, b'{"entry":[{"resource":{"resourceType":"Observation","id":%b}}]}' % poison

    assert await labels_carried(get) == Carried(0, frozenset())
