import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from tests.sandbox import conformance_interactions
from tests.sandbox.conformance import CASES, Case, Reply

assert conformance_interactions.URN  # importing it adds its cases

KINDS = ("memory 4.0.1", "file 4.0.1", "memory 5.0.0", "strict 4.0.1")


class HttpClient:
    """Asks a server over HTTP."""

    def __init__(self, url: str, session: aiohttp.ClientSession, kind: str, version: str) -> None:
        self.url, self._session, self._kind, self._version = url, session, kind, version

    def is_asked(self, case: Case) -> bool:
        fits = case.r5 or self._version != "5.0.0"
        return fits and (self._kind == "strict" or not case.strict)

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        url = path if path.startswith("http") else f"{self.url}/{path}".rstrip("/")
        async with self._session.request(
            method, URL(url, encoded=True), headers=headers, data=body
        ) as answer:
            content = await answer.read()
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, lower, content)


@pytest_asyncio.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HttpClient]:
    kind, version = request.param.split()
    store = Store(version, str(tmp_path / "sandbox.db") if kind == "file" else None)
    sandbox = await start_sandbox(store, strict=kind == "strict")
    async with aiohttp.ClientSession() as session:
        yield HttpClient(sandbox.url, session, kind, version)
    await sandbox.close()
    store.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_embedded_server_conforms(client: HttpClient, case: Case) -> None:
    if client.is_asked(case):
        await case.run(client, "t1")


async def test_all_cases_share_one_server(client: HttpClient) -> None:
    cases = [case for case in CASES if client.is_asked(case)]
    runs = (case.run(client, f"shared{i}") for i, case in enumerate(cases))

    await asyncio.gather(*runs)


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in CASES]

    assert len(names) == len(set(names)) > 120
    assert json.dumps(names)
