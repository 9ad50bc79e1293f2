"""A gateway over the embedded FHIR server with the samples, whose one issuer is a real OpenID Provider."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from proxy import app, settings
from proxy.app import callers
from proxy.errors import UnusableError
from proxy.identity.keys import Freshness
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from tests.interop.identity_provider import GATEWAY_SECRET, Provider, providing
from tests.stage import ROOT, SAMPLES, Reply, free_port

EXCHANGE_S = 20
COOL_DOWN_S = Freshness().cool_down
KEYS_OUTLIVE_S = Freshness().max_age
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
)
CAPABILITIES = (
    "launch-ehr",
    "client-public",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-ehr-patient",
    "permission-offline",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
INTROSPECTION_LIVES_S = 2
JOURNAL = "journal.db"
KEYS_LIVE_S = Freshness().ttl


class Steps:
    """The steady clock that ages keys: the real one, and what a test lets pass at once."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass(slots=True)
class Front:
    """A gateway, the provider that it believes, and the FHIR server behind it. `url` is public, `listens` where it answers."""

    url: str
    listens: str
    provider: Provider
    upstream_url: str
    steps: Steps
    session: aiohttp.ClientSession
    journal: Path

    def journalled(self) -> int:
        """How many requests stand in its journal."""
        with closing(sqlite3.connect(self.journal)) as journal:
            found: int = journal.execute("SELECT count(*) FROM entry").fetchone()[0]
        return found

    async def ask(
        self,
        target: str,
        token: str | None,
        *,
        scheme: str = "Bearer",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One GET below the base, or of a link of the gateway."""
        path = target.removeprefix(f"{self.url}/")
        url = URL(f"{self.listens}/{path}", encoded=True)
        sent = {} if token is None else {"Authorization": f"{scheme} {token}"}
        async with self.session.get(
            url, headers={**sent, **(headers or {})}, allow_redirects=False
        ) as answer:
            given = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, given, await answer.read())

    async def pages(self, target: str, token: str) -> list[list[str]]:
        """The ids of every page of a search, following `next`."""
        found: list[list[str]] = []
        following: str | None = target
        while following is not None:
            reply = await self.ask(following, token)
            assert reply.status == 200, reply.text
            found.append(reply.ids)
            following = reply.next
        return found

    async def stored(self, target: str) -> bytes:
        """What the FHIR server itself answers."""
        async with self.session.get(f"{self.upstream_url}/{target}") as answer:
            assert answer.status == 200
            return await answer.read()


def written(
    front: "Front", port: int, *, of_issuer: Mapping[str, object] | None = None, **more: object
) -> dict[str, object]:
    """A gateway.yaml; `of_issuer` and `more` are settings of its own."""
    provider = front.provider
    issuer = {
        "issuer": provider.issuer,
        "audience": front.url,
        "jwks": {"url": f"{provider.issuer}/jwks"},
        "algorithms": ["ES256"],
        "smart": {
            **{name: provider.metadata[name] for name in ENDPOINTS},
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "capabilities": CAPABILITIES,
        },
        **(of_issuer or {}),
    }
    return {
        "listen": {"port": port},
        "public_url": front.url,
        "admin": {"port": 0},
        "upstream": {"url": front.upstream_url, "fhir_version": "4.0.1"},
        "identity": {"issuers": [issuer]},
        "policies": str(ROOT / "policies" / "baseline"),
        "audit": {"journal": f"sqlite:///{front.journal}"},
    } | more


@asynccontextmanager
async def fronted(folder: Path) -> AsyncIterator[Front]:
    """Everything started, and ended with the block; files in `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/fhir"
    store = Store("4.0.1")
    load_samples(store, sorted(SAMPLES.glob("*.json")))
    sandbox = await start_sandbox(store)
    try:
        async with providing(url) as provider, asking() as session:
            front = Front(url, url, provider, sandbox.url, Steps(), session, folder / JOURNAL)
            async with serving(folder, written(front, port), front.steps):
                yield front
    finally:
        await sandbox.close()
        store.close()


def seconded(front: Front, folder: Path, port: int) -> Front:
    """A second gateway of the same name, on another port, with its own journal and its own steps."""
    listens = f"http://127.0.0.1:{port}/fhir"
    return replace(front, listens=listens, journal=folder / JOURNAL, steps=Steps())


@asynccontextmanager
async def standing_at(front: Front, folder: Path, instant: float) -> AsyncIterator[Front]:
    """A second gateway of the same name, whose clock stands still at an instant (seconds since 1970)."""
    port = free_port()
    clock = datetime.fromtimestamp(instant, UTC).isoformat()
    second = seconded(front, folder, port)
    async with serving(folder, written(second, port, clock=clock), second.steps):
        yield second


@asynccontextmanager
async def beside(front: Front, folder: Path, provider: Provider) -> AsyncIterator[Front]:
    """A second gateway of the same name, which believes another provider."""
    port = free_port()
    second = replace(seconded(front, folder, port), provider=provider)
    async with serving(folder, written(second, port), second.steps):
        yield second


@asynccontextmanager
async def introspecting(
    front: Front, folder: Path, secret: str = GATEWAY_SECRET
) -> AsyncIterator[Front]:
    """A second gateway of the same name, which asks the provider about tokens it cannot read (RFC 7662)."""
    port = free_port()
    second = seconded(front, folder, port)
    (folder / "secret").write_text(secret)
    introspection = {
        "url": front.provider.metadata["introspection_endpoint"],
        "client_id": "gateway",
        "client_secret": {"file": "secret"},
        "cache_s": INTROSPECTION_LIVES_S,
    }
    configuration = written(second, port, of_issuer={"introspection": introspection})
    async with serving(folder, configuration, second.steps):
        yield second


@asynccontextmanager
async def serving(folder: Path, configuration: object, steps: Steps) -> AsyncIterator[None]:
    """The gateway of a configuration, which ages its keys by `steps`."""
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(configuration))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(callers, "time", steps)
        try:
            gateway = await app.start(settings.load_settings(path, {}), {})
        except UnusableError as error:  # its message alone says what is wrong
            raise AssertionError(str(error)) from error
    try:
        yield
    finally:
        await gateway.close()


def asking() -> aiohttp.ClientSession:
    """Who asks: many at once, each bounded."""
    timeout = aiohttp.ClientTimeout(total=EXCHANGE_S)
    return aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
