"""An R5 server behind the gateway: R5 Consent, R5 search, R5-shaped AuditEvents, end to end over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fhir.resources.bundle import Bundle

from proxy import app
from proxy.demo.stage import data_directory
from proxy.identity.development import development_keys, development_token
from proxy.sandbox.body import draft_of
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from proxy.settings import load_settings

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ROLE = {"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}
RESTRICTED = {"system": CONFIDENTIALITY, "code": "R"}
RECORD: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p1"},
    {"resourceType": "Patient", "id": "p2"},
    {"resourceType": "Practitioner", "id": "dr"},
    {
        "resourceType": "PractitionerRole",
        "id": "dr",
        "active": True,
        "practitioner": {"reference": "Practitioner/dr"},
        "code": [{"coding": [ROLE]}],
    },
    *(
        {
            "resourceType": "CareTeam",
            "id": f"team-{patient}",
            "status": "active",
            "subject": {"reference": f"Patient/{patient}"},
            "participant": [{"member": {"reference": "Practitioner/dr"}}],
        }
        for patient in ("p1", "p2")
    ),
    {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "subject": {"reference": "Patient/p1"},
        "decision": "permit",
        "provision": [{"securityLabel": [RESTRICTED]}],
    },
    {
        "resourceType": "Observation",
        "id": "open",
        "status": "final",
        "code": {"text": "open"},
        "subject": {"reference": "Patient/p1"},
    },
    {
        "resourceType": "Observation",
        "id": "denied",
        "meta": {"security": [RESTRICTED]},
        "status": "final",
        "code": {"text": "CANARY"},
        "subject": {"reference": "Patient/p1"},
    },
    {
        "resourceType": "Observation",
        "id": "silent",
        "status": "final",
        "code": {"text": "CANARY"},
        "subject": {"reference": "Patient/p2"},
    },
]
CONFIGURATION = """
listen: {{port: 0}}
admin: {{port: 0}}
upstream: {{url: "{upstream}"}}
identity:
  issuers: [{{issuer: "https://idp.example.org", audience: gateway, jwks: {{file: keys.json}}}}]
