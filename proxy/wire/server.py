"""The listeners: raw HTTP in, one answer out, each with its journal entry.

The only module in which any exception is caught: what nobody foresaw becomes a constant 503 and a journal entry
(style habit 20). The raw request target is taken as it came over the wire, never a normalised URL.
"""

import secrets
import ssl
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiohttp import web

from proxy.errors import ProxyError, Refusal
from proxy.fhir.interaction import Answer, RawRequest
from proxy.fhir.outcome import answer_of
from proxy.wire.admin import Metrics, method_label
from proxy.wire.certificate import certificate_of
from proxy.wire.headers import ALWAYS_SENT, READ_FROM_CLIENT, request_id_of, understood
from proxy.wire.streaming import cut, streamed

_LOG = structlog.get_logger("proxy.wire")


class Enforcer(Protocol):
    """Port: what answers a request of the public listener (the PEP)."""

    async def answer(self, raw: RawRequest) -> Answer:
        """The whole flow; never raises a `ProxyError`."""
        ...

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        """An unforeseen failure: recorded, and answered with a constant 503."""
        ...

    async def oversized(self, raw: RawRequest) -> Answer:
        """A request larger than the limits."""
        ...

    async def unreadable(self, raw: RawRequest) -> Answer:
        """Bytes that are no HTTP request."""
        ...


Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class PublicListener:
    """Answers the public listener. `max_body` bytes, `concurrent` requests at once, `reads` the headers that are understood.

    `trusted_peers` are TLS terminators whose word on client certificates is believed.
    """

    def __init__(
        self,
        enforcer: Enforcer,
        metrics: Metrics,
        max_body: int,
        concurrent: int,
        *,
        reads: frozenset[str] = READ_FROM_CLIENT,
        trusted_peers: frozenset[str] = frozenset(),
    ) -> None:
        self._trusted_peers = trusted_peers
        self._reads = reads
        self._enforcer = enforcer
        self._metrics = metrics
        self._max_body = max_body
        self._concurrent = concurrent
        self._running = 0

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer."""
        began = time.perf_counter()
        headers, repeated = understood(request.raw_headers, self._reads)
        own_id = request_id_of(headers.get("x-request-id")) or secrets.token_hex(16)
        try:
            body = await self._body(request)
        except (web.RequestPayloadError, ConnectionError):
            # Broken coding or framing, or the client is gone: no request, and no words of the framework about it.
            return await self.respond_to_noise(request)
        raw = RawRequest(
            method=request.method,
            target=request.raw_path,
            headers=headers,
            body=body or b"",
            request_id=own_id,
            peer=request.remote or "",
            repeated=repeated,
            certificate=certificate_of(request, headers, repeated, self._trusted_peers),
        )
        self._running += 1
        try:
            answer = await self._answer(raw, too_large=body is None)
            sent = await self._sent(request, raw, answer)
        finally:
            self._running -= 1
        self._metrics.requests.labels(method_label(request.method), str(answer.status)).inc()
        self._metrics.seconds.observe(time.perf_counter() - began)
        return sent

    async def respond_to_noise(self, request: web.BaseRequest) -> web.StreamResponse:
        """What is no HTTP is refused in the words of every malformed request, recorded, and not repeated anywhere."""
        raw = RawRequest("", "", {}, b"", secrets.token_hex(16), peer=request.remote or "")
        try:
            answer = await self._enforcer.unreadable(raw)
        except ProxyError as error:
            answer = answer_of(error.refusal)
        self._metrics.requests.labels(method_label(""), str(answer.status)).inc()
        headers = {**ALWAYS_SENT, **answer.headers, "x-request-id": raw.request_id}
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        response.force_close()
        return response

    async def _sent(
        self, request: web.BaseRequest, raw: RawRequest, answer: Answer
    ) -> web.StreamResponse:
        headers = {**ALWAYS_SENT, **answer.headers, "x-request-id": raw.request_id}
        if answer.more is None:
            return web.Response(status=answer.status, body=answer.body, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        try:
            await streamed(request, response, answer.body, answer.more)
        except (ProxyError, ConnectionError, TimeoutError):
            cut(request)
        except Exception as error:  # noqa: BLE001  (as below: what nobody foresaw is recorded)
            cut(request)
            await self._broke(raw, error)
        return response

    async def _answer(self, raw: RawRequest, *, too_large: bool) -> Answer:
        try:
            if too_large:
                return await self._enforcer.oversized(raw)
            if self._running > self._concurrent:
                return await self._enforcer.broke(
                    raw, "more requests at once than limits.concurrent"
                )
            return await self._enforcer.answer(raw)
        except ProxyError as error:
            return answer_of(error.refusal)
        except Exception as error:  # noqa: BLE001  (the one place; the answer is constant)
            # Where, never what: the message of an unforeseen error may quote patient data.
            steps = [
                f"{step.filename}:{step.lineno}"
                for step in traceback.extract_tb(error.__traceback__)
            ]
            _LOG.error(
                "unforeseen",
                error=type(error).__name__,
                request_id=raw.request_id,
                steps=steps[-6:],
            )
            return await self._broke(raw, error)

    async def _broke(self, raw: RawRequest, error: Exception) -> Answer:
        try:
            return await self._enforcer.broke(raw, f"unforeseen {type(error).__name__}")
        except Exception:  # noqa: BLE001  (not even the journal works: say nothing but 503)
            return answer_of(Refusal.UNAVAILABLE)

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        """The body, or None when it is larger than allowed."""
        if not request.body_exists:
            return b""
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > self._max_body:
                return None
            chunks.append(chunk)
        return b"".join(chunks)


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, which would send and log the bytes that it cannot read: they may hold a token."""

    noise: Respond

    def _make_error_handler(self, err_info: object) -> Respond:
        del err_info  # it quotes what came
        return self.noise


class _Server(web.Server):
    """A server whose `noise` answers what is no HTTP."""

    noise: Respond

    def __call__(self) -> web.RequestHandler:
        protocol = _Protocol(self, loop=self._loop, **self._kwargs)
        protocol.noise = self.noise
        return protocol


async def _nothing(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=400)


async def listen(
    respond: Respond,
    host: str,
    port: int,
    *,
    noise: Respond = _nothing,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
) -> tuple[web.ServerRunner, int]:
    """Starts a listener; gives its runner (for `cleanup`) and the port it really has.

    `noise` answers what is no HTTP. `shared`: SO_REUSEPORT.
    """
    server = _Server(respond, access_log=None, keepalive_timeout=75)
    server.noise = noise
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=10)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_port=shared or None)
    await site.start()
    return runner, runner.addresses[0][1]
