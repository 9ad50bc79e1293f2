"""Attempts to have a reference to something hidden leave all the same (threats T-70, T-84, T-88, T-90, T-153)."""

from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.attacks.records import PHYSICIAN, ZED, about, answering, gateway, searchset
from tests.stage import Json, Stage, Upstream, bundle, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

V = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}  # fmt: skip
TOLD = "TOLD-IN-CONFIDENCE"
HIDDEN = about("Condition", "hush", meta=V)

SPELLINGS = [
    "Condition/hush",
    "Condition/hush/_history/1",
    "http://gateway.example.org/fhir/Condition/hush",
    "HTTP://GATEWAY.EXAMPLE.ORG/fhir/Condition/hush",
    "http://gateway.example.org:80/fhir/Condition/hush",
    "http://gateway.example.org/fhir/Condition/hush ",
    "http://x@gateway.example.org/fhir/Condition/hush",
    "http://gateway.example.org./fhir/Condition/hush",
    "UP/Condition/hush",
    "UP/Condition/hush/_history/1",
    "UP//Condition/hush",
    "Condition/hush ",
    " Condition/hush",
    "/Condition/hush",
    "./Condition/hush",
    "condition/hush",
    "CONDITION/hush",
    "Condition/hush?x",
    "Condition/hush#x",
    "Condition%2Fhush",
    "Condition?_id=hush",
]
RAW = [
    rb'{"reference":"\u0043ondition/hush","display":"TOLD-IN-CONFIDENCE"}',
    rb'{"reference":"Condition\/hush","display":"TOLD-IN-CONFIDENCE"}',
    rb'{"\u0072eference":"Condition/hush","display":"TOLD-IN-CONFIDENCE"}',
    b'{ "reference" :\n "Condition/hush" , "display" : "TOLD-IN-CONFIDENCE" }',
]
TWICE = [
    b'{"reference":"Patient/zed","reference":"Condition/hush","display":"TOLD-IN-CONFIDENCE"}',
    b'{"reference":"Condition/hush","reference":"Patient/zed","display":"TOLD-IN-CONFIDENCE"}',
]


Scene = tuple[Stage, Upstream]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with gateway(tmp_path_factory.mktemp("gateway"), *ZED, HIDDEN) as (stage, upstream):
        yield stage, upstream


def _observation(reference: bytes) -> bytes:
    own = orjson.dumps(about("Observation", "o", status="final"))
    return own[:-1] + b',"reasonReference":[%b]}' % reference


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_gets_out(scene: Scene, spelling: str) -> None:
    stage, upstream = scene
    text = spelling.replace("UP", upstream.url)
    body = _observation(orjson.dumps({"reference": text, "display": TOLD}))
    answering(upstream, "/Observation", body)
    read = await stage.ask("Observation/o", PHYSICIAN)
    answering(upstream, "/Observation", searchset(body))
    searched = await stage.ask("Observation?patient=zed", PHYSICIAN)
    for reply in (read, searched):
        assert reply.status == 200
        assert b"Observation" in reply.body
        assert TOLD not in reply.text
        assert b"hush" not in reply.body


@pytest.mark.parametrize("reference", RAW, ids=range(len(RAW)))
async def test_no_way_of_writing_json_gets_out(scene: Scene, reference: bytes) -> None:
    stage, upstream = scene
    answering(upstream, "/Observation", _observation(reference))
    reply = await stage.ask("Observation/o", PHYSICIAN)
    assert reply.status == 200
    assert TOLD not in reply.text
    assert "reasonReference" not in reply.json


@pytest.mark.parametrize("reference", TWICE, ids=range(len(TWICE)))
async def test_a_reference_that_stands_twice_is_not_passed_on(
    scene: Scene, reference: bytes
) -> None:
    stage, upstream = scene
    answering(upstream, "/Observation", _observation(reference))
    reply = await stage.ask("Observation/o", PHYSICIAN)
    assert reply.status == 404
    assert TOLD not in reply.text


ECHOES: list[Json] = [
    {"specimen": {"display": TOLD}},
    {"specimen": {"identifier": {"value": "ACC-1"}, "display": TOLD}},
    {"text": {"status": "generated", "div": f"<div>{TOLD}</div>"}},
    {"extension": [{"url": "urn:x", "valueString": f"about {TOLD}"}]},
    {"status": "final", "_status": {"extension": [{"url": "urn:x", "valueString": TOLD}]}},
    {"identifier": [{"system": "urn:x", "value": "ACC-1"}]},
    {"contained": [{"resourceType": "Basic", "id": "b", "text": {"div": TOLD}}], "partOf": [{"reference": "#b"}]},
    {"bodySite": {"text": "see Condition/hush"}},
]  # fmt: skip


@pytest.mark.parametrize("echo", ECHOES, ids=range(len(ECHOES)))
async def test_what_repeats_it_goes_too(scene: Scene, echo: Json) -> None:
    stage, upstream = scene
    reference = {"reference": "Condition/hush", "display": TOLD, "identifier": {"value": "ACC-1"}}
    told = about("Observation", "o", **{"status": "final", "reasonReference": [reference], **echo})
    upstream.override = None
    upstream.world = world_of(bundle(*ZED, HIDDEN, told))
    for target in ("Observation/o", "Observation?patient=zed", "Observation/o/_history"):
        reply = await stage.ask(target, PHYSICIAN)
        assert reply.status == 200
        assert "final" in reply.text
        assert all(one not in reply.text for one in (TOLD, "ACC-1", "hush")), target
