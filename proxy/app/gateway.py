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

from proxy.app.callers import identifier_of, supposer_of
from proxy.app.upstream import Capability, Readiness, Wires, definitions_for, facts_of, wires_of
from proxy.audit.agent import Observer
from proxy.audit.deliver import Fate, Pace, deliver
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import CaseBook, CompiledPolicies, compile_policies
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House, InForce, Journal, Paging
from proxy.enforcement.review import LONGEST_QUESTION, MOST_AT_ONCE, Review
from proxy.errors import Finding, OwnError, UnusableError
from proxy.fhir.coding import Coding
from proxy.fhir.definitions import Definitions
from proxy.fhir.reader import EnvelopeReader
from proxy.obligations.cursor import NONCE_BYTES, key_of
from proxy.obligations.redact import PseudonymKey
from proxy.policy.load import load
from proxy.policy.terms import Terms
from proxy.settings import Reviewers, Settings, secret_of
from proxy.wire.admin import AdminListener, Metrics
from proxy.wire.server import PublicListener, Respond, listen

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


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands before the house is built: settings, secrets, connections, policies, and the URL that clients see."""

    settings: Settings
    secret: bytes
    clock: Callable[[], float]
    wires: Wires
    definitions: Definitions
    compiled: CompiledPolicies
    public_url: str

    @property
    def bases(self) -> tuple[str, str]:
        """The URLs under which references are our own."""
        return self.public_url, self.wires.base_url


async def _started(
    settings: Settings, env: Mapping[str, str], stack: AsyncExitStack, *, shared: bool
) -> Gateway:
    compiled = compile_policies(load(Path(settings.policies)))
    clock, secret, journal = clock_of(settings), secret_for(settings, env), journal_of(settings)
    stack.callback(journal.close)
    wires = await wires_of(settings, env, stack)
    definitions = await definitions_for(settings, wires.data)
    listener = PendingListener()
    own_url = await _listening(settings, listener, stack, shared=shared)
    public_url = (settings.public_url or own_url).rstrip("/")
    ground = Ground(settings, secret, clock, wires, definitions, compiled, public_url)
    house = await house_of(ground, journal)
    enforcement = Enforcement(house)
    metrics = Metrics()
    metrics.stuck.set_function(lambda: len(journal.file.stuck()))
    limits = settings.limits
    listener.found(PublicListener(enforcement, metrics, limits.body_bytes, limits.concurrent))
    start_delivery(ground, journal, stack, metrics)
    review = _review(ground, house, enforcement, metrics)
    administration = AdminListener(metrics, Readiness(journal, wires.data), review)
    admin_url = await _administered(settings, administration, stack)
    return Gateway(public_url, admin_url, journal, enforcement, stack)


async def _listening(
    settings: Settings, listener: "PendingListener", stack: AsyncExitStack, *, shared: bool
) -> str:
    """Opens the public listener; gives its own FHIR base URL."""
    own = settings.listen
    runner, port = await listen(
        listener.respond,
        own.host,
        own.port,
        noise=listener.respond_to_noise,
        tls=tls_of(settings),
        shared=shared,
    )
    stack.push_async_callback(runner.cleanup)
    return f"{'https' if own.tls else 'http'}://{own.host}:{port}{own.base_path}"


async def _administered(settings: Settings, listener: AdminListener, stack: AsyncExitStack) -> str:
    """Opens the admin listener; gives its URL."""
    runner, port = await listen(listener.respond, settings.admin.host, settings.admin.port)
    stack.push_async_callback(runner.cleanup)
    return f"http://{settings.admin.host}:{port}"


def _review(
    ground: Ground, house: House, enforcement: Enforcement, metrics: Metrics
) -> Respond | None:
    """What answers the reviewer API; nothing where no reviewer is named."""
    settings = ground.settings
    if settings.admin.reviewers is None:
        return None
    reviewers = reviewers_of(settings.admin.reviewers, ground.compiled.policies.terms)
    suppose = supposer_of(settings, ground.bases, ground.clock)
    review = Review(house, enforcement, reviewers, suppose)
    return PublicListener(review, metrics, LONGEST_QUESTION, MOST_AT_ONCE).respond


def reviewers_of(written: Reviewers, terms: Terms) -> frozenset[Coding]:
    """The roles of reviewers, in every spelling; `UnusableError` where an alias is unknown."""
    try:
        return frozenset().union(*(terms.codings(label) for label in written.roles))
    except KeyError as error:
        message = f"`admin.reviewers.roles`: terms.yaml has no code system {error}"
        raise UnusableError(Finding("gateway.yaml", 1, message)) from None


async def house_of(ground: Ground, journal: Journal) -> House:
    """Everything the flow is given."""
    settings, wires, definitions = ground.settings, ground.wires, ground.definitions
    reader = EnvelopeReader(definitions.resource_types, ground.bases, ground.compiled.wanted)
    in_force = InForce(ground.compiled, reader)
    return House(
        upstream=wires.data,
        identify=identifier_of(settings, ground.bases, ground.clock, wires.fetch),
        facts=await facts_of(
            settings, wires, ground.clock, definitions, ground.bases, ground.compiled
        ),
        journal=journal,
        in_force=lambda: in_force,
        cases=CaseBook(),
        capability=Capability(
            wires.data, ground.public_url, definitions.fhir_version, ground.clock
        ),
        definitions=definitions,
        public_url=ground.public_url,
        base_path=settings.listen.base_path,
        upstream_url=wires.base_url,
        forwards_token=settings.upstream.auth.type == "forward",
        zone=settings.zone,
        paging=paging_of(settings),
        cursor_key=key_of(ground.secret),
        pseudonym_key=PseudonymKey(hashlib.sha256(b"pseudonym" + ground.secret).digest()),
        clock=ground.clock,
        new_id=lambda: str(uuid.uuid4()),
        nonce=lambda: secrets.token_bytes(NONCE_BYTES),
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


def start_delivery(
    ground: Ground, journal: SqliteJournal, stack: AsyncExitStack, metrics: Metrics
) -> None:
    """Starts the delivery of AuditEvents in the background; stopped before the journal is closed."""
    repository = ground.settings.audit.repository
    if repository == "none":
        return
    stop = asyncio.Event()

    def tell(fate: Fate) -> None:
        metrics.deliveries.labels(fate.value).inc()

    pace = Pace(jitter=random.random, tell=tell)
    send = ground.wires.event_sender(repository.url.rstrip("/"))
    observer = Observer(ground.public_url, NAME)
    # The one background task; the exit stack keeps it and waits for its end.
    task = asyncio.create_task(
        deliver(journal.file, send, observer, stop, pace, ground.definitions.fhir_version)
    )

    async def end() -> None:
        stop.set()
        await task

    stack.push_async_callback(end)
