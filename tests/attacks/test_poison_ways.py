"""A resource that cannot be judged, in every way that one can come: it is withheld, told to the operator, and nothing else changes (T-156)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.audit.entry import Entry
from proxy.sandbox.http import ask_of
from tests.attacks.records import PHYSICIAN, ZED, about, answering
from tests.stage import Json, Stage, Upstream, bundle, serving, staged, world_of
from tests.worlds.twins import Heard, told_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HEAD = b'{"resourceType":"Condition","id":"zb",'
_REST = b'"subject":{"reference":"Patient/zed"},"encounter":{"reference":"Encounter/ze"},"language":"x-CANARY-poison",'
START = _HEAD + _REST
POISON = {
    "half a surrogate pair": START + b'"x":"\\ud800"}',
    "half a pair, second": START + b'"x":"\\udc00\\ud800"}',
    "no UTF-8": START + b'"x":"\xff\xfe"}',
    "an overlong spelling": START + b'"x":"\xc0\xaf"}',
    "nested without end": START + b'"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "nested in objects": START + b'"x":' + b'{"x":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
    "a number that is none": START + b'"x":01}',
    "a number that ends early": START + b'"x":1.}',
    "a bare word": START + b'"x":NaN}',
    "infinity": START + b'"x":-Infinity}',
    "a raw NUL": START + b'"x":"\x00"}',
    "a NUL between members": START + b'\x00"x":1}',
    "an unknown escape": START + b'"x":"\\q"}',
    "a member without value": START + b'"x":}',
    "two patients": START + b'"subject":{"reference":"Patient/other"}}',
    "two types": START + b'"resourceType":"Observation"}',
    "two metas": START + b'"meta":{},"meta":{"security":[]}}',
    "meta is a text": START + b'"meta":"x"}',
    "meta is a list": START + b'"meta":[]}',
    "labels are no list": START + b'"meta":{"security":{"code":"V"}}}',
    "a label is a text": START + b'"meta":{"security":["V"]}}',
    "a version is a number": START + b'"meta":{"versionId":1}}',
    "a reference is a number": _HEAD + b'"subject":{"reference":7}}',
    "contained is no list": START + b'"contained":{}}',
    "contains what is none": START + b'"contained":[{"resourceType":"Unicorn"}]}',
    "an unknown type": b'{"resourceType":"Unicorn","id":"zb",' + _REST + b'"x":1}',
    "a type that is a number": b'{"resourceType":7,"id":"zb",' + _REST + b'"x":1}',
    "no type": b'{"id":"zb",' + _REST + b'"x":1}',
    "no id": b'{"resourceType":"Condition",' + _REST + b'"x":1}',
    "an id that is a number": b'{"resourceType":"Condition","id":7,' + _REST + b'"x":1}',
    "an id that is a path": b'{"resourceType":"Condition","id":"../zb",' + _REST + b'"x":1}',
    "an id without end": b'{"resourceType":"Condition","id":"%b",' % (b"z" * 70) + _REST + b'"x":1}',
    "a huge id": b'{"resourceType":"Condition","id":"%b",' % (b"z" * 1_000_000) + _REST + b'"x":1}',
    "a list": b"[" + START + b'"x":1}]',
    "a text": b'"Condition/zb x-CANARY-poison"',
    "a number": b"7",
    "nothing": b"null",
    "an empty object": b"{}",
    "a mark of byte order": b"\xef\xbb\xbf" + START + b'"x":1}',
}  # fmt: skip
"""Whatever kind of poison: none can be judged."""


@dataclass(frozen=True, slots=True)
class Way:
    """How poison comes: what the caller asks, and which answers of upstream then hold it, in entries of which mode."""

    target: str
    poisoned: str
    mode: str = "match"


_CONDITIONS = r"/Condition(/_search)?(\?.*)?"
WAYS = {
    "search": Way("Condition?patient=zed", _CONDITIONS),
    "search by pages": Way("Condition?patient=zed&_count=1", _CONDITIONS),
    "search by reference": Way("Condition?encounter=Encounter/ze", _CONDITIONS),
    "search for what is missing": Way("Condition?encounter:missing=true", _CONDITIONS),
    "sort": Way("Condition?patient=zed&_sort=-recorded-date,encounter", _CONDITIONS),
    "count": Way("Condition?patient=zed&_summary=count", _CONDITIONS),
    "total": Way("Condition?patient=zed&_total=accurate&_count=1", _CONDITIONS),
    "part": Way("Condition?patient=zed&_elements=code", _CONDITIONS),
    "reverse include": Way("Encounter?patient=zed&_revinclude=Condition:encounter", "/Encounter.*", "include"),
    "include": Way("Encounter?patient=zed&_include=Encounter:diagnosis", "/Encounter.*", "include"),
    "of another mode": Way("Condition?patient=zed", _CONDITIONS, "outcome"),
    "of a made-up mode": Way("Condition?patient=zed", _CONDITIONS, "x"),
    "compartment": Way("Patient/zed/Condition", _CONDITIONS),
    "every type of a compartment": Way("Patient/zed/*?_count=50", _CONDITIONS),
    "$everything": Way("Patient/zed/$everything?_count=50", _CONDITIONS),
    "$lastn": Way("Observation/$lastn?patient=zed&category=laboratory", r"/Observation.*"),
    "chain": Way("Encounter?patient=zed&diagnosis:Condition.code=x", _CONDITIONS),
    "reverse chain": Way("Patient?_id=zed&_has:Condition:patient:code=x", _CONDITIONS),
    "look-up of references": Way("Observation/zo", r"/Condition\?_id=.*"),
    "history of a type": Way("Condition/_history", r"/Condition/_history.*"),
    "history of all": Way("_history?_count=100", r"/_history.*"),
    "history of an instance": Way("Condition/za/_history", r"/Condition/za/_history.*"),
    "search of another type": Way("Observation?patient=zed", r"/Observation.*"),
}  # fmt: skip

_NAMELESS = (
    "no id",
    "an id that is a number",
    "an id that is a path",
    "an id without end",
    "a huge id",
)
UNHEARD = {
    "of another mode": POISON, "of a made-up mode": POISON,  # such entries are none of the answer
    "look-up of references": _NAMELESS,  # whatever it is, it is not what was asked for
    # what leads nowhere belongs to no compartment, whatever upstream says
    **dict.fromkeys(("compartment", "every type of a compartment", "$everything"), ("a reference is a number", "two patients", "a number", "nothing", "a text", "an empty object")),
}  # fmt: skip
"""Where nobody hears of it, for it is not even looked at."""

CODE = {"coding": [{"code": "x"}]}
WITH = {"encounter": {"reference": "Encounter/ze"}}
RECORDS: tuple[Json, ...] = (
    about("Condition", "za", code=CODE, **WITH),
    about("Condition", "zc", code=CODE),
    about("Encounter", "ze", status="finished", diagnosis=[{"condition": {"reference": "Condition/za"}}]),
    about("Observation", "zo", status="final", code=CODE, category=[{"coding": [{"code": "laboratory"}]}], hasMember=[{"reference": f"Condition/{own}"} for own in ("za", "zb", "zc")]),
)  # fmt: skip


@dataclass(slots=True)
class Scene:
    """A gateway whose upstream puts poison into what it answers."""

    stage: Stage
    upstream: Upstream

    def poison(self, way: Way, body: bytes | None) -> None:
        pattern = re.compile("/fhir" + way.poisoned)

        async def override(request: web.BaseRequest) -> web.StreamResponse | None:
            target = unquote(request.raw_path)
            if (
                body is None
                or not pattern.fullmatch(target)
                or ("?_id=" in target and "zb" not in target)
            ):
                return None
            answer = self.upstream.world.answer(await ask_of(request))
            given = injected(answer.body or b"", entry_of(way, body))
            return web.Response(body=given, content_type="application/fhir+json")

        self.upstream.override = override

    async def told(self, way: Way, body: bytes | None) -> tuple[Heard, list[Entry]]:
        """All pages, and what was recorded."""
        self.poison(way, body)
        self.stage.entries()
        target: str | None = way.target
        pages: Heard = []
        while target:
            reply = await self.stage.ask(target, PHYSICIAN)
            pages.append(told_by(reply))
            is_bundle = reply.status == 200 and reply.json["resourceType"] == "Bundle"
            target = reply.next if is_bundle else None
        return pages, self.stage.entries()


def entry_of(way: Way, body: bytes) -> bytes:
    """An entry of a Bundle with the poison."""
    if "_history" in way.poisoned:
        told = b'"request":{"method":"PUT","url":"Condition/zb"},"response":{"etag":"W/\\"1\\"","lastModified":"2026-11-22T08:00:00Z"}'
        return b'{"fullUrl":"http://x/fhir/Condition/zb","resource":%b,%b}' % (body, told)
    return b'{"resource":%b,"search":{"mode":"%b"}}' % (body, way.mode.encode())


def injected(answer: bytes, entry: bytes) -> bytes:
    """A Bundle with one more entry, in the first place and once more in the last."""
    assert answer.startswith(b'{"resourceType":"Bundle"')
    begin = b'"entry":['
    if begin not in answer:
        return answer[:-1] + b',"entry":[%b]}' % entry
    at = answer.index(begin) + len(begin)
    return answer[:at] + entry + b"," + answer[at:]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of(bundle(*ZED, *RECORDS)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


@pytest.mark.parametrize("way", WAYS)
async def test_poison_changes_nothing_but_what_the_operator_hears(scene: Scene, way: str) -> None:
    clean, entries = await scene.told(WAYS[way], None)
    assert not [one for entry in entries for one in entry.findings if "unreadable" in one]
    broken: dict[str, object] = {}
    for kind, body in POISON.items():
        told, entries = await scene.told(WAYS[way], body)
        found = [one for entry in entries for one in entry.findings]
        if told != clean:
            broken[kind] = (told[0][0], "other")
        elif not found and kind not in UNHEARD.get(way, ()):
            broken[kind] = "nobody hears of it"
        assert b"CANARY-poison" not in b"".join(page[2] for page in told)
    assert broken == {}


async def test_a_read_of_poison_is_that_of_what_does_not_exist(scene: Scene) -> None:
    scene.poison(WAYS["search"], None)
    absent = await scene.stage.ask("Condition/none", PHYSICIAN)
    assert absent.status == 404
    broken: dict[str, object] = {}
    for kind, body in POISON.items():
        answering(scene.upstream, "/Condition/zb", body)
        named = kind not in ("an unknown type", "two types", *_NAMELESS[1:])
        for target in ("Condition/zb", "Condition/zb/_history/1"):
            scene.stage.entries()
            reply = await scene.stage.ask(target, PHYSICIAN)
            [entry] = scene.stage.entries()
            if named and told_by(reply) != told_by(absent):
                broken[f"{kind} at {target}"] = reply.status
            if named and not entry.findings:
                broken[f"{kind} at {target}"] = "nobody hears of it"
            assert reply.status in (404, 503)
            assert b"CANARY" not in reply.body
    assert broken == {}


async def test_a_document_that_is_poison_closes_what_it_may_hold_and_nothing_else(
    scene: Scene,
) -> None:
    def document(own: str) -> Json:
        held = [{"attachment": {"url": f"Binary/{own}"}}]
        return about("DocumentReference", f"of-{own}", status="current", content=held)

    binaries = [{"resourceType": "Binary", "id": own, "contentType": "text/plain", "data": "QUFB"} for own in ("ba", "bb")]  # fmt: skip
    plain, scene.upstream.world = scene.upstream.world, world_of(bundle(*ZED, *RECORDS, *binaries, document("ba"), document("bb")))  # fmt: skip
    try:
        scene.upstream.override = None
        absent = await scene.stage.ask("Binary/none", PHYSICIAN)
        assert (await scene.stage.ask("Binary/bb", PHYSICIAN)).status == 200
        for kind, body in POISON.items():
            content = b'"content":[{"attachment":{"url":"Binary/ba"}}],"subject":'
            poison = body.replace(b'"Condition"', b'"DocumentReference"').replace(b'"subject":', content, 1)  # fmt: skip
            scene.poison(Way("", r"/DocumentReference.*Binary/ba.*"), poison)
            scene.stage.entries()
            closed = await scene.stage.ask("Binary/ba", PHYSICIAN)
            assert told_by(closed) == told_by(absent), kind
            assert scene.stage.entries()[-1].findings, kind
            assert (await scene.stage.ask("Binary/bb", PHYSICIAN)).status == 200, kind
    finally:
        scene.upstream.world = plain
