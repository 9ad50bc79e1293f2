"""Formats: whatever representation, encoding or part is asked for or given, JSON that was judged leaves, or nothing (T-54 to T-58, T-43)."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tests.attacks.records import PHYSICIAN, ZED, about, gateway
from tests.stage import Stage, Upstream, authorization

CANARY = b"CANARY"
SEEN = "Condition/zc"
BODY = orjson.dumps(about("Condition", "zc"))


class Scene(NamedTuple):
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    async with gateway(folder, *ZED, about("Condition", "zc")) as (stage, upstream):
        assert (await stage.ask(SEEN, PHYSICIAN)).status == 200
        yield Scene(stage, upstream)


pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVED: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("", {"Accept": "*/*"}),
    ("", {"Accept": "application/fhir+json"}),
    ("", {"Accept": "application/json"}),
    ("", {"Accept": "application/*;q=0.1, text/html"}),
    ("", {"Accept": "application/fhir+xml, application/fhir+json;q=0.1"}),
    ("", {"Accept": "application/fhir+xml;q=1, */*"}),
    ("", {"Accept": 'application/fhir+json; fhirVersion="4.0"'}),
    ("", {"Accept": "application/fhir+json; charset=UTF-8"}),
    ("?_format=json", {"Accept": "application/fhir+xml"}),
    ("?_format=application%2Ffhir%2Bjson", {}),
    ("?_format=application/fhir+json", {}),
    ("?_pretty=true", {}),
    ("", {"Accept-Charset": "utf-16"}),
    ("", {"Accept-Encoding": "gzip, br, zstd, xpress"}),
    ("", {"Accept-Encoding": "identity;q=0, *;q=0"}),
    ("", {"Accept-Language": "fr"}),
    ("", {"Range": "bytes=0-100"}),
    ("", {"Range": "bytes=100-", "If-Range": 'W/"1"'}),
    ("", {"TE": "trailers, gzip"}),
    ("", {"Prefer": "handling=lenient"}),
    ("", {"Prefer": "return=representation"}),
]


@pytest.mark.parametrize(("query", "headers"), SERVED)
async def test_what_is_served_is_json_whole_and_plain(
    scene: Scene, query: str, headers: dict[str, str]
) -> None:
    scene.upstream.calls.clear()
    reply = await scene.stage.ask(SEEN + query, PHYSICIAN, headers=headers)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/fhir+json"
    assert "content-encoding" not in reply.headers
    assert "content-range" not in reply.headers
    assert orjson.loads(reply.body)["id"] == "zc"
    asked = [call.headers for call in scene.upstream.calls]
    assert all(one["accept"] == "application/fhir+json" for one in asked)
    assert all(one["accept-encoding"] == "identity" for one in asked)
    theirs = {"range", "if-range", "te", "accept-charset", "accept-language"}
    assert all(theirs.isdisjoint(one) and one["prefer"] == "handling=strict" for one in asked)


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("?_format=xml", {}, 406),
    ("?_format=application%2Ffhir%2Bxml", {}, 406),
    ("?_format=text/xml", {}, 406),
    ("?_format=ttl", {}, 406),
    ("?_format=html/json", {}, 406),
    ("?_format=html", {}, 406),
    ("?_format=csv", {}, 406),
    ("?_format=ndjson", {}, 406),
    ("?_format=application/fhir%2Bndjson", {}, 406),
    ("?_format=json%20", {}, 406),
    ("?_format=json;charset=utf-16", {}, 406),
    ("?_format=application/fhir%2Bjson;fhirVersion=5.0", {}, 406),
    ("?_format=json&_format=xml", {}, 400),
    ("?_format=xml&_format=json", {}, 400),
    ("?_FORMAT=xml", {}, 400),
    ("?%5fformat=xml", {}, 406),
    ("?_format=", {}, 400),
    ("?_format=xml", {"Accept": "application/fhir+json"}, 406),
    ("", {"Accept": "application/fhir+xml"}, 406),
    ("", {"Accept": "application/xml, text/xml"}, 406),
    ("", {"Accept": "text/html"}, 406),
    ("", {"Accept": "text/turtle"}, 406),
    ("", {"Accept": "text/csv"}, 406),
    ("", {"Accept": "application/fhir+ndjson"}, 406),
    ("", {"Accept": "application/fhir+json;q=0"}, 406),
    ("", {"Accept": "application/fhir+json;q=0, */*"}, 406),
    ("", {"Accept": "application/fhir+json; fhirVersion=5.0"}, 406),
    ("", {"Accept": "application/fhir+json; fhirVersion=3.0"}, 406),
    ("", {"Accept": "application/fhir+json; charset=utf-16"}, 406),
    ("", {"Accept": "multipart/mixed"}, 406),
    ("", {"Accept": "application/octet-stream"}, 406),
    ("", {"Accept": "image/png"}, 406),
    ("", {"Prefer": "respond-async"}, 501),
    ("", {"Prefer": "handling=strict,RESPOND-ASYNC"}, 501),
    ("", {"Prefer": "respond-async;wait=10"}, 501),
]


@pytest.mark.parametrize(("query", "headers", "status"), REFUSED)
@pytest.mark.parametrize("target", [SEEN, "Condition"])
async def test_what_is_not_served_is_refused_before_upstream_hears_of_it(
    scene: Scene, target: str, query: str, headers: dict[str, str], status: int
) -> None:
    scene.upstream.calls.clear()
    reply = await scene.stage.ask(target + query, PHYSICIAN, headers=headers)
    assert (reply.status, "OperationOutcome" in reply.text) == (status, True)
    assert scene.upstream.calls == []


FORM = "application/x-www-form-urlencoded"
POSTED: list[tuple[dict[str, str], bytes, int]] = [
    ({"Content-Type": FORM, "Content-Encoding": "gzip"}, gzip.compress(b"_id=zc", mtime=0), 415),
    ({"Content-Type": FORM, "Content-Encoding": "deflate"}, zlib.compress(b"_id=zc"), 415),
    ({"Content-Type": FORM, "Content-Encoding": "br"}, b"_id=zc", 415),
    ({"Content-Type": FORM, "Content-Encoding": "zstd"}, b"_id=zc", 415),
    ({"Content-Type": FORM, "Content-Encoding": "xpress"}, b"_id=zc", 415),
    ({"Content-Type": FORM, "Content-Encoding": "gzip, gzip"}, gzip.compress(gzip.compress(b"_id=zc", mtime=0), mtime=0), 415),
    ({"Content-Type": FORM, "Content-Encoding": "gzip, identity"}, gzip.compress(b"_id=zc", mtime=0), 415),
    ({"Content-Type": FORM, "Content-Encoding": "identity"}, b"_id=zc", 415),
    ({"Content-Type": f"{FORM}; charset=utf-16"}, "_id=zc".encode("utf-16"), 415),
    ({"Content-Type": f"{FORM}; charset=utf-7"}, b"_id=zc", 415),
    ({"Content-Type": f"{FORM}; boundary=x"}, b"_id=zc", 415),
    ({"Content-Type": "multipart/form-data; boundary=x"}, b'--x\r\nContent-Disposition: form-data; name="_id"\r\n\r\nzc\r\n--x--', 415),
    ({"Content-Type": "multipart/mixed; boundary=x"}, b"--x--", 415),
    ({"Content-Type": "text/plain"}, b"_id=zc", 415),
    ({"Content-Type": "application/json"}, b'{"_id":"zc"}', 415),
    ({"Content-Type": "application/fhir+xml"}, b"<x/>", 415),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "status"), POSTED)
async def test_a_body_in_another_form_is_refused_before_upstream_hears_of_it(
    scene: Scene, headers: dict[str, str], body: bytes, status: int
) -> None:
    scene.upstream.calls.clear()
    reply = await scene.stage.ask("Condition/_search", PHYSICIAN, "POST", headers, body)
    # What does not unpack is malformed before anybody asks what it is.
    assert reply.status in {status, 400}
    assert (CANARY in reply.body, scene.upstream.calls) == (False, [])


FHIR = "application/fhir+json"
ODD: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "xml": (200, b'<Condition xmlns="http://hl7.org/fhir"><language value="CANARY"/></Condition>', {"Content-Type": "application/fhir+xml"}),
    "xml that says json": (200, b'<Condition xmlns="http://hl7.org/fhir"><language value="CANARY"/></Condition>', {"Content-Type": FHIR}),
    "html": (200, b"<html>CANARY</html>", {"Content-Type": "text/html"}),
    "turtle": (200, b"@prefix CANARY", {"Content-Type": "text/turtle"}),
    "ndjson": (200, BODY, {"Content-Type": "application/fhir+ndjson"}),
    "no type": (200, BODY, {"Content-Type": ""}),
    "octets": (200, BODY, {"Content-Type": "application/octet-stream"}),
    "multipart": (200, b"--x\r\n\r\n" + BODY + b"\r\n--x--", {"Content-Type": "multipart/mixed; boundary=x"}),
    "utf-16": (200, BODY.decode().encode("utf-16"), {"Content-Type": f"{FHIR}; charset=utf-16"}),
    "utf-7": (200, BODY, {"Content-Type": f"{FHIR}; charset=utf-7"}),
    "latin-1": (200, BODY, {"Content-Type": f"{FHIR};charset=iso-8859-1"}),
    "utf-16 that says nothing": (200, BODY.decode().encode("utf-16"), {"Content-Type": FHIR}),
    "a byte order mark": (200, b"\xef\xbb\xbf" + BODY, {"Content-Type": FHIR}),
    "no utf-8": (200, BODY.replace(b"CANARY", b"CANARY\xff"), {"Content-Type": FHIR}),
    "br": (200, b"\x0b\x02\x80CANARY\x03", {"Content-Type": FHIR, "Content-Encoding": "br"}),
    "zstd": (200, b"\x28\xb5\x2f\xfd CANARY", {"Content-Type": FHIR, "Content-Encoding": "zstd"}),
    "xpress": (200, BODY, {"Content-Type": FHIR, "Content-Encoding": "xpress"}),
    "no gzip": (200, BODY, {"Content-Type": FHIR, "Content-Encoding": "gzip"}),
    "half a gzip": (200, gzip.compress(BODY)[:-12], {"Content-Type": FHIR, "Content-Encoding": "gzip"}),
    "gzip twice": (200, gzip.compress(gzip.compress(BODY)), {"Content-Type": FHIR, "Content-Encoding": "gzip, gzip"}),
    "a part": (206, BODY, {"Content-Type": FHIR, "Content-Range": "bytes 0-9/10"}),
    "unchanged": (304, b"", {}),
    "accepted": (202, BODY, {"Content-Type": FHIR, "Content-Location": "/status/CANARY"}),
    "created": (201, BODY, {"Content-Type": FHIR}),
    "nothing": (204, b"", {}),
    "moved": (301, BODY, {"Content-Type": FHIR, "Location": "/fhir/Condition/CANARY"}),
    "found": (302, BODY, {"Content-Type": FHIR, "Location": "http://127.0.0.1:1/CANARY"}),
    "see other": (303, BODY, {"Content-Type": FHIR, "Location": "/CANARY"}),
    "elsewhere": (307, BODY, {"Content-Type": FHIR, "Location": "/CANARY"}),
    "empty": (200, b"", {"Content-Type": FHIR}),
    "cut short": (200, BODY[:-9], {"Content-Type": FHIR}),
    "an array": (200, b"[" + BODY + b"]", {"Content-Type": FHIR}),
    "two documents": (200, BODY + BODY, {"Content-Type": FHIR}),
    "another resource": (200, BODY.replace(b'"zc"', b'"zd"'), {"Content-Type": FHIR}),
    "an OperationOutcome": (200, b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"CANARY"}]}', {"Content-Type": FHIR}),
    "an error": (500, b"CANARY", {"Content-Type": "text/plain", "X-Progress": "CANARY"}),
}  # fmt: skip


@pytest.mark.parametrize("target", [SEEN, "Condition?_id=zc"])
@pytest.mark.parametrize("name", ODD)
async def test_whatever_upstream_says_that_cannot_be_judged_stays_here(
    scene: Scene, name: str, target: str
) -> None:
    status, body, headers = ODD[name]

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.startswith("/fhir/Condition") or "_count=500" in request.raw_path:
            return None
        return web.Response(status=status, body=body, headers=headers)

    scene.upstream.override = override
    try:
        reply = await scene.stage.ask(target, PHYSICIAN)
    finally:
        scene.upstream.override = None
    assert reply.status in {503, 404}
    assert "CANARY" not in reply.text
    assert scene.stage.entries()[-1].outcome in {"failed", "denied"}


async def _wire(scene: Scene, answer: bytes) -> bytes:
    """What the client hears when upstream's socket says these bytes."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.startswith("/fhir/Condition/zc"):
            return None
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        transport.write(answer)
        transport.close()
        return web.StreamResponse()

    scene.upstream.override = override
    try:
        return (await scene.stage.ask(SEEN, PHYSICIAN)).body
    finally:
        scene.upstream.override = None


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
SIZE = str(len(BODY)).encode()
BROKEN: dict[str, bytes] = {
    "longer than it is": HEAD + b"Content-Length: 9999\r\n\r\n" + BODY,
    "shorter than it is": HEAD + b"Content-Length: 20\r\n\r\n" + BODY,
    "two lengths": HEAD + b"Content-Length: 9999\r\nContent-Length: " + SIZE + b"\r\n\r\n" + BODY,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "no last chunk": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY)
    + BODY
    + b"\r\n",
    "no number of a chunk": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    + BODY
    + b"\r\n0\r\n\r\n",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + BODY,
    "no head": b"CANARY\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_whose_framing_lies_stays_here(scene: Scene, name: str) -> None:
    heard = await _wire(scene, BROKEN[name])
    assert b"OperationOutcome" in heard
    assert CANARY not in heard


