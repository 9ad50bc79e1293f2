"""What the gateway hears of upstream's exports: a table of answers that are failures, and the requests that it sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from proxy.enforcement.exporting import Asking
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.wire.bulk import BulkClient
from proxy.wire.client import Reach, session_of
from proxy.wire.credentials import Credentials, Fixed
from tests.stage import serving

ASKING = Asking("r1")
OWN = Fixed({"authorization": "Bearer ours"})
LINE = b'{"resourceType":"Patient","id":"1"}\n'
NDJSON = {"Content-Type": "application/fhir+ndjson"}

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client(
    respond: Respond, credentials: Credentials = OWN, most: int = 1000, patience_s: float = 1.0
) -> AsyncIterator[tuple[BulkClient, str]]:
    async with serving(respond) as url, session_of(5, 5) as session:
        yield BulkClient(session, Reach(url, credentials, most), patience_s), url


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Respond:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        del request
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return respond


async def whole(bulk: BulkClient, url: str) -> bytes:
    return b"".join([piece async for piece in bulk.pieces(url, ASKING)])


async def test_a_kick_off_is_asynchronous_and_in_our_own_name() -> None:
    heard: list[web.BaseRequest] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request)
        return web.Response(status=202, headers={"Content-Location": "/status/1"})

    async with client(respond) as (bulk, url):
        status = await bulk.kick_off("Patient/$export?_type=Patient", ASKING)
        assert status == url.replace("/fhir", "/status/1")
        await bulk.kick_off("$export", Asking("r2", "Bearer theirs"))
        first, second = heard
        assert (first.method, first.raw_path) == ("GET", "/fhir/Patient/$export?_type=Patient")
        assert first.headers["prefer"] == "respond-async"
        assert first.headers["accept"] == "application/fhir+json"
        assert (first.headers["authorization"], first.headers["x-request-id"]) == (
            "Bearer ours",
            "r1",
        )
        assert second.headers["authorization"] == "Bearer theirs"
        assert {one.headers["cache-control"] for one in heard} == {"no-cache"}


async def test_patients_are_posted() -> None:
    heard: list[tuple[str, str, str, bytes]] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append((request.method, request.raw_path, request.headers["content-type"], await request.read()))  # fmt: skip
        return web.Response(status=202, headers={"Content-Location": "/status/1"})

    async with client(respond) as (bulk, _):
        await bulk.kick_off("Patient/$export", ASKING, b'{"a":1}')
    assert heard == [("POST", "/fhir/Patient/$export", "application/fhir+json", b'{"a":1}')]


@pytest.mark.parametrize("status", [400, 405, 422, 501])
async def test_what_upstream_does_not_export_is_not_served(status: int) -> None:
    async with client(answering(status)) as (bulk, _):
        with pytest.raises(CallerError) as caught:
            await bulk.kick_off("$export?_typeFilter=x", ASKING)
        assert caught.value.refusal is Refusal.NOT_SUPPORTED


NO_JOB = {
    "done at once": answering(200, b"{}", Content_Type="application/json"),
    "forbidden": answering(403),
    "nowhere": answering(202),
    "elsewhere": answering(202, Content_Location="http://169.254.169.254/status"),
    "another scheme": answering(202, Content_Location="https://127.0.0.1/status"),
    "with a user": answering(202, Content_Location="http://a:b@127.0.0.1/status"),
    "a redirect": answering(303, Location="/status/1", Content_Location="/status/1"),
    "no URL": answering(202, Content_Location="http://["),
}


@pytest.mark.parametrize("name", NO_JOB)
async def test_what_is_no_job_of_upstream_s_own_is_a_failure(name: str) -> None:
    async with client(NO_JOB[name]) as (bulk, _):
        with pytest.raises(UpstreamError):
            await bulk.kick_off("$export", ASKING)


async def test_an_export_is_under_way_or_has_a_manifest_or_is_gone() -> None:
    async with client(answering(202, b"wait")) as (bulk, url):
        assert await bulk.manifest(f"{url}/1", ASKING) is None
    async with client(answering(200, b"{}", Content_Type="application/json")) as (bulk, url):
        assert await bulk.manifest(f"{url}/1", ASKING) == b"{}"
    for status in (404, 410):
        async with client(answering(status)) as (bulk, url):
            with pytest.raises(CallerError) as caught:
                await bulk.manifest(f"{url}/1", ASKING)
            assert caught.value.refusal is Refusal.NOT_FOUND


NO_MANIFEST = {
    "html": answering(200, b"<html>", Content_Type="text/html"),
    "utf-16": answering(200, b"{}", Content_Type="application/json; charset=utf-16"),
    "an error": answering(500),
    "a part": answering(206, b"{}", Content_Type="application/json"),
    "unchanged": answering(304),
    "too large": answering(200, b"x" * 1001, Content_Type="application/json"),
}


@pytest.mark.parametrize("name", NO_MANIFEST)
async def test_what_is_no_manifest_is_a_failure(name: str) -> None:
    async with client(NO_MANIFEST[name]) as (bulk, url):
        with pytest.raises(UpstreamError):
            await bulk.manifest(f"{url}/1", ASKING)


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_job_is_deleted_upstream(status: int) -> None:
    async with client(answering(status)) as (bulk, url):
        await bulk.cancel(f"{url}/1", ASKING)


async def test_that_a_job_cannot_be_deleted_is_told() -> None:
    async with client(answering(404)) as (bulk, url):
        with pytest.raises(CallerError):
            await bulk.cancel(f"{url}/1", ASKING)
    async with client(answering(405)) as (bulk, url):
        with pytest.raises(UpstreamError):
            await bulk.cancel(f"{url}/1", ASKING)


async def test_a_file_comes_as_it_is() -> None:
    async with client(
        answering(200, LINE * 3000, Content_Type="application/fhir+ndjson;charset=UTF-8")
    ) as (bulk, url):
        assert await whole(bulk, f"{url}/1") == LINE * 3000
        assert await whole(bulk, "/anything/of/upstream") == LINE * 3000


async def _cut_short(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={**NDJSON, "Content-Length": "999"})
    await response.prepare(request)
    await response.write(LINE)
    assert request.transport is not None
    request.transport.close()
    return response


async def _cut_in_chunks(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers=NDJSON)
    await response.prepare(request)
    await response.write(LINE)
    assert request.transport is not None
    request.transport.close()
    return response


async def _endless(request: web.BaseRequest) -> web.StreamResponse:
    """Neither a length nor chunks: its end is the end of the connection, which an interruption is too."""
    assert request.transport is not None
    request.transport.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+ndjson\r\nConnection: close\r\n\r\n"
        + LINE
    )
    request.transport.close()
    return web.StreamResponse()


async def _silent(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers=NDJSON)
    await response.prepare(request)
    await response.write(LINE)
    await asyncio.sleep(5)
    return response


NO_FILE: dict[str, Respond] = {
    "json": answering(200, LINE, Content_Type="application/fhir+json"),
    "octets": answering(200, LINE, Content_Type="application/octet-stream"),
    "xml": answering(200, b"<Patient/>", Content_Type="application/fhir+xml"),
    "no type": answering(200, LINE, Content_Type=""),
    "utf-16": answering(200, LINE, Content_Type="application/fhir+ndjson; charset=utf-16"),
    "a part": answering(206, LINE, **NDJSON),
    "unchanged": answering(304),
    "gone": answering(404),
    "a redirect": answering(302, Location="http://bucket.example.org/?X-Amz-Signature=x"),
    "gzip": answering(
        200, b"\x1f\x8b", Content_Encoding="gzip", Content_Type="application/fhir+ndjson"
    ),
    "br": answering(200, b"x", Content_Encoding="br", Content_Type="application/fhir+ndjson"),
    "zstd": answering(200, b"x", Content_Encoding="zstd", Content_Type="application/fhir+ndjson"),
    "twice": answering(
        200, b"x", Content_Encoding="identity, gzip", Content_Type="application/fhir+ndjson"
    ),
    "shorter than told": _cut_short,
    "cut before the last chunk": _cut_in_chunks,
    "without an end": _endless,
    "silent": _silent,
}


@pytest.mark.parametrize("name", NO_FILE)
async def test_what_is_no_whole_file_is_a_failure(name: str) -> None:
    async with client(NO_FILE[name], patience_s=0.2) as (bulk, url):
        with pytest.raises(UpstreamError):
            await whole(bulk, f"{url}/1")


ELSEWHERE = [
    "http://127.0.0.1:1/x",
    "//bucket.example.org/x",
    "https://bucket.example.org/x?X-Amz-Signature=y",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_nothing_elsewhere_is_asked_and_our_credentials_stay_with_upstream(url: str) -> None:
    async with client(answering(200, LINE, **NDJSON)) as (bulk, _):
        with pytest.raises(UpstreamError):
            await whole(bulk, url)
        with pytest.raises(UpstreamError):
            await bulk.manifest(url, ASKING)
        with pytest.raises(UpstreamError):
            await bulk.cancel(url, ASKING)


async def test_nobody_there_is_a_failure() -> None:
    async with session_of(1, 5) as session:
        bulk = BulkClient(session, Reach("http://127.0.0.1:1/fhir", OWN, 1000), 1.0)
        with pytest.raises(UpstreamError):
            await bulk.kick_off("$export", ASKING)


class Renewing:
    """Credentials of which the first are refused."""

    def __init__(self) -> None:
        self.number = 1

    async def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.number}"}

    def refused(self, used: object) -> bool:
        del used
        self.number += 1
        return True


async def test_refused_credentials_are_renewed_once_and_a_caller_s_are_not() -> None:
    heard: list[str] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers["authorization"])
        refused = heard[-1] != "Bearer 2"
        return web.Response(status=401) if refused else web.Response(body=LINE, headers=NDJSON)

    async with client(respond, Renewing()) as (bulk, url):
        assert await whole(bulk, f"{url}/1") == LINE
        with pytest.raises(UpstreamError):
            await anext(bulk.pieces(f"{url}/1", Asking("r", "Bearer theirs")))
        assert heard == ["Bearer 1", "Bearer 2", "Bearer theirs"]


async def test_what_is_not_asked_for_is_not_read() -> None:
    written = 0

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers=NDJSON)
        await response.prepare(request)
        for _ in range(2000):
            await response.write(LINE * 1000)
            written += 1000 * len(LINE)
        return response

    async with client(respond, patience_s=5) as (bulk, url):
        pieces = bulk.pieces(f"{url}/1", ASKING)
        await anext(pieces)
        await asyncio.sleep(0.3)
        assert written < 20_000_000  # what sockets and one reader hold, of 70 MB
        await pieces.aclose()
