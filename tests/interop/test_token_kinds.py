"""Tokens that are no bearer JWTs: opaque ones that the provider is asked about (RFC 7662), and ones bound to a key (DPoP, RFC 9449)."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.identity_gateway import INTROSPECTION_LIVES_S, Front, fronted, introspecting
from tests.interop.identity_provider import Grant, ProofKey, providing
from tests.interop.visible import visible
from tests.stage import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLINICIAN = "openid fhirUser user/*.rs"
TARGET = "Patient/camille"
INTROSPECTION = "/token/introspection"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with fronted(tmp_path_factory.mktemp("gateway")) as front:
        yield front


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(front: Front, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """A gateway that introspects."""
    async with introspecting(front, tmp_path_factory.mktemp("introspecting")) as asking:
        yield asking


def is_not_believed(reply: Reply) -> bool:
    return reply.status == 401 and 'error="invalid_token"' in reply.headers["www-authenticate"]


# ---- opaque tokens ---------------------------------------------------------------------------------------------------


async def opaque(front: Front, person: str, scope: str = CLINICIAN) -> str:
    granted = await front.provider.logged_in(person, scope, client="smart-app-opaque")
    assert granted.token.count(".") == 0
    return granted.token


@pytest.mark.parametrize(
    ("person", "scope"), [("care-team-physician", CLINICIAN), ("patient", "patient/*.rs")]
)
async def test_an_opaque_token_says_the_same_as_a_jwt(
    asking: Front, person: str, scope: str
) -> None:
    token = await opaque(asking, person, scope)
    pages = await asking.pages("Observation?patient=camille&_count=9", token)
    assert sorted(itertools.chain(*pages)) == sorted(visible("Observation", person))
    assert (await asking.ask("Patient/noe", token)).status == 404


async def test_an_opaque_token_of_a_service_has_no_subject_but_its_client(asking: Front) -> None:
    token = (await asking.provider.service("system/*.rs", client="backend-opaque")).token
    assert (await asking.ask("Practitioner/dr-martin", token)).status == 200
    assert (await asking.ask(TARGET, token)).status == 403


async def test_a_known_opaque_token_is_not_asked_about_again_at_once(asking: Front) -> None:
    token = await opaque(asking, "care-team-physician")
    before = await asking.provider.heard(INTROSPECTION)
    for _ in range(5):
        assert (await asking.ask(TARGET, token)).status == 200
    assert await asking.provider.heard(INTROSPECTION) - before == 1


async def test_revocation_is_seen(asking: Front) -> None:
    token = await opaque(asking, "care-team-physician")
    assert (await asking.ask(TARGET, token)).status == 200
    await asking.provider.revoke(token)
    await asyncio.sleep(INTROSPECTION_LIVES_S + 0.1)  # an answer is believed so long
    assert is_not_believed(await asking.ask(TARGET, token))


async def test_an_opaque_token_for_another_audience_is_refused(asking: Front) -> None:
    provider = asking.provider
    granted = await provider.service(
        "system/*.rs", client="backend-opaque", resource=provider.elsewhere
    )
    assert is_not_believed(await asking.ask("Practitioner/dr-martin", granted.token))
    here = await provider.service("system/*.rs", client="backend-opaque")
    assert (await asking.ask("Practitioner/dr-martin", here.token)).status == 200


async def test_a_provider_that_cannot_be_asked_is_no_fault_of_the_caller(
    front: Front, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        provider = await running.enter_async_context(providing(front.url))
        there = replace(front, provider=provider)
        token = await opaque(there, "care-team-physician")
        async with introspecting(there, tmp_path) as asking:
            await running.aclose()
            reply = await asking.ask(TARGET, token)
    assert (reply.status, "www-authenticate" in reply.headers) == (503, False)


async def test_a_gateway_whose_own_secret_is_wrong_blames_no_token(
    front: Front, tmp_path: Path
) -> None:
    async with introspecting(front, tmp_path, secret="another-secret") as asking:
        assert (await asking.ask(TARGET, await opaque(front, "patient"))).status == 503


async def test_an_opaque_token_that_nobody_issued_is_refused(asking: Front) -> None:
    assert is_not_believed(await asking.ask(TARGET, "A" * 43))


async def test_a_gateway_that_is_not_told_to_ask_refuses_opaque_tokens(front: Front) -> None:
    assert is_not_believed(await front.ask(TARGET, await opaque(front, "care-team-physician")))


# ---- tokens bound to a key -------------------------------------------------------------------------------------------


async def bound(front: Front, key: ProofKey) -> Grant:
    granted = await front.provider.logged_in("care-team-physician", CLINICIAN, key=key)
    assert granted.answer["token_type"] == "DPoP"
    return granted


async def shown(front: Front, token: str, proof: str, target: str = TARGET) -> Reply:
    return await front.ask(target, token, scheme="DPoP", headers={"DPoP": proof})


async def test_a_bound_token_with_its_proof_is_believed(front: Front) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    for target in (TARGET, "Observation?patient=camille&_count=9"):
        url = f"{front.url}/{target.partition('?')[0]}"
        reply = await shown(front, token, key.proof("GET", url, token), target)
        assert reply.status == 200, reply.text


async def test_a_proof_counts_once(front: Front) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    proof = key.proof("GET", f"{front.url}/{TARGET}", token)
    assert (await shown(front, token, proof)).status == 200
    assert (await shown(front, token, proof)).status == 401


async def test_of_many_at_once_with_one_proof_one_is_answered(front: Front) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    proof = key.proof("GET", f"{front.url}/{TARGET}", token)
    replies = await asyncio.gather(*(shown(front, token, proof) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19


async def test_a_bound_token_that_is_known_still_needs_its_proof(front: Front) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    assert (
        await shown(front, token, key.proof("GET", f"{front.url}/{TARGET}", token))
    ).status == 200
    for scheme in ("Bearer", "DPoP"):
        reply = await front.ask(TARGET, token, scheme=scheme)
        assert (reply.status, reply.json["issue"][0]["code"]) == (401, "login")


async def test_a_proof_makes_no_bound_token_of_a_bearer_token(front: Front) -> None:
    token = (await front.provider.logged_in("care-team-physician", CLINICIAN)).token
    proof = ProofKey().proof("GET", f"{front.url}/{TARGET}", token)
    assert (await shown(front, token, proof)).status == 401
    assert (await front.ask(TARGET, token)).status == 200


async def test_a_bound_token_alone_is_refused(front: Front) -> None:
    token = (await bound(front, ProofKey())).token
    for scheme in ("Bearer", "DPoP"):
        assert (await front.ask(TARGET, token, scheme=scheme)).status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"htm": "POST"},
        {"htu": "https://elsewhere.example.org/fhir/Patient/camille"},
        {"ath": "of-another-token"},
    ],
    ids=" ".join,
)
async def test_a_proof_of_something_else_is_refused(
    front: Front, changed: dict[str, object]
) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    proof = key.proof("GET", f"{front.url}/{TARGET}", token, **changed)
    assert (await shown(front, token, proof)).status == 401


@pytest.mark.parametrize("late_s", [-3600, 3600])
async def test_a_proof_of_another_time_is_refused(front: Front, late_s: int) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    proof = key.proof("GET", f"{front.url}/{TARGET}", token, iat=int(time.time()) + late_s)
    assert (await shown(front, token, proof)).status == 401


async def test_a_proof_by_another_key_is_refused(front: Front) -> None:
    token = (await bound(front, ProofKey())).token
    proof = ProofKey().proof("GET", f"{front.url}/{TARGET}", token)
    assert (await shown(front, token, proof)).status == 401


async def test_a_bound_token_is_no_bearer_token_though_its_proof_comes_along(front: Front) -> None:
    key = ProofKey()
    token = (await bound(front, key)).token
    proof = key.proof("GET", f"{front.url}/{TARGET}", token)
    assert (await front.ask(TARGET, token, headers={"DPoP": proof})).status == 401


# ---- both ------------------------------------------------------------------------------------------------------------


async def test_an_opaque_token_may_be_bound_too(asking: Front) -> None:
    key = ProofKey()
    granted = await asking.provider.logged_in(
        "care-team-physician", CLINICIAN, client="smart-app-opaque", key=key
    )
    url = f"{asking.url}/{TARGET}"
    proof = key.proof("GET", url, granted.token)
    assert (await shown(asking, granted.token, proof)).status == 200
    assert (await shown(asking, granted.token, proof)).status == 401
    other = ProofKey().proof("GET", url, granted.token)
    assert (await shown(asking, granted.token, other)).status == 401
    for scheme in ("Bearer", "DPoP"):
        assert (await asking.ask(TARGET, granted.token, scheme=scheme)).status == 401
