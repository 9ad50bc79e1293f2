from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from proxy.errors import UpstreamError
from proxy.wire.client import (
    LONGEST_QUERY,
    Reach,
    UpstreamClient,
    UpstreamReader,
    fetch_json,
    session_of,
)  # fmt: skip
from proxy.wire.credentials import Bearer, Fixed, Renewed
from tests.stage import serving

JSON = "application/fhir+json"
Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def saying(body: bytes = b"{}", status: int = 200, kind: str = JSON, **headers: str) -> Respond:
    async def respond(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": kind, **headers})

    return respond


@asynccontextmanager
async def client_of(respond: Respond, limit: int = 1000) -> AsyncIterator[UpstreamClient]:
    async with serving(respond) as url, session_of(4, 2) as session:
        yield UpstreamClient(session, Reach(url, Fixed({"x-own": "1"}), limit))


async def test_what_upstream_says_comes_with_its_type_and_no_other_header() -> None:
    async with client_of(saying(b'{"a":1}', 200, JSON, ETag="x", Location="y")) as client:
        answer = await client.get("Patient/1")
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.headers == {"content-type": JSON}


async def test_upstream_hears_what_the_gateway_says_and_nothing_of_the_client() -> None:
    heard: list[web.BaseRequest] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request)
        return await saying()(request)

    async with client_of(respond) as client:
        await client.get("Patient/1", "r1", "Bearer t")
        await client.get("?_getpages=1")
    names = {name.lower() for name in heard[0].headers}
    assert names == {"host", "accept", "accept-encoding", "cache-control", "prefer", "x-own", "x-request-id", "authorization"}  # fmt: skip
    assert heard[0].headers["prefer"] == "handling=strict"
    assert [request.raw_path for request in heard] == ["/fhir/Patient/1", "/fhir?_getpages=1"]
    assert "authorization" not in {name.lower() for name in heard[1].headers}


async def test_a_long_search_goes_by_post_and_a_short_one_does_not() -> None:
    heard: list[tuple[str, str, bytes]] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append((request.method, request.raw_path, await request.read()))
        return await saying()(request)

    long = "_id=" + "a" * LONGEST_QUERY
    async with client_of(respond) as client:
        await client.get(f"Patient?{long}")
        await client.get("Patient?_id=a")
    assert heard == [("POST", "/fhir/Patient/_search", long.encode()), ("GET", "/fhir/Patient?_id=a", b"")]  # fmt: skip


UNUSABLE = {
    "another type": saying(b"{}", kind="text/html"),
    "another charset": saying(b"{}", kind=f"{JSON}; charset=utf-16"),
    "too large": saying(b"x" * 1001),
    "an encoding nobody asked for": saying(b"{}", 200, JSON, **{"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_cannot_be_used_is_a_failure_of_upstream(name: str) -> None:
    async with client_of(UNUSABLE[name]) as client:
        with pytest.raises(UpstreamError):
            await client.get("Patient/1")


async def test_a_body_without_a_length_is_bounded_too() -> None:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"x" * 600)
        return response

    async with client_of(respond) as client:
        with pytest.raises(UpstreamError, match="larger"):
            await client.get("Patient/1")


async def test_a_redirect_is_not_followed() -> None:
    async with client_of(saying(b"", 302, JSON, Location="http://127.0.0.1:1/")) as client:
        assert (await client.get("Patient/1")).status == 302


async def test_nobody_there_is_a_failure_of_upstream() -> None:
    async with session_of(1, 1) as session:
        client = UpstreamClient(session, Reach("http://127.0.0.1:1/fhir", Fixed(), 10))
        with pytest.raises(UpstreamError):
            await client.get("Patient/1")


def page(entries: list[object], following: str = "", **more: object) -> bytes:
    links = [{"relation": "next", "url": following}] if following else []
    return orjson.dumps({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **more})  # fmt: skip


OWN = {"resource": {"resourceType": "Consent", "id": "c"}, "search": {"mode": "match"}}


@asynccontextmanager
async def reader_of(
    *pages: bytes, status: int = 200, most: int = 3
) -> AsyncIterator[UpstreamReader]:
    left = list(pages)

    async def respond(_: web.BaseRequest) -> web.StreamResponse:
        body = left.pop(0) if left else b""
        return web.Response(
            body=body.replace(b"$BASE", base.encode()), status=status, content_type=JSON
        )

    async with serving(respond) as base, session_of(2, 2) as session:
        yield UpstreamReader(UpstreamClient(session, Reach(base, Fixed(), 10_000)), base, most)


async def test_facts_are_read_to_the_last_page_less_remarks() -> None:
    remark = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    async with reader_of(page([OWN, remark], "$BASE/Consent?2"), page([OWN])) as reader:
        assert len(await reader.search("Consent", [("patient", "a")])) == 2


BROKEN = {
    "an error": ([page([])], 500),
    "no Bundle": ([b"{}"], 200),
    "another Bundle": ([page([], type="history")], 200),
    "an entry without a resource": ([page([{"fullUrl": "x"}])], 200),
    "a link elsewhere": ([page([], "http://evil.example.org/")], 200),
    "a second page that fails": ([page([OWN], "$BASE/2"), b"oops"], 200),
    "pages without end": ([page([], "$BASE/1")] * 9, 200),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_facts_of_which_a_part_is_missing_are_no_facts(name: str) -> None:
    pages, status = BROKEN[name]
    async with reader_of(*pages, status=status) as reader:
        with pytest.raises(UpstreamError):
            await reader.search("Consent", [("patient", "a")])


async def test_a_key_set_is_fetched_in_bounds() -> None:
    async with session_of(1, 2) as session:
        async with serving(saying(b'{"keys":[]}')) as url:
            assert await fetch_json(session, url, 100) == b'{"keys":[]}'
            with pytest.raises(OSError, match="too large"):
                await fetch_json(session, url, 5)
        async with serving(saying(b"", 302, JSON, Location="http://127.0.0.1:1/")) as url:
            with pytest.raises(OSError, match="302"):
                await fetch_json(session, url, 100)
        with pytest.raises(OSError, match="Error"):
            await fetch_json(session, "http://127.0.0.1:1/", 100)


async def test_refused_credentials_are_renewed_and_the_request_is_asked_once_more() -> None:
    heard: list[str] = []
    tokens = iter(["first", "second", "third"])

    async def obtain() -> Bearer:
        return Bearer(next(tokens))

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers["authorization"])
        good = heard[-1] == "Bearer second"
        return web.Response(status=200 if good else 401, body=b"{}", content_type=JSON)

    async with serving(respond) as url, session_of(4, 2) as session:
        client = UpstreamClient(session, Reach(url, Renewed(obtain, lambda: 1.0), 1000))
        assert (await client.get("Patient/1")).status == 200
        assert (await client.get("Patient/1")).status == 200
    assert heard == ["Bearer first", "Bearer second", "Bearer second"]


async def test_a_refused_caller_is_not_given_our_credentials() -> None:
    heard: list[str] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers["authorization"])
        return web.Response(status=401, body=b"{}", content_type=JSON)

    async def obtain() -> Bearer:
        return Bearer("ours")

    async with serving(respond) as url, session_of(4, 2) as session:
        client = UpstreamClient(session, Reach(url, Renewed(obtain, lambda: 1.0), 1000))
        assert (await client.get("Patient/1", authorization="Bearer theirs")).status == 401
    assert heard == ["Bearer theirs"]
