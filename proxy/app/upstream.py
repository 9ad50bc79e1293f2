"""Adapters to upstream: connections, FHIR version, facts, our CapabilityStatement, readiness."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

import aiohttp
import msgspec

from proxy.app.callers import Outside
from proxy.app.clock import clock_of
from proxy.app.credentials import credentials_of
from proxy.audit.deliver import Send
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import CompiledPolicies
from proxy.errors import Finding, OwnError, UnusableError, UpstreamError
from proxy.facts.gather import Gatherer, GatherSettings
from proxy.facts.lookup import FhirReader
from proxy.fhir.capability import reduced
from proxy.fhir.definitions import FHIR_VERSIONS, Definitions, definitions_of
from proxy.settings import Settings
from proxy.wire.bulk import BulkClient
from proxy.wire.client import Reach, UpstreamClient, UpstreamReader, fetch_json, session_of
from proxy.wire.credentials import Fixed, posted
from proxy.wire.passage import Passage
from proxy.wire.rereading import LabelledReader, Rereading, Switch
from proxy.wire.sending import resource_sender, webhook_sender
from proxy.wire.userinfo import userinfo_of

CAPABILITY_TTL_S = 60.0


_MAX_JWKS = 1_000_000


@dataclass(frozen=True, slots=True)
class Wires:
    """Two clients to upstream with pools of their own, and the reader of facts."""

    base_url: str
    data: UpstreamClient
    rereading: Rereading
    """The same upstream, which reads again what comes in Bundles while `by_read` is on."""
    by_read: Switch
    reader: FhirReader
    outside: Outside
    event_sender: Callable[[str], Send]
    resource_sender: Callable[[str, str], Send]
    webhook_sender: Callable[[str, Callable[[bytes], str]], Send]
    bulk: BulkClient
    passage: Callable[[str, str], Passage]
    """The way up of a gateway that only observes, by base path and public URL."""


async def wires_of(settings: Settings, env: Mapping[str, str], stack: AsyncExitStack) -> Wires:
    """Connections to upstream, closed with the stack."""
    upstream = settings.upstream
    url = upstream.url.rstrip("/")
    data = await stack.enter_async_context(session_of(upstream.pool.data, upstream.timeout_s))
    lookups = await stack.enter_async_context(session_of(upstream.pool.lookups, upstream.timeout_s))
    clock = clock_of(settings)
    own = credentials_of(upstream.auth, env, lookups, clock)
    for_facts = own
    if upstream.lookup_auth is not None:
        for_facts = credentials_of(upstream.lookup_auth, env, lookups, clock)
    reach = Reach(url, own, upstream.max_body_bytes)
    looking_up = Reach(url, for_facts, upstream.max_body_bytes)
    by_read = Switch(upstream.labels == "by-read")
    reader = _reader(settings, UpstreamClient(lookups, looking_up), by_read)

    def written(repository: str, rtype: str) -> Send:
        # Our credentials for upstream are for upstream, not for whoever keeps the audit.
        ours = for_facts if repository == url else Fixed()
        return resource_sender(lookups, repository, ours, rtype)

    def sender(repository: str) -> Send:
        return written(repository, "AuditEvent")

    hook = partial(webhook_sender, lookups)

    def passage(base_path: str, public_url: str) -> Passage:
        return Passage(data, reach, base_path, public_url, upstream.auth.type == "forward")

    bulk = BulkClient(data, reach, upstream.timeout_s)
    client = UpstreamClient(data, reach)
    outside = _outside(lookups)
    again = Rereading(client, by_read)
    return Wires(url, client, again, by_read, reader, outside, sender, written, hook, bulk, passage)


def _reader(settings: Settings, client: UpstreamClient, by_read: Switch) -> LabelledReader:
    """Look-ups; what is found by them and judged by its labels is read again where that is switched on."""
    url, most = settings.upstream.url.rstrip("/"), settings.facts.max_pages
    again = UpstreamReader(Rereading(client, by_read), url, most)
    return LabelledReader(again, UpstreamReader(client, url, most))


def _outside(session: aiohttp.ClientSession) -> Outside:
    """How issuers are reached: with none of our credentials for upstream."""

    async def fetch(address: str) -> bytes:
        return await fetch_json(session, address, _MAX_JWKS)

    async def post(address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        return await posted(session, address, form, headers, "it")

    return Outside(fetch, post, partial(userinfo_of, session))


async def definitions_for(settings: Settings, client: UpstreamClient) -> Definitions:
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


async def facts_of(
    settings: Settings,
    wires: "Wires",
    clock: Callable[[], float],
    definitions: Definitions,
    bases: tuple[str, ...],
    compiled: CompiledPolicies,
) -> Gatherer:
    """The source of facts, once upstream has proven that it honours the searches (decisions §3)."""
    gatherer = gatherer_of(settings, wires, clock, definitions, bases, compiled)
    try:
        await gatherer.sentinel(uuid.uuid4().hex)
    except UpstreamError as error:
        raise UnusableError(
            Finding(
                "gateway.yaml", 1, f"`upstream.url`: the FHIR server cannot be searched ({error})"
            )
        ) from None
    return gatherer


async def tie_breaker_of(settings: Settings, wires: "Wires") -> str:
    """What searches are sorted by at last, once upstream has shown that it takes it behind another key; nothing where none is set."""
    name = settings.upstream.tie_breaker
    if name == "none":
        return ""
    nobody = (("_id", uuid.uuid4().hex), ("_sort", f"birthdate,{name}"))
    try:
        await wires.reader.search("Patient", nobody)
    except UpstreamError as error:
        raise UnusableError(
            Finding(
                "gateway.yaml",
                1,
                f"`upstream.tie_breaker`: upstream does not sort by `{name}` behind another key ({error}); `none` asks for no order of "
                "equals, which may then tell of what is hidden",
            )
        ) from None
    return name


def gatherer_of(
    settings: Settings,
    wires: "Wires",
    clock: Callable[[], float],
    definitions: Definitions,
    bases: tuple[str, ...],
    compiled: CompiledPolicies,
) -> Gatherer:
    """The source of the facts that the policies ask for; nothing is proven."""
    gathering = GatherSettings(
        fhir_version=definitions.fhir_version,
        zone=settings.zone,
        bases=bases,
        wanted=relationships_wanted(compiled),
        care_team_from=compiled.policies.care_team_from,
        grace_days=compiled.policies.care_team_grace_days,
        ttl=settings.facts.ttl_s,
        max_lookups=settings.facts.max_lookups_per_request,
    )
    return Gatherer(wires.reader, gathering, clock)


def searched_for(compiled: CompiledPolicies) -> frozenset[str]:
    """What decides which kinds of resources are searched: relationships, and what proves them."""
    return relationships_wanted(compiled) | compiled.policies.care_team_from


def relationships_wanted(compiled: CompiledPolicies) -> frozenset[str]:
    """The relationships that some rule speaks of: no other is looked up."""
    return frozenset().union(*(rule.relationships for rule in compiled.rules))


class Capability:
    """Our CapabilityStatement, made from upstream's and kept for a minute: it is public and costs a request."""

    def __init__(
        self,
        client: UpstreamClient,
        public_url: str,
        version: str,
        clock: Callable[[], float],
        endpoints: Mapping[str, str],
    ) -> None:
        self._client = client
        self._public_url = public_url
        self._version = version
        self._clock = clock
        self._endpoints = endpoints
        self._made: tuple[float, bytes] | None = None

    async def __call__(self) -> bytes:
        """The bytes of the CapabilityStatement."""
        now = time.monotonic()
        if self._made is None or now - self._made[0] > CAPABILITY_TTL_S:
            answer = await self._client.get("metadata")
            stated = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
            body = reduced(
                answer.body,
                public_url=self._public_url,
                version=self._version,
                now_iso=stated,
                endpoints=self._endpoints,
            )
            self._made = (now, body)
        return self._made[1]


class Readiness:
    """What the admin listener tells of readiness."""

    def __init__(self, journal: SqliteJournal, client: UpstreamClient) -> None:
        self._journal = journal
        self._client = client

    async def __call__(self) -> dict[str, str]:
        """Troubles by name."""
        troubles: dict[str, str] = {}
        try:
            status = (await self._client.get("metadata")).status
            if status != HTTPStatus.OK:
                troubles["upstream"] = f"its CapabilityStatement is answered with status {status}"
        except UpstreamError as error:
            troubles["upstream"] = error.detail
        try:
            await asyncio.to_thread(self._journal.file.stuck)
        except OwnError as error:
            troubles["journal"] = error.detail
        return troubles
