"""proxy.wire.userinfo: asked with the caller's own token, followed nowhere, and read to a bound."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from proxy.wire.client import session_of
from proxy.wire.userinfo import MOST_BYTES, userinfo_of
from tests.stage import serving

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def saying(body: bytes, status: int = 200, kind: str = "application/json", **more: str) -> Respond:
    async def respond(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": kind, **more})

    return respond


async def asked(respond: Respond) -> bytes:
    async with serving(respond) as url, session_of(4, 1) as session:
        return await userinfo_of(session, f"{url}/userinfo", "the-token")


async def test_the_body_comes_as_it_is_and_the_token_goes_in_the_header() -> None:
    heard: list[web.BaseRequest] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request)
        return await saying(b'{"sub":"a"}', kind="application/json; charset=UTF-8")(request)

    assert await asked(respond) == b'{"sub":"a"}'
    assert heard[0].headers["Authorization"] == "Bearer the-token"
    assert (heard[0].method, heard[0].raw_path) == ("GET", "/fhir/userinfo")


async def test_a_body_that_comes_in_pieces_is_read_to_its_end() -> None:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for _ in range(5):
            await answer.write(b"x" * 1000)
        return answer

    assert len(await asked(respond)) == 5000


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
async def test_what_is_longer_than_userinfo_is_none(size: int) -> None:
    if size <= MOST_BYTES:
        assert len(await asked(saying(b"x" * size))) == size
        return
    with pytest.raises(OSError, match="too much"):
        await asked(saying(b"x" * size))


async def test_a_token_that_is_refused_is_told_apart() -> None:
    with pytest.raises(PermissionError):
        await asked(saying(b"{}", 401))


@pytest.mark.parametrize("status", [201, 204, 302, 307, 400, 403, 404, 429, 500, 503])
async def test_any_other_status_is_no_answer(status: int) -> None:
    with pytest.raises(OSError, match="status") as raised:
        await asked(saying(b"", status, Location="http://127.0.0.1:1/"))
    assert not isinstance(raised.value, PermissionError)


@pytest.mark.parametrize(
    "kind", ["application/jwt", "text/html", "application/fhir+json", "text/json"]
)
async def test_what_is_no_json_is_no_answer(kind: str) -> None:
    with pytest.raises(OSError, match="JSON"):
        await asked(saying(b"{}", kind=kind))


async def test_nobody_there_and_nobody_answering_are_no_answer() -> None:
    async def silent(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    with pytest.raises(OSError, match="in time"):
        await asked(silent)
    async with session_of(4, 1) as session:
        with pytest.raises(OSError, match="cannot be reached"):
            await userinfo_of(session, "http://127.0.0.1:1/userinfo", "the-token")
