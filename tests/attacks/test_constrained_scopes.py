"""Constrained scopes end to end: what they do not cover is as if it did not exist (SCOPE-8, SCOPE-9; T-178)."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from proxy.fhir.coding import CONFIDENTIALITY
from tests.attacks.records import NURSE, ZED, about, gateway, resource
from tests.stage import Json, Stage, Upstream, serving, staged, world_of

PHYSICIAN = "care-team-physician"


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url, staged(tmp_path, url) as stage:
        yield stage


def having(scope: str) -> Json:
    return {"like": PHYSICIAN, "scope": scope}


async def found(stage: Stage, target: str, who: Json) -> set[str]:
    answer = await stage.ask(target, who)
    assert answer.status == 200
    entries = orjson.loads(answer.body).get("entry", ())
    return {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in entries}


async def codes(stage: Stage) -> dict[str, str]:
    """Id to first code of each Observation of the patient that the physician sees."""
    answer = await stage.ask("Observation?patient=camille&_count=100", having("user/*.rs"))
    entries = orjson.loads(answer.body)["entry"]
    return {one["resource"]["id"]: one["resource"]["code"]["coding"][0]["code"] for one in entries}


async def test_only_what_fulfils_the_constraint_is_there(stage: Stage) -> None:
    known = await codes(stage)
    code = next(iter(known.values()))
    fitting = {name for name, one in known.items() if one == code}
    assert fitting < set(known)
    who = having(f"user/Observation.rs?code={code}")
    shown = await found(stage, "Observation?patient=camille&_count=100", who)
    assert shown == {f"Observation/{name}" for name in fitting}
    absent = await stage.ask("Observation/none-such", who)
    for name in known:
        answer = await stage.ask(f"Observation/{name}", who)
        assert answer.status == (200 if name in fitting else 404)
        if name not in fitting:
            assert answer.body == absent.body
        versions = await stage.ask(f"Observation/{name}/_history", who)
        assert versions.status == answer.status


async def test_other_types_and_interactions_are_not_covered(stage: Stage) -> None:
    who = having("user/Observation.s?status=final")
    assert (await stage.ask("Condition?patient=camille", who)).status == 403
    name = next(iter(await codes(stage)))
    assert (await stage.ask(f"Observation/{name}", who)).status == 403
    assert await found(stage, "Observation?patient=camille", who)


async def test_constraints_are_joined_by_and_scopes_by_or(stage: Stage) -> None:
    known = await codes(stage)
    one, other = sorted(set(known.values()))[:2]
    everything = "Observation?patient=camille&_count=100"
    both = having(f"user/Observation.s?code={one}&code={other}")
    assert await found(stage, everything, both) == set()
    either = having(f"user/Observation.s?code={one} user/Observation.s?code={other}")
    assert await found(stage, everything, either) == {
        f"Observation/{name}" for name, code in known.items() if code in (one, other)
    }


async def test_includes_need_a_scope_of_their_own_type(stage: Stage) -> None:
    who = having("user/Observation.s?status=final user/Patient.s?active=false")
    shown = await found(stage, "Observation?patient=camille&_include=Observation:subject", who)
    assert shown
    assert not any(one.startswith("Patient/") for one in shown)


@pytest.mark.parametrize(
    "constraint", ["date=gt1900", "_tag=x", "value-quantity=5", "unheard-of=x", "subject=Group/g"]
)
async def test_what_cannot_be_evaluated_opens_nothing(stage: Stage, constraint: str) -> None:
    who = having(f"user/Observation.rs?{constraint}")
    assert await found(stage, "Observation?patient=camille", who) == set()
    for name in await codes(stage):
        assert (await stage.ask(f"Observation/{name}", who)).status == 404


async def test_a_patient_scope_stays_in_its_context(stage: Stage) -> None:
    who = {"like": "patient", "scope": "patient/Observation.rs?status=final"}
    assert await found(stage, "Observation?_count=100", who)
    assert await found(stage, "Observation?patient=denise", who) == set()


async def test_pages_hold_only_what_is_covered(stage: Stage) -> None:
    known = await codes(stage)
    code = next(iter(known.values()))
    who = having(f"user/Observation.rs?code={code}")
    everything = await found(stage, "Observation?patient=camille&_count=100", who)
    paged: set[str] = set()
    target = "Observation?patient=camille&_count=1"
    while target:
        page = orjson.loads((await stage.ask(target, who)).body)
        paged |= {f"Observation/{one['resource']['id']}" for one in page.get("entry", ())}
        target = {one["relation"]: one["url"] for one in page["link"]}.get("next", "")
    assert paged == everything


async def test_no_constraint_guesses_what_is_redacted(tmp_path: Path) -> None:
    zed = resource("Patient", "zed", telecom=[{"system": "phone", "value": "0612345678"}])
    async with gateway(tmp_path, zed, *ZED[1:]) as (stage, _):
        absent = await stage.ask("Patient/none-such", having("user/Patient.rs"))
        assert (await stage.ask("Patient/zed", NURSE)).status == 200
        for number in ("0612345678", "0699999999"):
            who = {"like": NURSE, "scope": f"user/Patient.rs?telecom={number}"}
            reply = await stage.ask("Patient/zed", who)
            assert (reply.status, reply.body) == (404, absent.body)
            assert await found(stage, "Patient?_id=zed", who) == set()


INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


async def test_no_constraint_guesses_what_is_cut_out(tmp_path: Path) -> None:
    label = {"url": INLINE, "valueCoding": {"system": CONFIDENTIALITY, "code": "V"}}
    secret = {"extension": [label], "coding": [{"system": "urn:x", "code": "CANARY-1"}]}
    method = {"coding": [{"system": "urn:x", "code": "plain"}]}
    seen = about("Observation", "o", status="final", method=method, category=[secret, method])
    async with gateway(tmp_path, *ZED, seen) as (stage, _):
        whole = await stage.ask("Observation/o", NURSE)
        assert (whole.status, b"CANARY-1" in whole.body) == (200, False)
        for code in ("CANARY-1", "CANARY-2"):
            who = {"like": NURSE, "scope": f"user/Observation.rs?category={code}"}
            assert (await stage.ask("Observation/o", who)).status == 404
