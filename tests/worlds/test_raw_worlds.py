"""Requests that no client library would send, as literal bytes on a socket: they tell nothing of what is hidden."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stage import CANARY, authorization
from tests.worlds.callers import ALWAYS
from tests.worlds.pair import World, Worlds, worlds_of
from tests.worlds.twins import more, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO = "care-team-physician"
_CHANGING = re.compile(rb"(?im)^(?:date|x-request-id):[^\n]*\n")
_PATHS = (
    "/fhir/Observation/run-a0", "/fhir/../fhir/Observation/run-a0", "/fhir/./Observation/run-a0", "/fhir//Observation/run-a0",
    "/fhir/Patient/camille/../noe", "/fhir/Patient/camille/..%2fnoe", "/fhir/%2e%2e/fhir/Patient/noe", "/fhir/Patient/noe%00",
    "/fhir/Patient/noe#x", "/fhir/Patient/noe;v=1", "/fhir/Patient\\noe", "/fhir/Patient/noe?", "/fhir/Patient/no%65", "/fhir/Patient/%6eoe",
    "/fhir/Patient/%256eoe", "/fhir/patient/noe", "/fhir/Patient/NOE", "/fhir/Patient/noe/", "/fhir/Patient%2Fnoe", "/FHIR/Patient/noe",
    "http://gateway.example.org/fhir/Patient/noe", "http://elsewhere.example.org/fhir/Patient/noe", "//elsewhere.example.org/fhir/Patient/noe",
    "*", "fhir/Patient/noe", "/fhir/Observation?patient=noe#x", "/fhir/Observation?patient=no\u00e9", "/fhir/Observation?patient=noe&&patient=noe",
    "/fhir/Observation?patient=noe;x", "/fhir/Observation?patient=%c0%aenoe", "/fhir/Observation?patient=noe%0d%0aX-A:b", "/fhir/Observation??patient=noe",
    "/fhir/Observation?patient=noe+", "/fhir/Observation?__class__=noe", "/fhir/__proto__/noe", "/fhir/constructor/noe", "/fhir/Observation/mro",
    "/fhir/Patient/${jndi:ldap://elsewhere.example.org/x}", "/fhir/Patient/{0.__class__}", "/fhir/Patient/%(password)s", "/fhir/Patient/{{7*7}}",
    "/fhir/Observation?patient.__dict__=noe", "/fhir/Patient/" + "n" * 65, "/fhir/Patient/" + "n" * 9000,
)  # fmt: skip
_HEADERS = (
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding : chunked", "Content-Length: +5",
    "Content-Length: 5\r\nContent-Length: 6", "Host: elsewhere.example.org", "Authorization: Bearer x", "X-Situation: a\r\nX-Situation: b",
    "Accept: application/fhir+json\r\nAccept: application/fhir+xml", "Prefer: respond-async\r\nPrefer: handling=strict", "Upgrade: h2c\r\nHTTP2-Settings: x",
    "Expect: 100-continue", "Expect: other", " folded: x", "X-A: b\r\n c", "X\x00A: b", "X-A: \x01", "Range: bytes=0-1", "TE: trailers", "Trailer: Authorization",
    "Connection: Authorization", "Content-Encoding: gzip", "X-HTTP-Method-Override: DELETE", "If-None-Match: *", "Proxy-Authorization: Basic x",
)  # fmt: skip
_LINES = ("GET {} HTTP/1.0", "GET {} HTTP/2.0", "GET {}", "GET  {} HTTP/1.1", "FOO {} HTTP/1.1", "get {} HTTP/1.1", "TRACE {} HTTP/1.1", "CONNECT {} HTTP/1.1")  # fmt: skip
RAW = [
    *(f"GET {path} HTTP/1.1\r\nHost: x\r\n" for path in _PATHS),
    *(
        f"GET /fhir/{target} HTTP/1.1\r\nHost: x\r\n{header}\r\n"
        for header in _HEADERS
        for target in ("Observation/run-a0", "Observation?patient=noe")
    ),
    *(f"{line.format('/fhir/Observation/run-a0')}\r\nHost: x\r\n" for line in _LINES),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("raw")
    async with worlds_of(folder, [*samples(), *more()]) as worlds:
        yield worlds


async def said(world: World, wire: str, token: str) -> tuple[bytes, int]:
    """What comes back, less what differs between equal answers; and how many entries the journal has of it."""
    world.stage.entries()
    sent = f"{wire}Connection: close\r\nAuthorization: {token}\r\n\r\n"
    heard = await world.stage.raw(sent.encode("latin-1"), patience_s=20)
    return _CHANGING.sub(b"", heard), len(world.stage.entries())


@pytest.mark.parametrize("wire", RAW, ids=lambda wire: ascii(wire[:90]))
async def test_what_no_client_library_would_send_tells_nothing(worlds: Worlds, wire: str) -> None:
    without = await worlds.of(WHO, ALWAYS[WHO])
    token = authorization(WHO)["Authorization"]
    heard, entries = await said(worlds.whole, wire, token)
    assert (heard, entries) == await said(without, wire, token)
    assert heard.startswith(b"HTTP/")
    assert CANARY.encode() not in heard
    assert entries == 1
