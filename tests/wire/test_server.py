"""Literal bytes on a socket: clients would normalise these attacks away (threats T-129 to T-139)."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.errors import OwnError, Refusal
from proxy.fhir.interaction import Answer, RawRequest
from proxy.fhir.outcome import OUTCOMES, answer_of
from proxy.wire.admin import Metrics
from proxy.wire.server import PublicListener, listen
from tests.stage import Stage, Upstream, authorization, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLOSE = b"Connection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url:
        upstream.url = url
        yield upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("gateway"), upstream.url) as stage:
        yield stage


def wire(line: bytes, *headers: bytes, who: str | None = "care-team-physician") -> bytes:
    token = [f"Authorization: {authorization(who)['Authorization']}".encode()] if who else []
    return b"\r\n".join([line, b"Host: gateway.example.org", *token, *headers, CLOSE])


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


PATHS = {
    b"/fhir/Patient/camille": 200,
    b"/fhir/Patient/%63amille": 400,
    b"/fhir/Patient/camille%2f": 400,
    b"/fhir/Patient/camille%00": 400,
    b"/fhir/Patient/camille%": 400,
    b"/fhir/Patient/../Patient/camille": 400,
    b"/fhir/./Patient/camille": 400,
    b"/fhir/Patient/%2e%2e/Patient/camille": 400,
    b"/fhir/Patient/..;/camille": 400,
    b"/fhir//Patient/camille": 400,
    b"//fhir/Patient/camille": 400,
    b"/fhir/Patient/camille/": 400,
    b"/fhir/Patient\\camille": 400,
    b"/fhir/Patient/camille;jsessionid=1": 400,
    b"/fhir/Patient/camille?": 200,
    b"/fhir/Patient/camille?#": 400,
    b"/fhir/Patient/camille?a=b#c": 400,
    b"/fhir/Patient/camille#x": 400,
    b"/FHIR/Patient/camille": 404,
    b"/fhirPatient/camille": 404,
    b"/fhir/patient/camille": 404,
    b"/": 400,
    b"/metrics": 404,
    b"/healthz": 404,
    b"/fhir/../metrics": 400,
    b"http://gateway.example.org/fhir/Patient/camille": 400,
    b"http://127.0.0.1:1/fhir/Patient/camille": 400,
    b"*": 400,
    b"/fhir/Patient?_id=camille&_id=%6eoe": 200,
    b"/fhir/Patient?_id=camille;_id=noe": 400,
    b"/fhir/Patient?_id=camille&&": 400,
    b"/fhir/Patient?_id": 400,
    b"/fhir/Patient?%5fid=camille": 200,
    b"/fhir/Patient?%255fid=camille": 400,
    b"/fhir/Patient?_id=camille%0d%0aX:y": 400,
    b"/fhir/Patient/" + b"a" * 65: 404,
    b"/fhir/" + b"a" * 600: 400,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:60].decode("latin-1"))
async def test_a_path_means_one_thing_or_nothing(
    stage: Stage, upstream: Upstream, path: bytes
) -> None:
    stage.entries()
    upstream.calls.clear()
    answer = await stage.raw(wire(b"GET " + path + b" HTTP/1.1"))
    assert status_of(answer) == PATHS[path]
    assert len(stage.entries()) == 1
    if PATHS[path] >= 400:
        assert not upstream.calls
        assert body_of(answer) in OUTCOMES.values()


NOISE = {
    "two hosts": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nHost: CANARY\r\n\r\n",
    "a path without a slash": b"GET fhir/Patient/CANARY HTTP/1.1\r\nHost: x\r\n\r\n",
    "no request line": b"CANARY-noise\r\n\r\n",
    "a byte that is no path": b"GET /fhir/Patient/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nCANARY-noise\r\n\r\n",
    "a header with a null": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX: CANARY-\x00\r\n\r\n",
    "a header with a bare line feed": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX: a\nCANARY: b\r\n \r\n",
    "a token that is too long": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer CANARY-"
    + b"a" * 20000
    + b"\r\n\r\n",
    "two lengths": b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a length and chunks": b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03CANARY",
    "a version that is none": b"GET /fhir/metadata HTTP/9.x\r\nHost: x\r\n\r\n",
    "a folded header": b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX: a\r\n CANARY\r\n\r\n",
}


@pytest.mark.parametrize("name", NOISE)
async def test_what_is_no_http_gets_constant_words_and_one_entry(
    stage: Stage, upstream: Upstream, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage.entries()
    upstream.calls.clear()
    answer = await stage.raw(NOISE[name])
    assert body_of(answer) == OUTCOMES[Refusal.MALFORMED]
    assert status_of(answer) == 400
    assert [entry.refusal for entry in stage.entries()] == ["malformed"]
    assert "CANARY" not in caplog.text
    assert not upstream.calls


REPEATED = {
    b"Authorization: Bearer x": 401,
    b"Content-Type: application/json": 200,
    b"X-HTTP-Method-Override: DELETE": 400,
    b"X-HTTP-Method: DELETE": 400,
    b"X-Method-Override: GET": 400,
    b"Content-Encoding: gzip": 415,
    b"Accept: application/fhir+xml": 406,
    b"Range: bytes=0-10": 200,
    b'If-None-Match: W/"1"': 200,
    b"X-Forwarded-Host: evil.example.org": 200,
    b"Forwarded: host=evil.example.org": 200,
    b"Cookie: session=1": 200,
    b"Prefer: respond-async": 501,
    b"X-Request-Id: ok-1": 200,
}


@pytest.mark.parametrize("header", REPEATED, ids=lambda header: header.decode())
async def test_a_header_is_understood_or_has_no_effect(
    stage: Stage, upstream: Upstream, header: bytes
) -> None:
    upstream.calls.clear()
    plain = body_of(await stage.raw(wire(b"GET /fhir/Patient/camille HTTP/1.1")))
    calls = [call.target for call in upstream.calls]
    upstream.calls.clear()
    answer = await stage.raw(wire(b"GET /fhir/Patient/camille HTTP/1.1", header))
    assert status_of(answer) == REPEATED[header]
    assert b"evil" not in answer
    assert (body_of(answer) == plain) == (REPEATED[header] == 200)
    if REPEATED[header] == 200:
        assert [call.target for call in upstream.calls] == calls
    sent = {name for call in upstream.calls for name in call.headers}
    assert sent <= {"host", "accept", "accept-encoding", "cache-control", "prefer", "x-request-id"}


async def test_a_well_formed_request_id_is_taken_over_and_any_other_is_not(stage: Stage) -> None:
    line = b"GET /fhir/Patient/camille HTTP/1.1"
    kept = await stage.raw(wire(line, b"X-Request-Id: mine-1"))
    made = await stage.raw(wire(line, b"X-Request-Id: <script>"))
    assert b"x-request-id: mine-1" in kept.lower()
    assert b"script" not in made
    assert [entry.request_id == "mine-1" for entry in stage.entries()[-2:]] == [True, False]


async def test_a_body_larger_than_the_limits_is_refused_before_it_is_read(stage: Stage) -> None:
    size = 11 * 1024 * 1024
    head = wire(
        b"POST /fhir/Patient/_search HTTP/1.1",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: %d" % size,
    )
    stage.entries()
    answer = await stage.raw(head + b"a" * size, 10)
    assert status_of(answer) == 413
    assert [entry.refusal for entry in stage.entries()] == ["too-large"]


async def test_every_answer_says_that_it_is_not_to_be_kept(stage: Stage) -> None:
    for path in (b"/fhir/Patient/camille", b"/fhir/Patient/noe", b"/fhir/metadata", b"/nowhere"):
        answer = (await stage.raw(wire(b"GET " + path + b" HTTP/1.1"))).lower()
        assert b"cache-control: no-store" in answer
        assert b"vary: authorization, accept" in answer
        assert b"x-content-type-options: nosniff" in answer
        assert (
            b"content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox"
            in answer
        )
        assert b"server: gateway" in answer
        assert b"aiohttp" not in answer


async def test_two_requests_on_one_connection_have_two_answers(stage: Stage) -> None:
    stage.entries()
    first = wire(b"GET /fhir/Patient/camille HTTP/1.1").replace(CLOSE, b"\r\n")
    answer = await stage.raw(first + wire(b"GET /fhir/Patient/noe HTTP/1.1", who=None))
    assert answer.count(b"HTTP/1.1 ") == 2
    assert [entry.status for entry in stage.entries()] == [200, 401]


class Enforcer:
    """Fails in every way that the gateway may."""

    def __init__(self, failure: Exception, also: Exception | None = None) -> None:
        self.failure, self.also = failure, also
        self.told: list[str] = []

    async def answer(self, raw: RawRequest) -> Answer:
        raise self.failure

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        self.told.append(what)
        if self.also:
            raise self.also
        return answer_of(Refusal.UNAVAILABLE)

    async def oversized(self, raw: RawRequest) -> Answer:
        raise self.failure

    async def unreadable(self, raw: RawRequest) -> Answer:
        raise self.failure


FAILURES = [
    (Enforcer(RuntimeError("CANARY-message")), ["unforeseen RuntimeError"]),
    (Enforcer(RuntimeError("CANARY-message"), RuntimeError("CANARY-again")), ["unforeseen RuntimeError"]),
    (Enforcer(OwnError("the journal is full CANARY-detail")), []),
]  # fmt: skip


@pytest.mark.parametrize(("enforcer", "told"), FAILURES)
async def test_whatever_breaks_is_a_constant_503(
    enforcer: Enforcer,
    told: list[str],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listener = PublicListener(enforcer, Metrics(), max_body=1000, concurrent=4)
    runner, port = await listen(listener.respond, "127.0.0.1", 0, noise=listener.respond_to_noise)
    try:
        stage = Stage.__new__(Stage)
        stage.port = port
        answer = await stage.raw(wire(b"GET /fhir/Patient/camille HTTP/1.1"))
    finally:
        await runner.cleanup()
    assert status_of(answer) == 503
    assert body_of(answer) == OUTCOMES[Refusal.UNAVAILABLE]
    assert b"retry-after" in answer.lower()
    assert enforcer.told == told
    assert "CANARY" not in caplog.text + capsys.readouterr().out


async def test_more_requests_at_once_than_allowed_are_refused_and_recorded() -> None:
    enforcer = Enforcer(RuntimeError("never asked"))
    listener = PublicListener(enforcer, Metrics(), max_body=1000, concurrent=0)
    runner, port = await listen(listener.respond, "127.0.0.1", 0)
    try:
        stage = Stage.__new__(Stage)
        stage.port = port
        answer = await stage.raw(wire(b"GET /fhir/Patient/camille HTTP/1.1"))
    finally:
        await runner.cleanup()
    assert status_of(answer) == 503
    assert enforcer.told == ["more requests at once than limits.concurrent"]


async def test_the_journal_full_means_no_data(tmp_path: Path, upstream: Upstream) -> None:
    async with staged(tmp_path, upstream.url) as stage:
        assert (await stage.ask("Patient/camille", "patient")).status == 200
        stage.gateway.journal.close()
        reply = await stage.ask("Patient/camille", "patient")
        assert reply.status == 503
        assert reply.body == OUTCOMES[Refusal.UNAVAILABLE]
