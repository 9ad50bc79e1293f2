"""The composition root: adapters are built and wired here; the only place that reads the clock and rolls dice."""

import asyncio
import hashlib
import random
import secrets
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from aiohttp import web

from proxy.audit.agent import Observer
from proxy.audit.deliver import Fate, Pace, Send, deliver
from proxy.audit.journal import SqliteJournal
from proxy.decision.decide import CaseBook, CompiledPolicies, compile_policies
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House, InForce, Paging
from proxy.errors import Finding, OwnError, UnusableError, UpstreamError
from proxy.facts.gather import Gatherer, GatherSettings
from proxy.fhir.capability import reduced
from proxy.fhir.definitions import FHIR_VERSIONS, Definitions, definitions_of
from proxy.fhir.envelope import EnvelopeReader
from proxy.fhir.interaction import RawRequest
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import KeySource, RotatingKeys
from proxy.identity.principal import Principal
from proxy.identity.token import TokenVerifier
from proxy.obligations.cursor import NONCE_BYTES, key_of
from proxy.obligations.redact import PseudonymKey
from proxy.policy.load import load
from proxy.settings import IssuerSettings, Jwks, Settings, read_file, secret_of
from proxy.wire.admin import AdminListener, Metrics
from proxy.wire.client import (
    Reach,
    UpstreamClient,
    UpstreamReader,
    basic_auth,
    event_sender,
    fetch_json,
    session_of,
)
from proxy.wire.server import PublicListener, listen

NAME = "fhir-consent-proxy"
CAPABILITY_TTL_S = 60.0


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
    journal = _journal(settings)
    stack.callback(journal.close)
    metrics = Metrics()
    wires = await _wires(settings, env, stack)
    definitions = await _definitions(settings, wires.data)
    listener = _Pending()
    runner, port = await listen(
        listener.respond,
        settings.listen.host,
        settings.listen.port,
        tls=_tls(settings),
        shared=shared,
    )
    stack.push_async_callback(runner.cleanup)
    url = f"{'https' if settings.listen.tls else 'http'}://{settings.listen.host}:{port}{settings.listen.base_path}"
    public_url = (settings.public_url or url).rstrip("/")
    bases = (public_url, wires.base_url)
    compiled = compile_policies(policies)
    in_force = InForce(compiled, EnvelopeReader(definitions.resource_types, bases, compiled.wanted))
    facts = await _facts(settings, wires, clock, definitions, bases, compiled)
    secret = _secret(settings, env)
    house = House(
        upstream=wires.data,
        identify=_identifier(settings, bases, clock, wires.fetch),
        facts=facts,
        journal=journal,
        in_force=lambda: in_force,
        cases=CaseBook(),
        capability=_Capability(wires.data, public_url, definitions.fhir_version, clock),
        definitions=definitions,
        public_url=public_url,
        base_path=settings.listen.base_path,
        upstream_url=wires.base_url,
        forwards_token=settings.upstream.auth.type == "forward",
        zone=settings.zone,
        paging=_paging(settings),
        cursor_key=key_of(secret),
        pseudonym_key=PseudonymKey(hashlib.sha256(b"pseudonym" + secret).digest()),
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
        nonce=lambda: secrets.token_bytes(NONCE_BYTES),
    )
    enforcement = Enforcement(house)
    limits = settings.limits
    listener.found(PublicListener(enforcement, metrics, limits.body_bytes, limits.concurrent))
    _deliver(
        settings,
        stack,
        journal,
        wires,
        metrics,
        Observer(public_url, NAME),
        definitions.fhir_version,
    )
    admin, admin_port = await listen(
        AdminListener(metrics, _Readiness(journal, wires.data)).respond,
        settings.admin.host,
        settings.admin.port,
    )
    stack.push_async_callback(admin.cleanup)
    return Gateway(
        public_url, f"http://{settings.admin.host}:{admin_port}", journal, enforcement, stack
    )


