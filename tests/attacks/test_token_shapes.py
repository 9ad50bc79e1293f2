"""A token that names no natural person gets nothing where the policy asks for one: shapes of tokens, and what the baseline gives."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests.attacks.records import ZED, about
from tests.psc import believing
from tests.stage import ISSUER, Json, Stage, Upstream, bundle, serving, world_of

AUDIENCE = "http://127.0.0.1:8080/fhir"
OPEN, RECORD = "Practitioner/dr-martin", "Condition?patient=zed"
GRANTED = {"scope": "user/*.rs system/*.rs patient/*.rs"}
ROLE = {"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}


def extension(**members: object) -> Json:
    return {"extensions": {"ihe_iua": {"subject_role": [ROLE], "purpose_of_use": ["TREAT"], **members}}}  # fmt: skip


class Shape(NamedTuple):
    """A token, whom it names, and whether it opens the directory and the record."""

    claims: Mapping[str, object]
    kind: str
    opens: bool
    sees: bool


DR = "Practitioner/dr-martin"
SHAPES = {
    "a physician of the team": Shape({"sub": "u", "client_id": "app", "fhirUser": DR, **GRANTED}, "practitioner", True, True),
    "with user/ scopes alone": Shape({"sub": "u", "client_id": "app", "fhirUser": DR, "scope": "user/*.rs"}, "practitioner", True, True),
    "with system/ scopes alone": Shape({"sub": "u", "client_id": "app", "fhirUser": DR, "scope": "system/*.rs"}, "practitioner", False, False),
    "client credentials, sub is the client": Shape({"sub": "app", "client_id": "app", **GRANTED}, "system", True, False),
    "client credentials with user/ scopes": Shape({"sub": "app", "client_id": "app", "scope": "user/*.rs"}, "system", False, False),
    "client credentials that state a role": Shape({"sub": "app", "client_id": "app", **GRANTED, **extension()}, "system", True, False),
    "client credentials that state an organisation": Shape({"sub": "app", "client_id": "app", **GRANTED, **extension(subject_organization_id="urn:oid:1.2")}, "system", True, False),
    "a backend by its scopes": Shape({"sub": "uuid-of-the-client", "client_id": "app", "scope": "system/*.rs"}, "system", True, False),
    "the account of a client, with user/ scopes": Shape({"sub": "uuid-of-the-client", "client_id": "app", "scope": "user/*.rs", **extension()}, "unknown", False, False),
    "a client of the operator's list": Shape({"sub": "uuid", "client_id": "nightly", "scope": "user/*.rs system/*.rs"}, "system", True, False),
    "a client of the list that names a person": Shape({"sub": "u", "client_id": "nightly", "fhirUser": DR, **GRANTED}, "unknown", False, False),
    "nobody but a sub": Shape({"sub": "u", **GRANTED}, "unknown", False, False),
    "a name and no person": Shape({"sub": "u", "client_id": "app", "name": "Dr Martin", **GRANTED, **extension(subject_name="Dr Martin")}, "unknown", False, False),
    "a person of another server": Shape({"sub": "u", "client_id": "app", "fhirUser": f"https://evil.example.org/fhir/{DR}", **GRANTED, **extension()}, "unknown", False, False),
    "a device": Shape({"sub": "u", "client_id": "app", "fhirUser": "Device/d", **GRANTED, **extension()}, "unknown", False, False),
    "an organisation": Shape({"sub": "u", "client_id": "app", "fhirUser": "Organization/o", **GRANTED, **extension()}, "unknown", False, False),
    "a person without a role in FHIR": Shape({"sub": "u", "client_id": "app", "fhirUser": "Person/1", **GRANTED, **extension()}, "unknown", False, False),
    "a number that nobody has": Shape({"sub": "u", "client_id": "app", **GRANTED, **extension(national_provider_identifier="404")}, "practitioner", True, False),
    "a patient in context and nobody": Shape({"sub": "u", "client_id": "app", "patient": "zed", "scope": "patient/*.rs"}, "unknown", False, False),
    "the client of a patient in context": Shape({"sub": "app", "client_id": "app", "patient": "zed", "scope": "patient/*.rs system/*.rs"}, "system", True, False),
    "the patient": Shape({"sub": "u", "client_id": "app", "fhirUser": "Patient/zed", "patient": "zed", "scope": "patient/*.rs"}, "patient", True, True),
    "no scope at all": Shape({"sub": "u", "client_id": "app", "fhirUser": DR}, "practitioner", False, False),
}  # fmt: skip


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A gateway with clients that never act for a person, and accounts that several share."""
    condition = about("Condition", "zc", code={"text": "seen"})
    upstream = Upstream(world_of(bundle(*ZED, condition)))
    lists = 'system_clients: ["nightly"], shared_accounts: ["ward-3"]'
    async with (
        serving(upstream.respond) as upstream.url,
        believing(tmp_path, upstream.url, lists) as found,
    ):
        yield found


@pytest.mark.parametrize("name", SHAPES)
async def test_what_a_token_of_each_shape_opens(stage: Stage, name: str) -> None:
    shape = SHAPES[name]
    claims = {"iss": ISSUER, "aud": AUDIENCE, **shape.claims}
    directory = await stage.ask(OPEN, claims)
    record = await stage.ask(RECORD, claims)
    assert {entry.actor.kind for entry in stage.entries()} == {shape.kind}
    assert (directory.status == 200) is shape.opens
    assert (record.status == 200 and record.ids == ["Condition/zc"]) is shape.sees
    if not shape.sees:
        assert (await stage.ask("Condition/zc", claims)).status in {403, 404}


async def test_an_account_that_several_persons_share_names_none_of_them(stage: Stage) -> None:  # P0
    claims = {"iss": ISSUER, "aud": AUDIENCE, **SHAPES["a physician of the team"].claims}
    assert (await stage.ask(RECORD, claims)).status == 200
    refused = await stage.ask(RECORD, {**claims, "sub": "ward-3"})
    assert (refused.status, refused.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert "share" in stage.entries()[-1].detail
