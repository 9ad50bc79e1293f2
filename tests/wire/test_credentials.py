"""Our own credentials: one at a time, renewed before they end and when refused, and never told."""

import asyncio
from collections.abc import Mapping

import orjson
import pytest
from aiohttp import web

from proxy.errors import UpstreamError
from proxy.wire.client import session_of
from proxy.wire.credentials import (
    COOL_DOWN_S,
    Bearer,
    Fixed,
    Renewed,
    basic_auth,
    token_of,
)
from tests.stage import Json, serving


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Tokens:
    """Gives t1, t2, … that live `lifetime` seconds; fails where told."""

    def __init__(self, lifetime: float = 100.0) -> None:
        self.lifetime = lifetime
        self.count = 0
        self.fails = False

    async def obtain(self) -> Bearer:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("the token endpoint did not answer in time")
        self.count += 1
        return Bearer(f"t{self.count}", self.lifetime)


def bearer(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_fixed_credentials_stay_what_they_are() -> None:
    fixed = Fixed(basic_auth("u", "p"))
    assert await fixed.headers() == {"authorization": "Basic dTpw"}
    assert fixed.refused(await fixed.headers()) is False
    assert await Fixed().headers() == {}


def test_basic_authentication_is_utf8() -> None:
    assert basic_auth("é", "p") == {"authorization": "Basic w6k6cA=="}


async def test_one_token_serves_all_who_wait_for_it() -> None:
    tokens, clock = Tokens(), Clock()
    renewed = Renewed(tokens.obtain, clock)
    given = await asyncio.gather(*(renewed.headers() for _ in range(50)))
    assert given == [bearer("t1")] * 50
    assert tokens.count == 1


async def test_a_token_is_renewed_before_it_ends() -> None:
    tokens, clock = Tokens(lifetime=100), Clock()
    renewed = Renewed(tokens.obtain, clock)
    await renewed.headers()
    clock.now += 79
    assert await renewed.headers() == bearer("t1")
    clock.now += 2
    assert await renewed.headers() == bearer("t2")


async def test_while_the_old_token_holds_a_token_endpoint_may_be_down() -> None:
    tokens, clock = Tokens(lifetime=100), Clock()
    renewed = Renewed(tokens.obtain, clock)
    await renewed.headers()
    tokens.fails = True
    clock.now += 90
    assert await renewed.headers() == bearer("t1")
    clock.now += 10
    with pytest.raises(UpstreamError, match="no credentials"):
        await renewed.headers()
    tokens.fails = False
    assert await renewed.headers() == bearer("t2")


async def test_refused_credentials_are_dropped_but_not_in_a_storm() -> None:
    tokens, clock = Tokens(), Clock()
    renewed = Renewed(tokens.obtain, clock)
    first = await renewed.headers()
    assert renewed.refused(first) is True
    second = await renewed.headers()
    assert second == bearer("t2")
    assert (
        renewed.refused(second) is False
    )  # a moment after the first refusal: they are not to blame
    assert renewed.refused(first) is True  # somebody has renewed them already
    clock.now += COOL_DOWN_S
    assert renewed.refused(second) is True


ANSWER = {"access_token": "abc", "token_type": "Bearer", "expires_in": 60}


async def answered(
    body: Json | bytes, status: int = 200, heard: list[Mapping[str, str]] | None = None
) -> Bearer:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        if heard is not None:
            sent = dict(x.split("=", 1) for x in (await request.text()).split("&"))
            heard.append({**sent, "authorization": request.headers.get("authorization", "")})
        written = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=status, body=written, headers={"location": "/other"})

    async with serving(respond) as url, session_of(1, 1) as session:
        return await token_of(session, f"{url}/token", {"grant_type": "x"}, {"authorization": "a"})


async def test_a_token_endpoint_is_asked_by_form_with_our_proof() -> None:
    heard: list[Mapping[str, str]] = []
    assert await answered(ANSWER, heard=heard) == Bearer("abc", 60)
    assert heard == [{"grant_type": "x", "authorization": "a"}]


@pytest.mark.parametrize("written", ["60", 60.0, 60])
async def test_a_lifetime_may_be_written_as_text(written: object) -> None:
    assert (await answered(ANSWER | {"expires_in": written})).lifetime_s == 60


async def test_a_lifetime_that_is_not_told_is_short() -> None:
    told = {name: ANSWER[name] for name in ("access_token", "token_type")}
    assert (await answered(told)).lifetime_s == 300


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ANSWER, 302),
        (ANSWER, 400),
        (ANSWER, 500),
        (b"secret", 200),
        (b"\xff", 200),
        ([], 200),
        (ANSWER | {"token_type": "mac"}, 200),
        (ANSWER | {"access_token": "secret\r\nx: y"}, 200),
        (ANSWER | {"access_token": ""}, 200),
        (ANSWER | {"expires_in": 0}, 200),
        (ANSWER | {"expires_in": -5}, 200),
        (ANSWER | {"access_token": 7}, 200),
        (b" " * 70_000 + orjson.dumps(ANSWER), 200),
    ],
)
async def test_what_is_no_token_is_a_failure_that_quotes_nothing(
    body: Json | bytes, status: int
) -> None:
    with pytest.raises(OSError, match="the token endpoint") as failed:
        await answered(body, status)
    assert "secret" not in str(failed.value)


async def test_a_token_endpoint_that_does_not_answer_is_a_failure() -> None:
    async with session_of(1, 1) as session:
        with pytest.raises(OSError, match="token"):
            await token_of(session, "http://127.0.0.1:1/token", {}, {})


async def test_an_answer_that_comes_in_pieces_is_whole() -> None:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        for piece in (b'{"access_token":"abc",', b'"token_type":"bearer"', b"}"):
            await response.write(piece)
            await asyncio.sleep(0.02)
        return response

    async with serving(respond) as url, session_of(1, 1) as session:
        assert (await token_of(session, url, {}, {})).token == "abc"


async def test_an_answer_may_come_in_pieces() -> None:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"access_token":"abc",', b'"token_type":"Bearer"}'):
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    async with serving(respond) as url, session_of(1, 1) as session:
        assert (await token_of(session, f"{url}/token", {}, {})).token == "abc"
