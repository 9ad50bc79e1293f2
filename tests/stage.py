"""A stage for end-to-end tests: a FHIR server, a gateway in front of it, people with tokens, and the journal.

Everything is real: both servers listen on loopback, the policies are those that ship, requests cross sockets. The
upstream can be switched to another world between two requests, and can be told to fail.
"""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from proxy import app, settings
from proxy.audit.entry import Entry
from proxy.audit.journal_file import entry_of
from proxy.errors import UnusableError
from proxy.identity.development import development_keys, development_token
from proxy.sandbox.http import ask_of, response_of
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import FhirError, failed
from proxy.sandbox.samples import load_samples
from proxy.sandbox.store import Store

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "fhir-samples"
NOW = datetime.fromisoformat("2026-11-22T09:00:00+00:00").timestamp()
ISSUER = "https://idp.example.org"
PUBLIC = "http://gateway.example.org/fhir"
CANARY = "CANARY-"
PEM, JWKS = development_keys(fresh=True)
FOREIGN_PEM, _ = development_keys(fresh=True)

Override = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]


class Call(NamedTuple):
    """One request as upstream heard it."""

    method: str
    target: str
    headers: Mapping[str, str]


class Reply(NamedTuple):
    """One answer as the client heard it; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        found = orjson.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def ids(self) -> list[str]:
        """`Type/id` of the entries of a Bundle, in order."""
        return [
            f"{e['resource']['resourceType']}/{e['resource']['id']}"
            for e in self.json.get("entry", [])
            if "resource" in e and e.get("search", {}).get("mode") != "outcome"
        ]

    @property
    def next(self) -> str | None:
        """The link to the following page."""
        links = self.json.get("link", [])
        return next((link["url"] for link in links if link["relation"] == "next"), None)

    @property
    def text(self) -> str:
        """Headers and body as one text, to look for what must not be there."""
        return "\n".join(f"{k}: {v}" for k, v in self.headers.items()) + self.body.decode("latin-1")


def world_of(*extra: bytes, samples: bool = True) -> Interactions:
    """A FHIR server's content: the sample records and more; its clock stands still, so that equal content is equal bytes."""
    store = Store(clock=lambda: NOW - 3600)
    load_samples(store, [*([SAMPLES] if samples else []), *extra])
    return Interactions(store)


@dataclass(slots=True)
class Upstream:
    """The FHIR server of a stage: `world` is what it holds, `override` answers instead of it where it gives something."""

    world: Interactions
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    override: Override | None = None

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Call(request.method, request.raw_path, headers))
        if self.override is not None:
            instead = await self.override(request)
            if instead is not None:
                return instead
        try:
            ask = await ask_of(request)
        except FhirError as failure:
            return response_of(failed(failure))
        return response_of(self.world.answer(ask))


