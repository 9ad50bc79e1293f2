"""Delegation end to end: who acts for another is shown what policy gives delegates, within what the other is shown (RFC 8693, SEED-36)."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.audit.agent import Observer
from proxy.audit.event import events_of
from tests.attacks.records import PHYSICIAN, ZED, about, consent
from tests.facts.consents import actor
from tests.stage import (
    BASELINE,
    ISSUER,
    Json,
    Reply,
    Stage,
    Upstream,
    bundle,
    serving,
    staged,
    world_of,
)

DATA = "Condition?patient=zed"
DELEGATES = """
policy: delegates
version: "1"
source: house rule
description: Secretaries read for the physicians of the care team.
rules:
  - id: delegate-reads
    description: Who acts for a member of the care team reads.
    effect: permit
    target:
      principal: {relationship: [delegate]}
      interaction: [read, vread, history-instance, search-type]
      consent: [permit]
"""
SECRETARY = {"sub": "payet", "name": "Lucie Payet"}
PHYSICIAN_LABELLED = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def restricted() -> Json:
    return about(
        "Condition", "zr", meta={"security": [{"system": PHYSICIAN_LABELLED, "code": "R"}]}
    )


RECORD = (*ZED, about("Condition", "zc", code={"text": "seen"}), restricted())


def acting(act: object = None, **changes: object) -> Json:
    """The physician's token, in the hands of somebody else."""
    return {"like": PHYSICIAN, "act": SECRETARY if act is None else act, **changes}


@asynccontextmanager
async def scene(folder: Path, *more: Json, delegates: str = DELEGATES) -> AsyncIterator[Stage]:
    policies = folder / "policies"
    shutil.copytree(BASELINE, policies)
    (policies / "delegates.yaml").write_text(delegates)
    by_name = {(one["resourceType"], one["id"]): one for one in (*RECORD, *more)}
    upstream = Upstream(world_of(bundle(*by_name.values())))
    async with (
        serving(upstream.respond) as upstream.url,
        staged(folder, upstream.url, policies=policies) as stage,
    ):
        yield stage


def seen(reply: Reply) -> list[str]:
    return reply.ids if reply.status == 200 else []


