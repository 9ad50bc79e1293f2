"""The law of references: an answer holds none to anything that a read by the same caller would not give.

Worlds are generated: resources about two patients, some of them hidden, that refer to each other, to themselves and to nothing,
in every spelling that is understood.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.fhir.content import nodes_of
from tests.attacks.records import PHYSICIAN, ZED, resource
from tests.stage import PUBLIC, Json, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
V = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}  # fmt: skip
TYPES = ("Observation", "Encounter", "Condition", "DiagnosticReport")
PLACES = ("encounter", "result", "extension", "contained", "display", "note")
NAMES = [f"{rtype}/x{n}" for n in range(3) for rtype in TYPES]
OTHERS = ["Patient/noe", "Patient/camille", "Patient/none", "Patient/zed", "Device/none"]


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        upstream.url = url
        yield Scene(stage, upstream)


def _placed(place: str, reference: Json) -> Json:
    match place:
        case "extension":
            return {"extension": [{"url": "urn:x", "valueReference": reference}]}
        case "contained":
            inner = {"resourceType": "Basic", "id": "c", "author": reference}
            return {"contained": [inner], "partOf": [{"reference": "#c"}]}
        case "result":
            return {"result": [reference, {"reference": "Practitioner/none"}]}
        case "display":
            return {"result": [reference], "specimen": {"display": reference["display"]}}
        case "note":
            return {"note": [{"authorReference": reference, "text": "t"}]}
        case _:
            return {place: reference}


@st.composite
def things(draw: st.DrawFn) -> list[Json]:
    made = []
    for name in NAMES:
        if not draw(st.booleans()):
            continue
        rtype, _, own = name.partition("/")
        target = draw(st.sampled_from([*NAMES, *OTHERS]))
        spelt = draw(st.sampled_from(["{}", "{}/_history/1", PUBLIC + "/{}", "UP/{}"]))
        reference = {"reference": spelt.format(target), "display": f"about {target}"}
        elements = _placed(draw(st.sampled_from(PLACES)), reference)
        patient = draw(st.sampled_from(["zed", "zed", "zed", "camille", "noe"]))
        hidden = {"meta": V} if draw(st.integers(0, 3)) == 0 else {}
        about = {"subject": {"reference": f"Patient/{patient}"}, "status": "final"}
        made.append(resource(rtype, own, **about, **elements, **hidden))
    return made


def _references(body: Json) -> set[str]:
    found = (node.get("reference") for node in nodes_of(body))
    return {one for one in found if isinstance(one, str)}


def _read(reference: str, upstream: str) -> str | None:
    """What to read; nothing for what stays whoever asks."""
    path = reference.removeprefix(PUBLIC + "/").removeprefix(upstream + "/")
    if path.startswith(("#", "Practitioner/", "urn:")):
        return None
    return path.partition("/_history")[0]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(things=things())
async def test_no_answer_refers_to_what_is_not_given(scene: Scene, things: list[Json]) -> None:
    upstream = scene.upstream.url
    text = bundle(*ZED, *things).replace(b"UP/", upstream.encode() + b"/")
    scene.upstream.world = world_of(text)
    for target in (*(f"{rtype}?_count=50" for rtype in TYPES), "Observation/x0"):
        reply = await scene.stage.ask(target, PHYSICIAN)
        for reference in _references(reply.json):
            read = _read(reference, upstream)
            if read is not None:
                assert (await scene.stage.ask(read, PHYSICIAN)).status == 200, (target, reference)
        gone = {one["display"] for one in nodes_of(things) if isinstance(one.get("display"), str)}
        shown = {_read(one, upstream) for one in _references(reply.json)}
        for display in gone:
            if display in reply.body.decode():
                assert display.removeprefix("about ") in shown, (target, display)
