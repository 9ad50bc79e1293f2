"""A stage for bulk export: policies that permit it to one system, patients who do and do not share, and the steps of an export."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

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

POLICY = """
# yaml-language-server: $schema=../schema/policy.schema.json
policy: registry
version: "1"
source: a registry that patients agreed to
rules:
  - id: registry-exports
    description: The registry's server exports the records of patients who share them.
    effect: permit
    target:
      principal: {kind: [system], client: [registry]}
      interaction: [export]
      consent: [permit]
      resource: {type: [Patient, Observation, Condition]}
    redact: {remove: [Patient.telecom]}
  - id: registry-exports-groups
    description: Its rosters say who is in the registry.
    effect: permit
    target:
      principal: {kind: [system], client: [registry]}
      interaction: [export]
      resource: {type: [Group]}
  - id: registry-learns-no-names
    description: Whatever lets the registry read, it learns no name.
    effect: permit
    target: {principal: {kind: [system], client: [registry]}, consent: [permit], purpose: [HRESCH]}
    redact: {remove: [Patient.name]}
"""

REGISTRY: Mapping[str, Any] = {
    "iss": ISSUER,
    "sub": "registry",
    "aud": "http://127.0.0.1:8080/fhir",
    "client_id": "registry",
    "jti": "registry-1",
    "scope": "system/*.rs",
    "extensions": {
        "ihe_iua": {
            "subject_name": "Registry",
            "purpose_of_use": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}
            ],
        }
    },
}
ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
HIDDEN = "CANARY-hidden"


def consent(patient: str, effect: str, status: str = "active") -> Json:
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    return {
        "resourceType": "Consent",
        "id": f"{patient}-says",
        "status": status,
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "provision": {"type": effect},
    }


def observation(own: str, patient: str, **more: Any) -> Json:
    subject = {"reference": f"Patient/{patient}"}
    return {"resourceType": "Observation", "id": own, "status": "final", "subject": subject, **more}


SHARES, REFUSES = "share", "refuse"
RECORDS: tuple[Json, ...] = (
    {"resourceType": "Patient", "id": SHARES, "gender": "female", "name": [{"family": "S"}], "telecom": [{"value": "1"}]},
    consent(SHARES, "permit"),
    observation("o1", SHARES, valueQuantity={"value": 1.50}),
    observation("o2", SHARES),
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
     "member": [{"entity": {"reference": f"Patient/{who}"}} for who in (SHARES, REFUSES)]},
)  # fmt: skip
"""What the registry may see."""

CONCEALED: tuple[Json, ...] = (
    {"resourceType": "Patient", "id": REFUSES, "name": [{"family": HIDDEN}]},
    consent(REFUSES, "deny"),
    observation("o3", REFUSES, note=[{"text": HIDDEN}]),
    {"resourceType": "Condition", "id": "c1", "subject": {"reference": f"Patient/{REFUSES}"}, "language": HIDDEN},
)  # fmt: skip
"""What it may not: of Condition there is nothing else."""


def policies(folder: Path, text: str = POLICY) -> Path:
    """The baseline, and a policy for the registry."""
    made = folder / "policies"
    if not made.exists():
        shutil.copytree(BASELINE, made, ignore=shutil.ignore_patterns("tests", "hospital"))
    (made / "registry.yaml").write_text(text)
    return made


@asynccontextmanager
async def registry(
    folder: Path, *records: Json, text: str = POLICY, more: str = ""
) -> AsyncIterator[tuple[Stage, Upstream]]:
    """A gateway that exports, in front of these records alone."""
    upstream = Upstream(world_of(bundle(*records), samples=False))
    async with (
        serving(upstream.respond) as upstream.url,
        staged(folder, upstream.url, policies=policies(folder, text), more=more) as stage,
    ):
        stage.entries()
        upstream.calls.clear()
        yield stage, upstream


async def begun(stage: Stage, target: str = "/$export", who: Any = REGISTRY) -> str:
    """Kicks an export off; its status URL."""
    reply = await stage.ask(target, who, headers=ASYNC)
    assert (reply.status, reply.body) == (202, b""), reply.body
    return reply.headers["content-location"]


async def manifest_of(stage: Stage, status: str, who: Any = REGISTRY) -> Json:
    """The manifest."""
    for _ in range(20):
        reply = await stage.ask(status, who)
        if reply.status != 202:
            assert reply.status == 200, reply.body
            return reply.json
        await asyncio.sleep(0.05)
    raise AssertionError("the export is never ready")


def files_of(manifest: Json) -> dict[str, str]:
    """The URL of each type."""
    return {one["type"]: one["url"] for one in manifest["output"]}


async def exported(stage: Stage, target: str, who: Any = REGISTRY) -> dict[str, Reply]:
    """A whole export: each file by type."""
    manifest = await manifest_of(stage, await begun(stage, target, who), who)
    return {kind: await stage.ask(url, who) for kind, url in files_of(manifest).items()}


def lines(reply: Reply) -> list[Json]:
    """The resources of a file."""
    return [orjson.loads(line) for line in reply.body.splitlines()]