async def test_a_delegate_reads_what_policy_gives_to_delegates_and_no_more(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage:
        assert seen(await stage.ask(DATA, PHYSICIAN)) == ["Condition/zc", "Condition/zr"]
        # What is restricted, physicians are cleared for, and delegates are not.
        assert seen(await stage.ask(DATA, acting())) == ["Condition/zc"]


async def test_without_a_rule_for_delegates_nobody_acts_for_anybody(tmp_path: Path) -> None:
    upstream = Upstream(world_of(bundle(*RECORD)))
    async with serving(upstream.respond) as upstream.url, staged(tmp_path, upstream.url) as stage:
        for act in (SECRETARY, {"sub": "dr-martin", "fhirUser": "Practitioner/dr-martin"}):
            assert seen(await stage.ask(DATA, acting(act))) == []
        practitioner = {"sub": "x", "fhirUser": "Practitioner/nurse-nora"}
        assert (await stage.ask("Practitioner/dr-martin", acting(practitioner))).status == 200


async def test_a_delegate_has_no_standing_of_its_own(tmp_path: Path) -> None:
    """A physician of the team who acts for one outside it is shown nothing by being of the team."""
    mine = {"sub": "dr-martin", "fhirUser": "Practitioner/dr-martin"}
    async with scene(tmp_path) as stage:
        assert seen(await stage.ask(DATA, {"like": "outside-clinician", "act": mine})) == []


@pytest.mark.parametrize("refused", ["Practitioner/dr-martin", "Practitioner/payet"])
async def test_whoever_of_the_two_the_patient_refuses_nothing_is_shown(
    tmp_path: Path, refused: str
) -> None:
    act = {**SECRETARY, "fhirUser": "Practitioner/payet"}
    secretary: Json = {"resourceType": "Practitioner", "id": "payet"}
    async with scene(tmp_path, secretary) as stage:
        assert seen(await stage.ask(DATA, acting(act))) == ["Condition/zc"]
    denies = consent("zed-refuses", "deny", **actor(refused))
    shutil.rmtree(tmp_path / "policies")
    async with scene(tmp_path, secretary, denies) as stage:
        assert seen(await stage.ask(DATA, acting(act))) == []


async def test_rules_for_delegates_give_no_more_than_the_other_has(tmp_path: Path) -> None:
    generous = DELEGATES.replace("effect: permit", "effect: permit\n    lifts: [confidentiality]")
    async with scene(tmp_path, delegates=generous) as stage:
        assert seen(await stage.ask(DATA, acting())) == ["Condition/zc", "Condition/zr"]
        nurse = {"like": "care-team-nurse", "act": SECRETARY}
        assert seen(await stage.ask(DATA, {"like": "care-team-nurse"})) == ["Condition/zc"]
        assert seen(await stage.ask(DATA, nurse)) == ["Condition/zc"]


async def test_what_is_redacted_for_the_other_is_redacted_for_the_delegate(tmp_path: Path) -> None:
    home: Json = {"resourceType": "Patient", "id": "zed", "address": [{"text": "CANARY street"}]}
    async with scene(tmp_path, home) as stage:
        nurse = {"like": "care-team-nurse", "act": SECRETARY}
        reply = await stage.ask("Patient/zed", nurse)
        assert reply.status == 200
        assert "CANARY street" not in reply.text
        assert "CANARY street" in (await stage.ask("Patient/zed", acting())).text


async def test_when_the_others_standing_ends_so_does_the_delegates(tmp_path: Path) -> None:
    ended: Json = {**ZED[1], "period": {"end": "2026-11-01"}}
    async with scene(tmp_path, ended) as stage:
        assert seen(await stage.ask(DATA, PHYSICIAN)) == []
        assert seen(await stage.ask(DATA, acting())) == []


CHAINS: dict[str, Json] = {
    "two actors": {"act": {**SECRETARY, "act": {"sub": "app"}}},
    "no actor": {"act": {"name": "Lucie"}},
    "an empty actor": {"act": {}},
    "a text": {"act": "payet"},
    "a list": {"act": [SECRETARY]},
    "null": {"act": {"sub": None}},
    "a subject of another type": {"act": {"sub": 1}},
    "a user of another type": {"act": {**SECRETARY, "fhirUser": ["Practitioner/a"]}},
}


@pytest.mark.parametrize("name", CHAINS)
async def test_a_delegation_that_is_not_understood_is_no_token(tmp_path: Path, name: str) -> None:
    async with scene(tmp_path) as stage:
        assert (await stage.ask(DATA, {"like": PHYSICIAN, **CHAINS[name]})).status == 401


async def test_both_stand_in_the_journal_and_in_every_event(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage:
        await stage.ask(DATA, acting())
        (entry,) = stage.entries()
        other = entry.actor.on_behalf_of
        assert other is not None
        assert (entry.actor.subject, entry.actor.name, entry.actor.roles) == (
            "payet",
            "Lucie Payet",
            (),
        )
        assert (other.fhir_user, other.issuer) == ("Practitioner/dr-martin", ISSUER)
        observer = Observer("http://gateway.example.org/fhir", "gateway")
        for event in events_of(entry, observer=observer):
            acts = [one["who"]["identifier"]["value"] for one in event["agent"] if one["requestor"]]
            delegators = [one for one in event["agent"] if "delegator" in str(one["type"])]
            assert acts == ["payet"]
            assert [one["who"]["reference"] for one in delegators] == ["Practitioner/dr-martin"]


async def test_a_delegate_breaks_no_glass(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage:
        act = {"sub": "dr-outis", "fhirUser": "Practitioner/dr-martin"}
        body = b"""{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/zed"}},
          {"name":"reason","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"ETREAT"}},
          {"name":"justification","valueString":"unconscious in the emergency department"}]}"""
        kind = {"Content-Type": "application/fhir+json"}
        assert (await stage.ask("$break-glass", PHYSICIAN, "POST", kind, body)).status == 200
        assert (await stage.ask("$break-glass", acting(act), "POST", kind, body)).status == 403


async def test_a_page_link_is_of_the_two_that_it_was_made_for(tmp_path: Path) -> None:
    more = tuple(about("Condition", f"z{n}", code={"text": "seen"}) for n in range(5))
    async with scene(tmp_path, *more) as stage:
        first = await stage.ask(f"{DATA}&_count=2", acting())
        assert first.next is not None
        assert (await stage.ask(first.next, PHYSICIAN)).status == 404
        assert (
            await stage.ask(first.next, {"like": "care-team-nurse", "act": SECRETARY})
        ).status == 404
        assert (await stage.ask(first.next, acting())).status == 200


async def test_what_is_redacted_for_the_other_cannot_be_searched_by_the_delegate(
    tmp_path: Path,
) -> None:
    home: Json = {"resourceType": "Patient", "id": "zed", "address": [{"city": "CANARY"}]}
    async with scene(tmp_path, home) as stage:
        search = "Patient?_id=zed&address-city=CANARY"
        assert (await stage.ask(search, acting())).ids == ["Patient/zed"]
        nurse = await stage.ask(search, {"like": "care-team-nurse"})
        acting_for_nurse = await stage.ask(search, {"like": "care-team-nurse", "act": SECRETARY})
        assert (acting_for_nurse.status, acting_for_nurse.ids) == (nurse.status, nurse.ids)
        assert acting_for_nurse.ids == []
