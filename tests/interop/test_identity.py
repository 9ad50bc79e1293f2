"""Tokens of a real OpenID Provider at the gateway: who is believed, what they see, and what happens when keys rotate."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.identity_gateway import (
    COOL_DOWN_S,
    KEYS_LIVE_S,
    KEYS_OUTLIVE_S,
    Front,
    beside,
    fronted,
    standing_at,
)
from tests.interop.identity_provider import LIFETIME_S, Grant, Refused, providing
from tests.interop.visible import visible
from tests.stage import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKEW_S = 30  # of every issuer
CLINICIAN = "openid fhirUser user/*.rs"
PATIENT = "openid fhirUser launch/patient patient/*.rs"
BACKEND = "system/*.rs"
ASKERS, ANSWERS, PHASE_S = 12, 150, 20
REFUSAL = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "login",
            "details": {"text": "authentication is required"},
        }
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with fronted(tmp_path_factory.mktemp("gateway")) as front:
        yield front


def assert_not_believed(reply: Reply) -> None:
    """The one 401, whatever is wrong with a token (RFC 6750 section 3.1)."""
    assert (reply.status, reply.json) == (401, REFUSAL)
    assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


# ---- who is believed -------------------------------------------------------------------------------------------------


async def test_the_provider_is_a_real_one(front: Front) -> None:
    metadata = front.provider.metadata
    assert metadata["issuer"] == front.provider.issuer
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
    with pytest.raises(Refused, match="invalid_target"):
        await front.provider.logged_in("patient", PATIENT, aud="https://other.example.org/fhir")
    with pytest.raises(Refused, match="invalid_target"):
        await front.provider.logged_in("patient", PATIENT, resource="urn:other")


@pytest.mark.parametrize(
    ("person", "scope"),
    [
        ("care-team-physician", CLINICIAN),
        ("care-team-nurse", "user/*.read"),
        ("general-practitioner", "user/Observation.rs user/Patient.r"),
        ("patient", PATIENT),
        ("patient", "patient/Observation.read patient/Patient.read"),
    ],
)
async def test_each_sees_what_is_for_him_or_her(front: Front, person: str, scope: str) -> None:
    granted = await front.provider.logged_in(person, scope)
    assert granted.claims["aud"] == front.url
    pages = await front.pages("Observation?patient=camille&_count=9", granted.token)
    assert sorted(itertools.chain(*pages)) == sorted(visible("Observation", person))
    assert (await front.ask("Patient/noe", granted.token)).status == 404


@pytest.mark.parametrize(("person", "whole"), [("care-team-physician", True), ("patient", True)])
async def test_what_is_permitted_leaves_byte_for_byte(
    front: Front, person: str, whole: bool
) -> None:
    scope = PATIENT if person == "patient" else CLINICIAN
    token = (await front.provider.logged_in(person, scope)).token
    reply = await front.ask("Patient/camille", token)
    assert (reply.status, reply.body == await front.stored("Patient/camille")) == (200, whole)


async def test_a_scope_that_was_not_granted_is_403(front: Front) -> None:
    token = (await front.provider.logged_in("care-team-physician", "user/Observation.rs")).token
    reply = await front.ask("Patient/camille", token)
    assert reply.status == 403
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


async def test_a_launch_context_binds_the_scopes_of_a_patient(front: Front) -> None:
    token = (await front.provider.logged_in("", "patient/*.rs", launch="patient@camille")).token
    assert (await front.ask("Patient/camille", token)).status == 200
    elsewhere = (await front.provider.logged_in("", "patient/*.rs", launch="patient@ines")).token
    for patient in ("camille", "ines"):
        assert (await front.ask(f"Patient/{patient}", elsewhere)).status in (403, 404)


async def test_a_service_reads_the_directory_and_no_record(front: Front) -> None:
    token = (await front.provider.service(BACKEND)).token
    practitioner = await front.ask("Practitioner/dr-martin", token)
    assert practitioner.body == await front.stored("Practitioner/dr-martin")
    replies = [await front.ask(f"Patient/{one}", token) for one in ("camille", "nobody")]
    assert [one.status for one in replies] == [403, 403]
    assert replies[0].body == replies[1].body


# ---- who is not ------------------------------------------------------------------------------------------------------


async def test_a_token_for_another_audience_is_refused(front: Front) -> None:
    provider = front.provider
    granted = await provider.service(BACKEND, resource=provider.elsewhere)
    assert granted.claims["aud"] == provider.elsewhere
    assert_not_believed(await front.ask("Practitioner/dr-martin", granted.token))


async def test_a_token_of_a_provider_that_nobody_named_is_refused(front: Front) -> None:
    async with providing(front.url) as stranger:
        token = (await stranger.logged_in("care-team-physician", CLINICIAN)).token
        assert_not_believed(await front.ask("Patient/camille", token))


async def test_an_id_token_is_no_access_token(front: Front) -> None:
    granted = await front.provider.logged_in("care-team-physician", CLINICIAN)
    assert_not_believed(await front.ask("Patient/camille", granted.answer["id_token"]))


async def test_a_refresh_token_gives_the_next_token_and_no_access(front: Front) -> None:
    scope = f"{CLINICIAN} offline_access"
    granted = await front.provider.logged_in("care-team-physician", scope, prompt="consent")
    assert_not_believed(await front.ask("Patient/camille", granted.answer["refresh_token"]))
    following = await front.provider.refreshed(granted)
    assert following.token != granted.token
    assert (await front.ask("Patient/camille", following.token)).status == 200


async def test_one_letter_changed_is_refused(front: Front) -> None:
    token = (await front.provider.logged_in("care-team-physician", CLINICIAN)).token
    head, body, signature = token.split(".")
    other = "A" if signature[10] != "A" else "B"
    forged = f"{head}.{body}.{signature[:10]}{other}{signature[11:]}"
    assert_not_believed(await front.ask("Patient/camille", forged))
    assert (await front.ask("Patient/camille", token)).status == 200


@pytest.mark.parametrize(
    ("age_s", "status"), [(LIFETIME_S + SKEW_S - 10, 200), (LIFETIME_S + SKEW_S + 1, 401)]
)
async def test_a_token_expires_by_the_clock_of_the_gateway(
    front: Front, tmp_path: Path, age_s: int, status: int
) -> None:
    granted = await front.provider.logged_in("care-team-physician", CLINICIAN)
    async with standing_at(front, tmp_path, granted.claims["iat"] + age_s) as later:
        reply = await later.ask("Patient/camille", granted.token)
    assert reply.status == status, reply.text
    if status == 401:
        assert_not_believed(reply)


# ---- keys rotate -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Load:
    """Several who ask all the time, each with the newest token."""

    front: Front
    tokens: list[Grant]
    statuses: list[int] = field(default_factory=list)
    counted: asyncio.Condition = field(default_factory=asyncio.Condition)
    is_over: bool = False

    async def ask(self) -> None:
        while not self.is_over:
            reply = await self.front.ask("Patient/camille", self.tokens[-1].token)
            async with self.counted:
                self.statuses.append(reply.status)
                self.counted.notify_all()

    async def goes_on(self) -> None:
        """Until many more answers came, so that whatever was done acts."""
        enough = len(self.statuses) + ANSWERS
        async with asyncio.timeout(PHASE_S), self.counted:
            await self.counted.wait_for(lambda: len(self.statuses) >= enough)


async def test_keys_rotate_while_requests_run(front: Front) -> None:
    provider = front.provider
    old = await provider.logged_in("care-team-physician", CLINICIAN)
    load, written = Load(front, [old]), front.journalled()
    async with asyncio.TaskGroup() as group:
        for _ in range(ASKERS):
            group.create_task(load.ask())
        try:
            new = await rotated(load, old)
        finally:
            load.is_over = True
    assert (len(load.statuses) >= 4 * ANSWERS, set(load.statuses)) == (True, {200})
    assert front.journalled() - written == len(load.statuses)
    assert old.kid != new.kid
    await retired(front, old, new)


async def rotated(load: Load, old: Grant) -> Grant:
    """A new key is published, known to whoever looks, signs, and the old one still counts; gives the new key's token."""
    provider = load.front.provider
    await load.goes_on()
    await provider.rotate("publish")
    load.front.steps.ahead_s += COOL_DOWN_S + 1
    await load.goes_on()
    await provider.rotate("switch")
    fetched = await provider.heard("/jwks")
    new = await provider.logged_in("care-team-physician", CLINICIAN)
    load.tokens.append(new)
    await load.goes_on()
    assert (
        await provider.heard("/jwks") - fetched == 1
    )  # whoever waits for the new key waits for one fetch
    load.tokens.append(old)
    await load.goes_on()
    return new


