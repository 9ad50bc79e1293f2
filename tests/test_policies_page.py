"""The policies page, followed as a new author would: a policy, a caller, a Consent, and a denial that surprises."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy.identity.development import development_keys
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from tests.test_cli import Program
from tests.test_house import README, ROOT, fences

PAGE = (ROOT / "docs/policies.md").read_text()
POLICY, CASES, *_ = fences(PAGE, "yaml")
CLAIMS, CONSENT, *_ = fences(PAGE, "json")
OPT_OUT = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]
}
"""What the page adds to the Consent, so that it contradicts itself."""


@pytest.fixture
async def server() -> AsyncIterator[str]:
    store = Store("4.0.1")
    load_samples(store, [ROOT / "fhir-samples"])
    upstream = await start_sandbox(store, "127.0.0.1", 0)
    yield upstream.url
    await upstream.close()


def house_of(folder: Path, upstream: str) -> None:
    """All that the page has its reader write, Consents apart."""
    shutil.copytree(ROOT / "policies/baseline", folder / "policies/house")
    (folder / "policies/house/research.yaml").write_text(POLICY)
    (folder / "policies/house/tests/research.yaml").write_text(CASES)
    (folder / "claims.json").write_text(CLAIMS)
    [gateway] = fences(README, "yaml")
    placed = gateway.replace("http://127.0.0.1:8090/fhir", upstream)
    (folder / "gateway.yaml").write_text(placed.replace("policies/baseline", "policies/house"))
    _, jwks = development_keys(fresh=True)
    (folder / "keys.json").write_bytes(jwks)


async def agreed(upstream: str, consent: dict[str, object]) -> None:
    async with aiohttp.ClientSession() as client:
        at = f"{upstream}/Consent/noe-research"
        answer = await client.put(
            at, json=consent, headers={"content-type": "application/fhir+json"}
        )
        assert answer.status in (200, 201)


async def test_a_policy_author_gets_what_the_page_shows(tmp_path: Path, server: str) -> None:
    house_of(tmp_path, server)
    program, config = Program(tmp_path), ("--config", tmp_path / "gateway.yaml")

    async def explained() -> str:
        asked = (*config, "--claims", tmp_path / "claims.json", "GET /Patient/noe")
        ran = await program.ran("explain", *asked)
        assert (ran.code, ran.err) == (0, "")
        return ran.out.replace(f"{tmp_path}/", "")

    without = await explained()
    await agreed(server, json.loads(CONSENT))
    agreeing = await explained()
    await agreed(server, {**json.loads(CONSENT), "policyRule": OPT_OUT})
    contradicting = await explained()
    linted = await program.ran("lint", *config)
    unshown = [
        line
        for line in shown_lines()
        if not is_told(line, without, agreeing, contradicting, linted.out)
    ]
    assert unshown == []


def shown_lines() -> list[str]:
    """The lines of output that the page shows between its two headings."""
    section = PAGE.partition("## Trying it on records")[2].partition("### What of a Consent")[0]
    outside = "\n".join(section.split("```")[::2])
    lines = [line.strip() for line in outside.splitlines() if line.startswith("    ")]
    assert len(lines) > 12
    return [line for line in lines if line != "…"]


def is_told(line: str, *outputs: str) -> bool:
    """Whether some output has the line; `[…]` stands for its rest."""
    start = line.partition("[…]")[0]
    return any(one.strip().startswith(start) for output in outputs for one in output.splitlines())
