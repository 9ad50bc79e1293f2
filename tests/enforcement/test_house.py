"""Every entry of the journal says which policies were in force, whatever became of the request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from proxy.policy.load import load
from tests.stage import BASELINE, Stage, Upstream, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
DIGEST = load(BASELINE).digest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("gateway")
    more = "limits: {body_bytes: 1024}"
    async with (
        serving(Upstream(world_of()).respond) as url,
        staged(folder, url, more=more) as running,
    ):
        yield running


ASKED: dict[str, tuple[int, str, Any, dict[str, Any]]] = {
    "an answer": (200, "Patient/camille", PHYSICIAN, {}),
    "a hidden patient": (404, "Patient/nobody", PHYSICIAN, {}),
    "no token": (401, "Patient/camille", None, {}),
    "a token of another issuer": (401, "Patient/camille", {"like": PHYSICIAN, "signed": "elsewhere"}, {}),
    "no scope": (403, "Patient/camille", {"like": PHYSICIAN, "scope": "user/Observation.rs"}, {}),
    "no such type": (404, "Wizard/1", PHYSICIAN, {}),
    "a parameter nobody knows": (400, "Observation?wizard=1", PHYSICIAN, {}),
    "a method that is not served": (405, "Patient/camille", PHYSICIAN, {"method": "DELETE"}),
    "another format": (406, "Patient/camille", PHYSICIAN, {"headers": {"accept": "text/html"}}),
    "a page link that is none": (404, "Observation?_page=AAAA", PHYSICIAN, {}),
    "a body too large": (413, "Observation/_search", PHYSICIAN, {"method": "POST", "body": b"x" * 2000}),
    "the CapabilityStatement": (200, "metadata", None, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
async def test_the_entry_of_every_request_names_the_policies(stage: Stage, name: str) -> None:
    status, target, who, how = ASKED[name]
    stage.entries()
    answer = await stage.ask(target, who, **how)
    [entry] = stage.entries()
    assert (answer.status, entry.status, entry.policy_digest) == (status, status, DIGEST)


async def test_so_does_the_entry_of_bytes_that_are_no_request(stage: Stage) -> None:
    stage.entries()
    await stage.raw(b"NONSENSE\r\n\r\n")
    [entry] = stage.entries()
    assert entry.policy_digest == DIGEST