async def retired(front: Front, old: Grant, new: Grant) -> None:
    """The old key goes: its tokens live until the gateway looks again, and no longer."""
    await front.provider.rotate("retire")
    assert await front.provider.keys() == [new.kid]
    assert (await front.ask("Patient/camille", old.token)).status == 200
    front.steps.ahead_s += KEYS_LIVE_S + 1
    assert_not_believed(await front.ask("Patient/camille", old.token))
    assert (await front.ask("Patient/camille", new.token)).status == 200
    assert_not_believed(await front.ask("Patient/camille", old.token))


def retitled(token: str, kid: str) -> str:
    """The token with another key id, and so with a signature that is not its own."""
    _, rest = token.split(".", 1)
    head = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": kid}).encode()
    return f"{base64.urlsafe_b64encode(head).rstrip(b'=').decode()}.{rest}"


async def test_a_key_that_signs_unannounced_is_known_after_the_cool_down(front: Front) -> None:
    front.steps.ahead_s += KEYS_LIVE_S + 1
    before = await front.provider.logged_in("care-team-physician", CLINICIAN)
    assert (await front.ask("Patient/camille", before.token)).status == 200  # keys are fetched
    await front.provider.rotate("publish")
    await front.provider.rotate("switch")
    granted = await front.provider.logged_in("care-team-physician", CLINICIAN)
    assert_not_believed(await front.ask("Patient/camille", granted.token))
    front.steps.ahead_s += COOL_DOWN_S
    assert (await front.ask("Patient/camille", granted.token)).status == 200
    await front.provider.rotate("retire")


