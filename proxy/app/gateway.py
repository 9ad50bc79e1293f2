"""The composition root: adapters are built and wired here; the only package that reads the clock and rolls dice."""

import asyncio
import hashlib
import random
import secrets
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from proxy.app.callers import identifier_of
from proxy.app.upstream import Capability, Readiness, Wires, definitions_for, facts_of, wires_of
from proxy.audit.agent import Observer
from proxy.audit.deliver import Fate, Pace, deliver
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import CaseBook, compile_policies
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House, InForce, Paging
from proxy.errors import Finding, OwnError, UnusableError
from proxy.fhir.reader import EnvelopeReader
from proxy.obligations.cursor import NONCE_BYTES, key_of
from proxy.obligations.redact import PseudonymKey
from proxy.policy.load import load
from proxy.settings import Settings, secret_of
from proxy.wire.admin import AdminListener, Metrics
from proxy.wire.server import PublicListener, listen

NAME = "fhir-consent-proxy"


@dataclass(slots=True)
class Gateway:
    """A running gateway: its public FHIR base, its admin base, and how to stop it."""

    url: str
    admin_url: str
    journal: SqliteJournal
    enforcement: Enforcement
    _stack: AsyncExitStack

    async def close(self) -> None:
        """Drains what runs, delivers no more, closes the journal last."""
        await self._stack.aclose()


def clock_of(settings: Settings) -> Callable[[], float]:
    """The wall clock, or the instant that the settings fix."""
    if settings.clock == "system":
        return time.time
    try:
        instant = datetime.fromisoformat(settings.clock)
    except ValueError:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`clock`: `{settings.clock}` is no instant")
        ) from None
    fixed = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    return lambda: fixed


async def start(settings: Settings, env: Mapping[str, str], *, shared: bool = False) -> Gateway:
    """Starts a gateway; `UnusableError` when configuration, policy or upstream cannot be used.

    `shared`: several workers listen on one port (SO_REUSEPORT).
    """
    stack = AsyncExitStack()
    try:
        return await _started(settings, env, stack, shared=shared)
    except BaseException:
        await stack.aclose()
        raise


async def _started(
    settings: Settings, env: Mapping[str, str], stack: AsyncExitStack, *, shared: bool
) -> Gateway:
    policies = load(Path(settings.policies))
    clock = clock_of(settings)
    journal = journal_of(settings)
    stack.callback(journal.close)
    metrics = Metrics()
    wires = await wires_of(settings, env, stack)
    definitions = await definitions_for(settings, wires.data)
    listener = PendingListener()
    runner, port = await listen(
        listener.respond,
        settings.listen.host,
        settings.listen.port,
        noise=listener.respond_to_noise,
        tls=tls_of(settings),
        shared=shared,
    )
    stack.push_async_callback(runner.cleanup)
    url = f"{'https' if settings.listen.tls else 'http'}://{settings.listen.host}:{port}{settings.listen.base_path}"
    public_url = (settings.public_url or url).rstrip("/")
    bases = (public_url, wires.base_url)
    compiled = compile_policies(policies)
    in_force = InForce(compiled, EnvelopeReader(definitions.resource_types, bases, compiled.wanted))
    facts = await facts_of(settings, wires, clock, definitions, bases, compiled)
    secret = secret_for(settings, env)
    house = House(
        upstream=wires.data,
        identify=identifier_of(settings, bases, clock, wires.fetch),
        facts=facts,
        journal=journal,
        in_force=lambda: in_force,
        cases=CaseBook(),
        capability=Capability(wires.data, public_url, definitions.fhir_version, clock),
        definitions=definitions,
        public_url=public_url,
        base_path=settings.listen.base_path,
        upstream_url=wires.base_url,
        forwards_token=settings.upstream.auth.type == "forward",
        zone=settings.zone,
        paging=paging_of(settings),
        cursor_key=key_of(secret),
        pseudonym_key=PseudonymKey(hashlib.sha256(b"pseudonym" + secret).digest()),
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
        nonce=lambda: secrets.token_bytes(NONCE_BYTES),
    )
    enforcement = Enforcement(house)
    limits = settings.limits
    listener.found(PublicListener(enforcement, metrics, limits.body_bytes, limits.concurrent))
    start_delivery(
        settings,
        stack,
        journal,
        wires,
        metrics,
        Observer(public_url, NAME),
        definitions.fhir_version,
    )
    admin, admin_port = await listen(
        AdminListener(metrics, Readiness(journal, wires.data)).respond,
        settings.admin.host,
        settings.admin.port,
    )
    stack.push_async_callback(admin.cleanup)
    return Gateway(
        public_url, f"http://{settings.admin.host}:{admin_port}", journal, enforcement, stack
    )


class PendingListener:
    """The public listener before its port, and so its public URL, is known: nothing is answered yet."""

    def __init__(self) -> None:
        self._listener: PublicListener | None = None

    def found(self, listener: PublicListener) -> None:
        """From now on this one answers."""
        self._listener = listener

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer."""
        if self._listener is None:
            return web.Response(status=503)
        return await self._listener.respond(request)

    async def respond_to_noise(self, request: web.BaseRequest) -> web.StreamResponse:
        """What is no HTTP."""
        if self._listener is None:
            return web.Response(status=503)
        return await self._listener.respond_to_noise(request)


def journal_of(settings: Settings) -> SqliteJournal:
    """The journal that the settings name; `UnusableError` when it cannot be opened."""
    path = Path(settings.audit.journal.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return SqliteJournal(path, writer=uuid.uuid4().hex)
    except OwnError as error:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`audit.journal`: {error.detail}")
        ) from None


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """TLS of the public listener; `UnusableError` when the files cannot be used."""
    tls = settings.listen.tls
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`listen.tls` cannot be used: {error}")
        ) from None
    return context


_SECRET_LENGTH = 32


def secret_for(settings: Settings, env: Mapping[str, str]) -> bytes:
    """The secret that page links and pseudonyms are made with; made afresh where none is given."""
    if settings.paging.key is None:
        return secrets.token_bytes(_SECRET_LENGTH)
    secret = secret_of(settings.paging.key, env, "paging.key").encode()
    if len(secret) < _SECRET_LENGTH:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`paging.key` needs at least {_SECRET_LENGTH} characters")
        )
    return secret


def paging_of(settings: Settings) -> Paging:
    """How pages are made."""
    paging = settings.paging
    return Paging(paging.default_count, paging.max_count, paging.max_upstream_pages, paging.ttl_s)


def start_delivery(  # noqa: PLR0913, PLR0917  (a wiring function)
    settings: Settings,
    stack: AsyncExitStack,
    journal: SqliteJournal,
    wires: Wires,
    metrics: Metrics,
    observer: Observer,
    version: str,
) -> None:
    """Starts the delivery of AuditEvents in the background; stopped before the journal is closed."""
    repository = settings.audit.repository
    if repository == "none":
        return
    stop = asyncio.Event()

    def tell(fate: Fate) -> None:
        metrics.deliveries.labels(fate.value).inc()

    pace = Pace(jitter=random.random, tell=tell)
    send = wires.event_sender(repository.url.rstrip("/"))
    # The one background task; the exit stack keeps it and waits for its end.
    task = asyncio.create_task(deliver(journal.file, send, observer, stop, pace, version))

    async def end() -> None:
        stop.set()
        await task

    stack.push_async_callback(end)
