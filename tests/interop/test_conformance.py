"""The embedded server and HAPI FHIR pass one and the same list of cases.

A case that says `hapi=False`, or that stands in DIFFERS, must fail here: strike off what no longer does.
"""

from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.sandbox import conformance_interactions
from tests.sandbox.conformance import CASES, Case, Reply

assert conformance_interactions.URN  # importing it adds its cases

DIFFERS: dict[str, str] = {}
"""Cases that HAPI answers otherwise although their author expects the same, and why; none at present."""


class HapiClient:
    """Asks HAPI; paths arrive encoded."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url, self._session = url, session

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        url = path if path.startswith("http") else f"{self.url}/{path}"
        sent = self._session.request(method, URL(url, encoded=True), headers=headers, data=body)
        async with sent as answer:
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, lower, await answer.read())


@pytest.fixture
async def client(hapi: str) -> AsyncIterator[HapiClient]:
    async with ClientSession() as session:
        yield HapiClient(hapi, session)


def numbered(number: int, case: Case) -> object:
    reason = DIFFERS.get(case.name, "" if case.hapi else "HAPI FHIR differs")
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(case, f"conformance{number}", id=case.name, marks=marks)


@pytest.mark.parametrize(("case", "prefix"), [numbered(n, case) for n, case in enumerate(CASES)])
async def test_hapi_conforms(client: HapiClient, case: Case, prefix: str) -> None:
    await case.run(client, prefix)
