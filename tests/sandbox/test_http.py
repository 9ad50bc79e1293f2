import io
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from proxy.sandbox.http import MAX_BODY
from proxy.sandbox.server import RunningSandbox, start_sandbox
from tests.sandbox import made


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    running = await start_sandbox(made.small_world().store)
    yield running
    await running.close()


JSON = {"Content-Type": "application/fhir+json"}


async def asked(method: str, url: str, **headers: str) -> tuple[int, str, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=named) as answer,
    ):
        return answer.status, answer.headers.get("Server", ""), await answer.read()


async def test_every_answer_says_that_this_is_no_production_server(sandbox: RunningSandbox) -> None:
    for path in ("/Patient/ann", "/Patient/nobody", "/metadata"):
        _, server, _ = await asked("GET", sandbox.url + path)
        assert "no production server" in server


async def test_outside_of_the_base_path_there_is_nothing(sandbox: RunningSandbox) -> None:
    root = sandbox.url.removesuffix("/fhir")

    for path in ("/", "/fhirx", "/Patient/ann"):
        status, _, body = await asked("GET", root + path)
        assert status == 404
        assert b"OperationOutcome" in body


async def test_head_has_the_status_and_no_body(sandbox: RunningSandbox) -> None:
    assert (await asked("HEAD", f"{sandbox.url}/Patient/ann"))[::2] == (200, b"")


async def test_a_client_that_takes_no_json_gets_406(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.url}/Patient/ann"

    assert (await asked("GET", url, Accept="application/fhir+xml"))[0] == 406
    assert (await asked("GET", f"{url}?_format=xml"))[0] == 406
    assert (await asked("GET", f"{url}?_format=json", Accept="application/fhir+xml"))[0] == 200
    assert (await asked("GET", url, Accept="text/html, */*"))[0] == 200


async def test_a_body_of_several_megabytes_is_taken(sandbox: RunningSandbox) -> None:
    body = b'{"resourceType":"Basic","id":"big","language":"%b"}' % (b"x" * 3_000_000)
    assert len(body) < MAX_BODY

    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{sandbox.url}/Basic/big", data=io.BytesIO(body), headers=JSON) as answer,
    ):
        assert answer.status == 201


async def test_links_name_the_host_that_was_asked(sandbox: RunningSandbox) -> None:
    _, _, body = await asked("GET", f"{sandbox.url}/Patient?_count=1", Host="records.example:99")

    assert b"http://records.example:99/fhir?_getpages=" in body
