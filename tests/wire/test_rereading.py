from collections.abc import Mapping

import msgspec
import orjson
import pytest

from proxy.errors import OversizedError, UpstreamError
from proxy.fhir.interaction import Answer
from proxy.wire.rereading import LabelledReader, Rereading, Switch
from tests.stage import Json

JSON = {"content-type": "application/fhir+json"}


def resource(own: str, **more: object) -> Json:
    return {"resourceType": "Observation", "id": own, **more}


def entry(own: str, **more: object) -> Json:
    return {"fullUrl": f"urn:{own}", "resource": resource(own), **more}


def bundle(kind: str, *entries: Json, **more: object) -> bytes:
    return orjson.dumps({"resourceType": "Bundle", **more, "type": kind, "entry": entries})


class Up:
    """Gives what it was told for a target; 404 for all others."""

    def __init__(self, given: Mapping[str, bytes | int | OversizedError]) -> None:
        self.given = given
        self.asked: list[tuple[str, str, str]] = []

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        self.asked.append((target, request_id, authorization))
        given = self.given.get(target, 404)
        if isinstance(given, OversizedError):
            raise given
        return Answer(given, JSON, b"") if isinstance(given, int) else Answer(200, JSON, given)


def whole(own: str) -> bytes:
    return (
        b'{"resourceType":"Observation","id":"%b","meta":{"security":[]},"valueDecimal":1.50}'
        % (own.encode())
    )


async def test_each_entry_is_what_a_read_gives_and_all_else_stays() -> None:
    found = bundle("searchset", entry("a", search={"mode": "match"}), entry("b"), total=2)
    up = Up({"Observation?x=1": found, "Observation/a": whole("a"), "Observation/b": whole("b")})
    answer = await Rereading(up, Switch(True)).get("Observation?x=1", "id", "Bearer x")
    told = msgspec.json.decode(answer.body)
    assert [one["fullUrl"] for one in told["entry"]] == ["urn:a", "urn:b"]
    assert told["entry"][0]["search"] == {"mode": "match"}
    assert told["total"] == 2
    assert whole("a") in answer.body
    assert whole("b") in answer.body
    assert up.asked[1:] == [(f"Observation/{own}", "id", "Bearer x") for own in "ab"]


async def test_of_a_history_it_is_the_version_and_a_deletion_stays() -> None:
    versions = [
        {"resource": resource("a", meta={"versionId": "3"})},
        {"request": {"method": "DELETE", "url": "Observation/a"}},
        {"resource": resource("a")},
    ]
    up = Up(
        {
            "Observation/a/_history": bundle("history", *versions),
            "Observation/a/_history/3": whole("a"),
        }
    )
    answer = await Rereading(up, Switch(True)).get("Observation/a/_history")
    told = orjson.loads(answer.body)
    assert [one.get("request", {}).get("method") for one in told["entry"]] == [None, "DELETE"]
    assert whole("a") in answer.body


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_gone_or_does_not_say_what_it_is_is_left_out(status: int) -> None:
    odd: list[Json] = [{"resource": {"resourceType": "Observation"}}, {"resource": {"id": 7}}]
    odd.append({"resource": resource("../Patient/x")})
    up = Up({"Observation": bundle("searchset", entry("a"), *odd), "Observation/a": status})
    answer = await Rereading(up, Switch(True)).get("Observation")
    assert orjson.loads(answer.body)["entry"] == []
    assert len(up.asked) == 2


@pytest.mark.parametrize("given", [500, 403, b'{"resourceType":"Observation","id":"other"}', b"{}"])
async def test_what_cannot_be_read_again_fails(given: bytes | int) -> None:
    up = Up({"Observation": bundle("searchset", entry("a")), "Observation/a": given})
    with pytest.raises(UpstreamError):
        await Rereading(up, Switch(True)).get("Observation")


_DEEP = b"[" * 50_000 + b"]" * 50_000


@pytest.mark.parametrize(
    "poison", [b'{"id":"\xff"}', b'{"id":%b}' % _DEEP, b"{", OversizedError("")]
)
async def test_what_cannot_be_judged_is_an_entry_that_holds_nothing(
    poison: bytes | OversizedError,
) -> None:
    up = Up({"Observation": bundle("searchset", entry("a"), entry("b")), "Observation/a": poison, "Observation/b": whole("b")})  # fmt: skip
    answer = await Rereading(up, Switch(True)).get("Observation")
    assert orjson.loads(answer.body)["entry"][0]["resource"] == {}
    assert whole("b") in answer.body


@pytest.mark.parametrize("poison", [b'"\xff"', b'"a","x":' + _DEEP, b'"a"},"resource":{"id":"b"'])
async def test_an_entry_that_cannot_be_read_spoils_no_other(poison: bytes) -> None:
    odd = b'{"resource":{"resourceType":"Observation","id":%b}}' % poison
    page = bundle("searchset", entry("b")).replace(b'"entry":[', b'"entry":[' + odd + b",")
    up = Up({"Observation": page, "Observation/a": whole("a"), "Observation/b": whole("b")})
    assert whole("b") in (await Rereading(up, Switch(True)).get("Observation")).body


_TWICE = b'{"resourceType":"Bundle","entry":[],"entry":[]}'


@pytest.mark.parametrize("broken", [b"[", b'{"entry":[]', _TWICE, b'{"\\u0065ntry":[]}', b"{]}"])
async def test_what_is_no_bundle_fails_too(broken: bytes) -> None:
    with pytest.raises(UpstreamError):
        await Rereading(Up({"Observation": broken}), Switch(True)).get("Observation")


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("Bundle/stored", bundle("searchset", entry("a"))),
        ("Bundle/stored/_history/2", bundle("history", entry("a"))),
        ("metadata", b'{"resourceType":"CapabilityStatement"}'),
        ("Observation", b'{"resourceType":"Bundle","type":"searchset"}'),
    ],
)
async def test_a_read_and_what_holds_nothing_are_not_touched(target: str, body: bytes) -> None:
    up = Up({target: body})
    answer = await Rereading(up, Switch(True)).get(target)
    assert (answer.body, len(up.asked)) == (body, 1)


async def test_a_history_of_a_type_is_read_again_though_it_looks_like_a_read() -> None:
    up = Up({"Observation/_history": bundle("history", {"resource": resource("a")})})
    answer = await Rereading(up, Switch(True)).get("Observation/_history")
    assert orjson.loads(answer.body)["entry"] == []


async def test_off_it_passes_everything_until_it_is_switched_on() -> None:
    found, switch = bundle("searchset", entry("a")), Switch(False)
    up = Up({"Observation": found, "Observation/a": whole("a")})
    rereading = Rereading(up, switch)
    assert (await rereading.get("Observation")).body == found
    switch.on = True
    assert whole("a") in (await rereading.get("Observation")).body
    assert (await rereading.get("Observation/none")).status == 404


class Reader:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(
        self, resource_type: str, parameters: list[tuple[str, str]] | tuple[tuple[str, str], ...]
    ) -> list[bytes]:
        self.asked.append(parameters[0][0])
        return []


async def test_look_ups_whose_answers_are_judged_go_the_labelled_way() -> None:
    labelled, plain = Reader(), Reader()
    reader = LabelledReader(labelled, plain)  # type: ignore[arg-type]
    for name in ("_id", "patient", "location", "identifier"):
        await reader.search("Observation", [(name, "x")])
    assert (labelled.asked, plain.asked) == (["_id", "location"], ["patient", "identifier"])
