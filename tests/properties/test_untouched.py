"""What is permitted leaves untouched: the same bytes in reads, versions, histories and Bundles (architecture §1, promise 2)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange import resources_of
from tests.stage import Stage, Upstream, serving, staged, world_of
from tests.strategies import json_text

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = '"resourceType":"Observation","id":"exact","meta":{"versionId":"1"},"status":"final"'
ABOUT = '"subject":{"reference":"Patient/camille"}'
SPACED = ABOUT.replace(":", " :\t")
BODIES = {
    "trailing zeros": f'{{{HEAD},{ABOUT},"valueQuantity":{{"value":0.010}}}}',
    "exponents": f'{{{HEAD},{ABOUT},"valueQuantity":{{"value":1E+2}},"x":[2.50E+2,1e-7,1E400,-1.0E-0]}}',
    "twenty digits": f'{{{HEAD},{ABOUT},"valueQuantity":{{"value":12345678901234567890.12345678901234567890}},"n":99999999999999999999}}',
    "minus zero": f'{{{HEAD},{ABOUT},"valueQuantity":{{"value":-0}},"y":-0.0}}',
    "unknown extensions": f'{{{HEAD},{ABOUT},"extension":[{{"url":"urn:x","valueDecimal":1.00,"_valueDecimal":{{"id":"a"}}}}],"_status":{{"extension":[{{"url":"urn:y"}}]}}}}',
    "elements nobody knows": f'{{{HEAD},{ABOUT},"futureElement":{{"a":[null,true,{{}},[]]}},"":"empty key"}}',
    "odd key order": f'{{"valueString":"last first",{ABOUT},"status":"final","meta":{{"versionId":"1"}},"id":"exact","resourceType":"Observation"}}',
    "white space": f' \r\n\t{{ {HEAD} ,\n\n {SPACED}\r\n , "note" : [ {{ "text" : "a" }} ] }} \n',
    "escaped unicode": f'{{{HEAD},{ABOUT},"note":[{{"text":"\\u00e9\\u0000\\ud83d\\ude00\\/\\b\\f"}}]}}',
    "raw unicode": f'{{{HEAD},{ABOUT},"note":[{{"text":"é😀\u2028\ufeff\u200b"}}]}}',
    "an escaped key": f'{{{HEAD},{ABOUT},"not\\u0065":[{{"text":"a"}}]}}',
    "an escaped reference": f'{{{HEAD},"subject":{{"reference":"Patient\\/c\\u0061mille"}}}}',
    "a repeated key that decides nothing": f'{{{HEAD},{ABOUT},"note":[],"note":[{{"text":"b"}}]}}',
    "deep": f'{{{HEAD},{ABOUT},"extension":' + '[{"url":"u","extension":' * 40 + "[]" + "}]" * 40 + "}",
    "long": f'{{{HEAD},{ABOUT},"note":[{{"text":"{"x" * 200_000}"}}]}}',
}  # fmt: skip


@dataclass(slots=True)
class Exact:
    """An upstream that holds one resource, written just so; facts are those of the samples."""

    body: bytes = b""

    async def override(self, request: web.BaseRequest) -> web.StreamResponse | None:
        path = request.raw_path
        if not path.startswith("/fhir/Observation"):
            return None
        bundle = "history" if path.partition("?")[0].endswith("_history") else "searchset"
        several = "?" in path or bundle == "history"
        wrapped = (
            b'{"resourceType":"Bundle","type":"%b","entry":[{"resource":%b},{"resource":{"resourceType":"Observation","id":"other"}}]}'
            % (bundle.encode(), self.body)
        )
        return web.Response(
            body=wrapped if several else self.body, content_type="application/fhir+json"
        )


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    exact: Exact


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    exact = Exact()
    upstream = Upstream(world_of(), override=exact.override)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        yield Scene(stage, exact)


ALONE = ["Observation/exact", "Observation/exact/_history/1"]
TOGETHER = ["Observation?patient=camille", "Observation/exact/_history", "Observation?_count=1"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("who", ["care-team-physician", "care-team-nurse", "patient"])
async def test_the_same_bytes_leave_wherever_they_stand(scene: Scene, name: str, who: str) -> None:
    scene.exact.body = BODIES[name].encode()
    for target in ALONE:
        reply = await scene.stage.ask(target, who)
        assert (reply.status, reply.body) == (200, scene.exact.body)
    for target in TOGETHER:
        reply = await scene.stage.ask(target, who)
        assert [bytes(one) for one in resources_of(reply.body)] == [scene.exact.body.strip()]


@given(content=json_text(), before=st.booleans())
async def test_any_content_leaves_as_it_came(scene: Scene, content: str, before: bool) -> None:
    more = f'"extension":[{{"url":"urn:x","any":{content}}}]'
    inside = f"{more},{HEAD},{ABOUT}" if before else f"{HEAD},{ABOUT},{more}"
    scene.exact.body = f"{{{inside}}}".encode()
    alone = await scene.stage.ask(ALONE[0], "patient")
    together = await scene.stage.ask(TOGETHER[0], "patient")
    assert (alone.status, alone.body) == (200, scene.exact.body)
    assert [bytes(one) for one in resources_of(together.body)] == [scene.exact.body]
    assert orjson.loads(together.body)["total"] == 1
