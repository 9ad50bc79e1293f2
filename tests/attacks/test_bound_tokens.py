"""Tokens that are bound to a key, stolen or used beside the proof of another request (T-174, T-175)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.identity.development import development_token
from tests.attacks.records import PHYSICIAN, ZED, about, gateway
from tests.identity.proofs import JKT, hash_of, proof
from tests.stage import NOW, PEM, PUBLIC, Stage, claims_of

TOKEN = development_token({**claims_of(PHYSICIAN), "cnf": {"jkt": JKT}}, PEM, NOW)
URL = f"{PUBLIC}/Condition/zc"


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(tmp_path, *ZED, about("Condition", "zc")) as (stage, _):
        yield stage


def proven(**claims: object) -> str:
    return proof({"iat": NOW, "ath": hash_of(TOKEN), "htu": URL, **claims})


async def status(
    stage: Stage, target: str, written: str, scheme: str = "DPoP", method: str = "GET"
) -> int:
    who = {"header": f"{scheme} {TOKEN}"}
    return (await stage.ask(target, who, method, {"DPoP": written})).status


@pytest.mark.parametrize("target", ["Condition/zc", "Condition/zc?_pretty=true"])
async def test_a_proof_is_good_once_for_its_path_whatever_the_query(
    stage: Stage, target: str
) -> None:
    written = proven()
    assert await status(stage, target, written) == 200
    assert await status(stage, target, written) == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_bound_token_is_no_bearer_token_in_any_letters(stage: Stage, scheme: str) -> None:
    assert await status(stage, "Condition/zc", proven(), scheme) == 401
    assert await status(stage, "Condition/zc", proven(), "dpop") == 200
    assert await status(stage, "Condition/zc", proven(jti="p-2"), scheme) == 401


@pytest.mark.parametrize(
    "target",
    ["Patient/zed", "Condition", "Condition/./zc", "Condition/x/../zc", "Condition//zc", "Condition/zc/",
     "Condition/zc;x", "Condition/%7Ac", "Condition/zc/_history"],
)  # fmt: skip
async def test_a_proof_opens_no_other_path_however_it_is_spelled(stage: Stage, target: str) -> None:
    assert await status(stage, target, proven()) == 401


async def test_a_proof_is_for_the_public_url_and_the_method_of_the_request(stage: Stage) -> None:
    here = f"http://127.0.0.1:{stage.port}/fhir/Condition/zc"
    assert await status(stage, "Condition/zc", proven(htu=here)) == 401
    assert await status(stage, "Condition/zc", proven(), method="HEAD") == 401


async def test_whatever_is_wrong_with_a_token_is_told_alike_and_nothing_of_it_is_kept(
    stage: Stage,
) -> None:
    written = proven(ath="é")
    bound = await stage.ask("Condition/zc", {"header": f"Bearer {TOKEN}"})
    foreign = await stage.ask("Condition/zc", {"header": "Bearer x"})
    spelled = await stage.ask(
        "Condition/zc", {"header": f"DPoP {TOKEN}"}, headers={"DPoP": written}
    )
    told = {
        (one.status, one.body, one.headers["www-authenticate"]) for one in (bound, foreign, spelled)
    }
    assert len(told) == 1
    kept = str(stage.entries())
    assert not any(part in kept for one in (TOKEN, written) for part in one.split("."))