policies: {policies}
facts: {{ttl_s: 0}}
audit: {{journal: "sqlite:///journal.db", repository: {{url: "{upstream}"}}}}
"""


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[tuple[app.Gateway, Store, aiohttp.ClientSession]]:
    store = Store("5.0.0")
    load_samples(store, [json.dumps(one).encode() for one in RECORD])
    sandbox = await start_sandbox(store)
    key, jwks = development_keys(fresh=True)
    (tmp_path / "keys.json").write_bytes(jwks)
    config = tmp_path / "gateway.yaml"
    policies = json.dumps(str(data_directory("policies") / "baseline"))
    config.write_text(CONFIGURATION.format(upstream=sandbox.url, policies=policies))
    gateway = await app.start(load_settings(config, {}), {})
    claims = {
        "iss": "https://idp.example.org",
        "sub": "dr",
        "aud": "gateway",
        "scope": "user/*.rs",
        "client_id": "app",
        "fhirUser": "Practitioner/dr",
    }
    token = development_token(claims, key, time.time())
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {token}"}) as session:
        yield gateway, store, session
    await gateway.close()
    await sandbox.close()
    store.close()


async def test_an_r5_consent_opens_and_closes(
    asked: tuple[app.Gateway, Store, aiohttp.ClientSession],
) -> None:
    gateway, _, session = asked
    want = {
        "Patient/p1": 200,
        "Observation/open": 200,
        "Observation/open/_history/1": 200,
        "Observation/denied": 404,
        "Observation/silent": 404,
        "Patient/p2": 404,
        "Observation/no-such": 404,
    }
    got = {}
    for target in want:
        async with session.get(f"{gateway.url}/{target}") as answer:
            got[target] = answer.status
            assert b"CANARY" not in await answer.read()
    assert got == want
    async with session.get(f"{gateway.url}/Observation?patient=p1,p2") as answer:
        bundle = await answer.json(content_type=None)
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["open"]
    assert bundle["total"] == 1


async def test_histories_show_what_is_open_and_what_was(
    asked: tuple[app.Gateway, Store, aiohttp.ClientSession],
) -> None:
    gateway, store, session = asked
    for own, patient in (("was-open", "p1"), ("was-silent", "p2")):
        resource = {
            **RECORD[-1],
            "id": own,
            "subject": {"reference": f"Patient/{patient}"},
            "code": {"text": own},
        }
        store.update(draft_of(json.dumps(resource).encode(), store.definitions), own)
        store.delete("Observation", own)
    for path in ("Observation/_history", "_history"):
        async with session.get(f"{gateway.url}/{path}?_count=1000") as answer:
            text = await answer.text()
            told = [
                (one["request"]["method"], one["request"]["url"])
                for one in json.loads(text)["entry"]
            ]
        assert [one for one in told if one[1].startswith("Observation/")] == [
            ("DELETE", "Observation/was-open"), ("PUT", "Observation/was-open"), ("PUT", "Observation/open"),
        ]  # fmt: skip
        assert "CANARY" not in text


async def test_every_audit_event_is_taken_by_an_r5_server(
    asked: tuple[app.Gateway, Store, aiohttp.ClientSession],
) -> None:
    gateway, _, session = asked
    for target in (
        "Patient/p1",
        "Observation?patient=p1",
        "Observation/no-such",
        "Observation/_history",
        "_history",
    ):
        async with session.get(f"{gateway.url}/{target}") as answer:
            await answer.read()
    for _ in range(200):
        if not await asyncio.to_thread(gateway.journal.file.undelivered, 1):
            break
        await asyncio.sleep(0.05)
    assert await asyncio.to_thread(gateway.journal.file.undelivered, 1) == []
    assert await asyncio.to_thread(gateway.journal.file.stuck) == []


VISIT: list[dict[str, Any]] = [
    {
        "resourceType": "Encounter",
        "id": name,
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
    }
    for name, patient in (("seen", "p1"), ("hidden", "p2"))
]
INSIDE: list[dict[str, Any]] = [
    {**RECORD[-3], "id": f"in-{name}", "encounter": {"reference": f"Encounter/{name}"}}
    for name in ("seen", "hidden")
]


async def test_compartments_are_those_of_r5(
    asked: tuple[app.Gateway, Store, aiohttp.ClientSession],
) -> None:
    gateway, store, session = asked
    load_samples(store, [json.dumps(one).encode() for one in (*VISIT, *INSIDE)])
    want = {
        "Patient/p1/Patient": ["p1"],
        "Patient/p1/*?_type=Observation,Encounter,EncounterHistory,Task": [
            "seen", "in-hidden", "in-seen", "open",
        ],
        "Patient/p2/*": [],
        "Encounter/seen/*": ["seen", "in-seen"],
        "Encounter/hidden/*": [],
        "Encounter/no-such/*": [],
        "Practitioner/dr/Practitioner": ["dr"],
    }  # fmt: skip
    for target, ids in want.items():
        async with session.get(f"{gateway.url}/{target}") as answer:
            bundle = await answer.json(content_type=None)
        found = [one["resource"]["id"] for one in bundle.get("entry", [])]
        assert (answer.status, target, sorted(found)) == (200, target, sorted(ids))
    for _ in range(200):
        if not await asyncio.to_thread(gateway.journal.file.undelivered, 1):
            break
        await asyncio.sleep(0.05)
    assert await asyncio.to_thread(gateway.journal.file.undelivered, 1) == []
    assert await asyncio.to_thread(gateway.journal.file.stuck) == []


LETTER: dict[str, Any] = {
    "resourceType": "Composition",
    "id": "letter",
    "status": "final",
    "type": {"text": "letter"},
    "subject": [{"reference": "Patient/p1"}],
    "date": "2026-01-01",
    "author": [{"reference": "Practitioner/dr"}],
    "title": "letter",
    "section": [{"title": "s", "entry": [{"reference": "Observation/open"}]}],
}
TELLING = LETTER | {
    "id": "telling",
    "section": [{"title": "s", "entry": [{"reference": "Observation/denied"}]}],
}
MEDICINE: dict[str, Any] = {
    "resourceType": "MedicationStatement",
    "id": "m",
    "status": "recorded",
    "medication": {"concept": {"text": "ramipril"}},
    "subject": {"reference": "Patient/p1"},
}


async def test_documents_and_summaries_are_those_of_r5(
    asked: tuple[app.Gateway, Store, aiohttp.ClientSession],
) -> None:
    gateway, store, session = asked
    load_samples(store, [json.dumps(one).encode() for one in (LETTER, TELLING, MEDICINE)])
    for target, status in (
        ("Composition/letter/$document", 200),
        ("Composition/telling/$document", 404),
        ("Patient/p1/$summary", 200),
        ("Patient/p2/$summary", 404),
    ):
        async with session.get(f"{gateway.url}/{target}") as answer:
            body = await answer.read()
            assert (answer.status, target) == (status, target)
            assert b"CANARY" not in body
            if status == 200:
                assert Bundle.model_validate_json(body).type == "document"
            assert (b"ramipril" in body) is target.endswith("p1/$summary")