async def test_a_storm_of_unknown_keys_costs_one_fetch(front: Front) -> None:
    granted = await front.provider.logged_in("care-team-physician", CLINICIAN)
    before = await front.provider.heard("/jwks")
    front.steps.ahead_s += COOL_DOWN_S + 1
    unknown = [retitled(granted.token, f"unknown-{number}") for number in range(50)]
    replies = await asyncio.gather(*(front.ask("Patient/camille", one) for one in unknown))
    for reply in replies:
        assert_not_believed(reply)
    assert await front.provider.heard("/jwks") - before == 1
    assert (await front.ask("Patient/camille", granted.token)).status == 200


async def test_a_provider_that_is_gone_costs_nobody_a_good_token(
    front: Front, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        provider = await running.enter_async_context(providing(front.url))
        granted = await provider.logged_in("care-team-physician", CLINICIAN)
        async with beside(front, tmp_path, provider) as second:
            assert (await second.ask("Patient/camille", granted.token)).status == 200
            await running.aclose()
            second.steps.ahead_s += KEYS_LIVE_S + 1
            assert (await second.ask("Patient/camille", granted.token)).status == 200
            second.steps.ahead_s += KEYS_OUTLIVE_S
            assert (await second.ask("Patient/camille", granted.token)).status == 503