@asynccontextmanager
async def serving(
    respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """A server on loopback; gives its FHIR base URL."""
    runner = web.ServerRunner(
        web.Server(respond), access_log=None, handle_signals=False, shutdown_timeout=0.1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/fhir"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Stage:
    """A gateway at work. `port` is its public one; `ask` sends one request of somebody and gives the answer."""

    gateway: app.Gateway
    port: int
    session: aiohttp.ClientSession
    upstream_url: str
    _journal: sqlite3.Connection
    _read: int = 0

    def entries(self) -> list[Entry]:
        """The journal entries since the last call."""
        found = self._journal.execute(
            "SELECT seq, entry FROM entry WHERE seq > ? ORDER BY seq", (self._read,)
        ).fetchall()
        self._read = found[-1][0] if found else self._read
        return [entry_of(body) for _, body in found]

    async def ask(
        self,
        target: str,
        who: str | Mapping[str, Any] | None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request: `target` below the base, or a link of the gateway. Headers come back without the date."""
        sent = {**authorization(who), **(headers or {})}
        path = below_base(target)
        url = URL(f"http://127.0.0.1:{self.port}/fhir{path}", encoded=True)
        async with self.session.request(
            method, url, headers=sent, data=body, allow_redirects=False
        ) as answer:
            given = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, given, await answer.read())

    async def raw(self, wire: bytes, patience_s: float = 2.0) -> bytes:
        """Literal bytes on a socket, and what comes back until the gateway closes (say `Connection: close`)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(wire)
            return await asyncio.wait_for(reader.read(), patience_s)
        finally:
            writer.close()

    async def metrics(self) -> str:
        async with self.session.get(f"{self.gateway.admin_url}/metrics") as answer:
            return await answer.text()


def below_base(target: str) -> str:
    """Path and query below the base: of a target (`Patient/1`), or of an absolute link of the gateway."""
    if target.startswith(PUBLIC):
        return target.removeprefix(PUBLIC)
    assert "://" not in target.partition("?")[0], (
        f"a link to somewhere else: {urlsplit(target).netloc}"
    )
    return f"/{target}" if target[:1] not in ("", "?", "/") else target


def claims_of(who: str | Mapping[str, Any]) -> Json:
    """Claims of a person of the samples; a mapping `{like: person, …}` replaces some of them, null takes one away."""
    if isinstance(who, str):
        found: Json = json.loads((SAMPLES / "tokens" / f"{who}.json").read_text())
        return found
    changed = {name: value for name, value in who.items() if name not in {"like", "signed"}}
    merged = {**(claims_of(who["like"]) if "like" in who else {}), **changed}
    return {name: value for name, value in merged.items() if value is not None}


def authorization(who: str | Mapping[str, Any] | None) -> dict[str, str]:
    """The Authorization header of somebody; nothing for nobody; `{bearer: text}` is sent as it stands."""
    if who is None:
        return {}
    if isinstance(who, Mapping) and "header" in who:
        return {"Authorization": who["header"]}
    signed = who.get("signed", "here") if isinstance(who, Mapping) else "here"
    pem = FOREIGN_PEM if signed == "elsewhere" else PEM
    return {"Authorization": "Bearer " + development_token(claims_of(who), pem, NOW)}


BASELINE = ROOT / "policies" / "baseline"


def configuration(
    folder: Path,
    upstream: str,
    port: int,
    facts_ttl_s: int,
    policies: Path = BASELINE,
    more: str = "",
) -> Path:
    """A gateway.yaml in `folder`; `more` are further settings."""
    (folder / "keys.json").write_bytes(JWKS)
    path = folder / "gateway.yaml"
    path.write_text(
        f"""
listen: {{port: {port}}}
public_url: "{PUBLIC}"
admin: {{port: 0}}
upstream: {{url: "{upstream}", timeout_s: 60}}
identity:
  issuers: [{{issuer: "{ISSUER}", audience: "http://127.0.0.1:8080/fhir", jwks: {{file: keys.json}}}}]
policies: {policies}
facts: {{ttl_s: {facts_ttl_s}}}
audit: {{journal: "sqlite:///journal.db"}}
clock: "2026-11-22T09:00:00+00:00"
{more}
"""
    )
    return path


@asynccontextmanager
async def staged(
    folder: Path,
    upstream_url: str,
    facts_ttl_s: int = 0,
    policies: Path = BASELINE,
    more: str = "",
) -> AsyncIterator[Stage]:
    """A gateway in front of an upstream; its files live in `folder`."""
    port = free_port()
    path = configuration(folder, upstream_url, port, facts_ttl_s, policies, more)
    read = settings.load_settings(path, {})
    gateway = await _started(read)
    journal = sqlite3.connect(folder / "journal.db", isolation_level=None)
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Stage(gateway, port, session, upstream_url, journal)
    finally:
        journal.close()
        await gateway.close()


async def _started(read: settings.Settings) -> app.Gateway:
    try:
        return await app.start(read, {})
    except UnusableError as error:  # its message alone says what is wrong
        raise AssertionError(str(error)) from error


def free_port() -> int:
    """A port that nobody listens on; `gateway.url` is what clients see, and here it names another host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def bundle(*resources: Json) -> bytes:
    """A transaction that puts resources under their ids."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def names(entries: Iterable[Entry], outcome: str) -> list[str]:
    """References of resources that some entries touched with an outcome, without versions."""
    touched = [one for entry in entries for one in entry.touched if one.outcome == outcome]
    return [reference.partition("/_history")[0] for one in touched for reference in one.references]
