"""An office for tests of the reviewer API: a gateway whose reviewers have a role, its public door, and its journal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from proxy import app, settings
from proxy.audit.entry import Entry
from proxy.audit.journal_file import JournalFile
from proxy.settings.model import Admin, Reviewers
from tests.stage import (
    Json,
    Reply,
    Upstream,
    authorization,
    configuration,
    free_port,
    serving,
    world_of,
)

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
OFFICER: Json = {
    "iss": "https://idp.example.org",
    "aud": "http://127.0.0.1:8080/fhir",
    "sub": "officer",
    "client_id": "review",
    "jti": "officer-1",
    "scope": "openid",
    "extensions": {
        "ihe_iua": {
            "subject_name": "Olga Officer",
            "subject_role": [{"system": SYSTEM, "code": "REVIEWER"}],
        }
    },
}


@dataclass(frozen=True, slots=True)
class Office:
    """A gateway with a reviewer API."""

    gateway: app.Gateway
    public: str
    session: aiohttp.ClientSession
    journal: JournalFile
    upstream: Upstream

    async def stored(self, reference: str) -> Json:
        """A resource as upstream holds it."""
        async with self.session.get(f"{self.upstream.url}/{reference}") as answer:
            found: Json = orjson.loads(await answer.read())
            return found

    async def ask(
        self,
        path: str,
        body: Json | bytes = b"",
        who: Any = OFFICER,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One question on the admin listener."""
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        stated = authorization(who) | {"content-type": "application/json"} | (headers or {})
        return await self._sent(method, self.gateway.admin_url + path, stated, sent)

    async def get(self, target: str, who: Any) -> Reply:
        """One request on the public listener, below the base."""
        return await self._sent("GET", f"{self.public}/fhir/{target}", authorization(who), b"")

    async def _sent(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Reply:
        async with self.session.request(
            method, URL(url, encoded=True), headers=headers, data=body
        ) as answer:
            given = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, given, await answer.read())

    def entries(self) -> list[Entry]:
        return list(self.journal.entries(0))


@asynccontextmanager
async def opened(folder: Path, *extra: bytes) -> AsyncIterator[Office]:
    """An office over the sample records and more; its files live in `folder`."""
    upstream = Upstream(world_of(*extra))
    async with serving(upstream.respond) as url, aiohttp.ClientSession() as session:
        upstream.url = url
        port = free_port()
        read = settings.load_settings(configuration(folder, url, port, 0), {})
        admin = Admin(port=0, reviewers=Reviewers(roles=("v3-RoleClass#REVIEWER",)))
        gateway = await app.start(read.model_copy(update={"admin": admin}), {})
        journal = JournalFile(folder / "journal.db")
        yield Office(gateway, f"http://127.0.0.1:{port}", session, journal, upstream)
        await gateway.close()