async def test_trailers_of_upstream_do_not_leave(scene: Scene) -> None:
    chunk = (
        b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\nX-Secret: 7\r\nContent-Type: text/html\r\n\r\n"
    )
    scene.upstream.calls.clear()
    heard = await _wire(
        scene, HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Secret\r\n\r\n" + chunk
    )
    assert heard == BODY


async def test_gzip_that_unpacks_to_what_may_leave_leaves_unpacked(scene: Scene) -> None:
    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.startswith("/fhir/Condition/zc"):
            return None
        headers = {"Content-Type": FHIR, "Content-Encoding": "gzip"}
        return web.Response(body=gzip.compress(BODY), headers=headers)

    scene.upstream.override = override
    try:
        reply = await scene.stage.ask(SEEN, PHYSICIAN)
    finally:
        scene.upstream.override = None
    assert (reply.status, reply.body) == (200, BODY)
    assert "content-encoding" not in reply.headers


CHUNKED = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: "
FRAMES: list[tuple[str, bytes]] = [
    (f"{CHUNKED}gzip, chunked\r\n", b"6\r\n_id=zc\r\n0\r\n\r\n"),
    (f"{CHUNKED}chunked, gzip\r\n", b"6\r\n_id=zc\r\n0\r\n\r\n"),
    (f"{CHUNKED}chunked, chunked\r\n", b"6\r\n_id=zc\r\n0\r\n\r\n"),
    (f"{CHUNKED}identity\r\nContent-Length: 6\r\n", b"_id=zc"),
    (f"{CHUNKED}chunked\r\nContent-Length: 6\r\n", b"6\r\n_id=zc\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize(("headers", "body"), FRAMES)
async def test_a_body_of_which_two_readers_see_two_is_refused(
    scene: Scene, headers: str, body: bytes
) -> None:
    token = authorization(PHYSICIAN)["Authorization"]
    head = f"POST /fhir/Condition/_search HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{headers}Connection: close\r\n\r\n"
    scene.upstream.calls.clear()
    heard = await scene.stage.raw(head.encode() + body)
    assert heard[8:13] in {b" 400 ", b" 415 "}
    assert scene.upstream.calls == []
    assert CANARY not in heard


async def test_a_trailer_of_a_request_says_nothing(scene: Scene) -> None:
    token = authorization(PHYSICIAN)["Authorization"]
    head = f"POST /fhir/Condition/_search HTTP/1.1\r\nHost: x\r\n{CHUNKED}chunked\r\nTrailer: Authorization\r\nConnection: close\r\n\r\n"
    body = f"6\r\n_id=zc\r\n0\r\nAuthorization: {token}\r\n\r\n"
    heard = await scene.stage.raw((head + body).encode())
    assert heard.startswith(b"HTTP/1.1 401 ")