async def _facts(  # noqa: PLR0913, PLR0917  (a wiring function)
    settings: Settings,
    wires: "_Wires",
    clock: Callable[[], float],
    definitions: Definitions,
    bases: tuple[str, ...],
    compiled: CompiledPolicies,
) -> Gatherer:
    """The source of facts, once upstream has proven that it honours the searches (decisions §3)."""
    gathering = GatherSettings(
        fhir_version=definitions.fhir_version,
        zone=settings.zone,
        bases=bases,
        wanted=relationships_wanted(compiled),
        ttl=settings.facts.ttl_s,
        max_lookups=settings.facts.max_lookups_per_request,
    )
    gatherer = Gatherer(wires.reader, gathering, clock)
    try:
        await gatherer.sentinel(uuid.uuid4().hex)
    except UpstreamError as error:
        raise UnusableError(
            Finding(
                "gateway.yaml", 1, f"`upstream.url`: the FHIR server cannot be searched ({error})"
            )
        ) from None
    return gatherer


class _Pending:
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


@dataclass(frozen=True, slots=True)
class _Wires:
    """Two clients to upstream with pools of their own, and the reader of facts."""

    base_url: str
    data: UpstreamClient
    reader: UpstreamReader
    fetch: Callable[[str], Awaitable[bytes]]
    event_sender: Callable[[str], Send]


async def _wires(settings: Settings, env: Mapping[str, str], stack: AsyncExitStack) -> _Wires:
    upstream = settings.upstream
    url = upstream.url.rstrip("/")
    data = await stack.enter_async_context(session_of(upstream.pool.data, upstream.timeout_s))
    lookups = await stack.enter_async_context(session_of(upstream.pool.lookups, upstream.timeout_s))
    headers = _auth(settings, env)
    reach = Reach(url, headers, upstream.max_body_bytes)
    reader = UpstreamReader(UpstreamClient(lookups, reach), url, settings.facts.max_pages)

    async def fetch(address: str) -> bytes:
        return await fetch_json(lookups, address, _MAX_JWKS)

    def sender(repository: str) -> Send:
        # Our credentials for upstream are for upstream, not for whoever keeps the audit.
        return event_sender(lookups, repository, headers if repository == url else {})

    return _Wires(url, UpstreamClient(data, reach), reader, fetch, sender)


_MAX_JWKS = 1_000_000


def _auth(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """The gateway's own credentials for upstream; with `forward` look-ups go without."""
    auth = settings.upstream.auth
    if auth.type == "basic" and auth.password:
        return basic_auth(
            auth.username or "", secret_of(auth.password, env, "upstream.auth.password")
        )
    if auth.type == "bearer" and auth.token:
        return {"authorization": f"Bearer {secret_of(auth.token, env, 'upstream.auth.token')}"}
    return {}


async def _definitions(settings: Settings, client: UpstreamClient) -> Definitions:
    """The tables of upstream's FHIR version, asked of its CapabilityStatement when `auto`."""
    stated = settings.upstream.fhir_version
    return definitions_of(await _stated_version(client) if stated == "auto" else stated)


class _Stated(msgspec.Struct):
    fhirVersion: str = ""  # noqa: N815  (FHIR's name)


async def _stated_version(client: UpstreamClient) -> str:
    try:
        stated = msgspec.json.decode((await client.get("metadata")).body, type=_Stated).fhirVersion
    except (UpstreamError, msgspec.DecodeError) as error:
        raise UnusableError(
            Finding(
                "gateway.yaml",
                1,
                f"`upstream.url`: no CapabilityStatement can be had there ({error})",
            )
        ) from None
    minor = stated.rpartition(".")[0]
    known = [version for version in FHIR_VERSIONS if version.rpartition(".")[0] == minor]
    if not known:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"upstream's FHIR version `{stated}` is not supported")
        )
    return known[0]


def _journal(settings: Settings) -> SqliteJournal:
    path = Path(settings.audit.journal.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return SqliteJournal(path, writer=uuid.uuid4().hex)
    except OwnError as error:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`audit.journal`: {error.detail}")
        ) from None


def _tls(settings: Settings) -> ssl.SSLContext | None:
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


def _secret(settings: Settings, env: Mapping[str, str]) -> bytes:
    """The secret that page links and pseudonyms are made with; made afresh where none is given."""
    if settings.paging.key is None:
        return secrets.token_bytes(_SECRET_LENGTH)
    secret = secret_of(settings.paging.key, env, "paging.key").encode()
    if len(secret) < _SECRET_LENGTH:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`paging.key` needs at least {_SECRET_LENGTH} characters")
        )
    return secret


def _paging(settings: Settings) -> Paging:
    paging = settings.paging
    return Paging(paging.default_count, paging.max_count, paging.max_upstream_pages, paging.ttl_s)


def _identifier(
    settings: Settings,
    bases: tuple[str, ...],
    clock: Callable[[], float],
    fetch: Callable[[str], Awaitable[bytes]],
) -> Callable[[RawRequest], Awaitable[Principal]]:
    issuers = {one.issuer: _issuer(one, bases) for one in settings.identity.issuers}
    keys: dict[str, KeySource] = {
        one.issuer: RotatingKeys(_key_fetch(one.jwks, fetch), time.monotonic, source=one.issuer)
        for one in settings.identity.issuers
    }
    verifier = TokenVerifier(issuers, keys)

    async def identify(raw: RawRequest) -> Principal:
        return await verifier.identify_caller(raw.headers, raw.repeated, clock())

    return identify


def _issuer(one: IssuerSettings, bases: tuple[str, ...]) -> Issuer:
    profile = profile_of(one.claims, bases)
    return Issuer(one.issuer, one.audience, frozenset(one.algorithms), profile)


def _key_fetch(
    jwks: Jwks, fetch: Callable[[str], Awaitable[bytes]]
) -> Callable[[], Awaitable[bytes]]:
    """Where an issuer's keys are read from, each time anew: a file may be replaced while we run."""

    async def from_file() -> bytes:
        return await asyncio.to_thread(read_file, Path(jwks.file or ""), "the issuer's keys")

    async def from_url() -> bytes:
        return await fetch(jwks.url or "")

    return from_url if jwks.url else from_file


def relationships_wanted(compiled: CompiledPolicies) -> frozenset[str]:
    """The relationships that some rule speaks of: no other is looked up."""
    return frozenset().union(*(rule.relationships for rule in compiled.rules))


class _Capability:
    """Our CapabilityStatement, made from upstream's and kept for a minute: it is public and costs a request."""

    def __init__(
        self, client: UpstreamClient, public_url: str, version: str, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._public_url = public_url
        self._version = version
        self._clock = clock
        self._made: tuple[float, bytes] | None = None

    async def __call__(self) -> bytes:
        """The bytes of the CapabilityStatement."""
        now = time.monotonic()
        if self._made is None or now - self._made[0] > CAPABILITY_TTL_S:
            answer = await self._client.get("metadata")
            stated = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
            body = reduced(
                answer.body, public_url=self._public_url, version=self._version, now_iso=stated
            )
            self._made = (now, body)
        return self._made[1]


class _Readiness:
    """What the admin listener tells of readiness."""

    def __init__(self, journal: SqliteJournal, client: UpstreamClient) -> None:
        self._journal = journal
        self._client = client

    async def __call__(self) -> dict[str, str]:
        """Troubles by name."""
        troubles: dict[str, str] = {}
        try:
            await self._client.get("metadata")
        except UpstreamError as error:
            troubles["upstream"] = error.detail
        try:
            stuck = await asyncio.to_thread(self._journal.file.stuck)
        except OwnError as error:
            troubles["journal"] = error.detail
        else:
            if stuck:
                troubles["audit"] = f"{len(stuck)} entries that the repository will not take"
        return troubles


def _deliver(  # noqa: PLR0913  (a wiring function)
    settings: Settings,
    stack: AsyncExitStack,
    journal: SqliteJournal,
    wires: _Wires,
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
