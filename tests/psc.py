"""A scripted Pro Santé Connect on loopback, and a gateway that believes it: tokens are signed here, userinfo is what a test says."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from proxy import app, settings
from proxy.identity.development import development_token
from tests.attacks.records import resource
from tests.stage import (
    ISSUER,
    NOW,
    PEM,
    Json,
    Reply,
    Stage,
    Upstream,
    bundle,
    configuration,
    free_port,
    serving,
    world_of,
)

SUB = "f:0f0e1a2b-0000-4000-8000-000000000001:810001990166"
CHU, CLINIC, ELSEWHERE = "699900106", "759900202", "699900502"
FINESS = "https://finess.esante.gouv.fr"


def activity(finess: str, **more: object) -> Json:
    return {"codeModeExercice": "S", "codeSecteurDactivite": "SA01", "numeroFinessSite": finess, "raisonSocialeSite": f"Site {finess}", **more}  # fmt: skip


def exercise(
    *activities: Json, profession: str = "10", category: str = "C", **more: object
) -> Json:
    return {"codeProfession": profession, "codeCategorieProfessionnelle": category, "codeTypeSavoirFaire": "S", "codeSavoirFaire": "SM04", "activities": list(activities), **more}  # fmt: skip


def userinfo(*exercises: Json, **more: object) -> Json:
    """Userinfo of a surgeon; members that are `None` are taken away."""
    told: Json = {
        "sub": SUB,
        "SubjectNameID": "810001990166",
        "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
        "SubjectOrganizationID": f"1{CHU}",
        "Acces_Regulation_Medicale": "FAUX",
        "Mode_Acces_Raison": "",
        "authMode": "CARD",
        "family_name": "VIDAL",
        "given_name": "Antoine",
        "SubjectRefPro": {"codeCivilite": "M", "exercices": list(exercises)},
        **more,
    }
    return {name: value for name, value in told.items() if value is not None}


VIDAL = userinfo(exercise(activity(CHU), activity(CLINIC)))
LONE = userinfo(exercise(activity(CHU)))

CLAIMS: Json = {
    "iss": ISSUER,
    "sub": SUB,
    "aud": "http://127.0.0.1:8080/fhir",
    "azp": "dossier",
    "scope": "openid scope_all",
    "jti": "t-1",
}

# Who he is in the directory, and the patient whose team he belongs to at the hospital alone.
WORLD = (
    resource("Organization", "chu", identifier=[{"system": FINESS, "value": CHU}]),
    resource("Organization", "bloc", partOf={"reference": "Organization/chu"}),
    resource("Organization", "clinic", identifier=[{"system": FINESS, "value": CLINIC}]),
    resource("Practitioner", "vidal", identifier=[{"system": "https://rpps.esante.gouv.fr", "value": "10001990166"}]),
    *(
        resource("PractitionerRole", f"vidal-{house}", practitioner={"reference": "Practitioner/vidal"},
                 organization={"reference": f"Organization/{house}"})
        for house in ("bloc", "clinic")
    ),
)  # fmt: skip


@dataclass(slots=True)
class Provider:
    """What userinfo answers: a body with a status, after a delay; and the tokens it was asked with."""

    told: Mapping[str, Any] | bytes = field(default_factory=lambda: VIDAL)
    status: int = 200
    kind: str = "application/json"
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(self.delay_s)
        body = self.told if isinstance(self.told, bytes) else orjson.dumps(self.told)
        return web.Response(body=body, status=self.status, headers={"Content-Type": self.kind})


@dataclass(slots=True)
class Psc:
    """The whole: a gateway, its upstream, and the provider."""

    stage: Stage
    upstream: Upstream
    provider: Provider

    async def ask(
        self,
        target: str,
        situation: str | None = None,
        claims: Mapping[str, object] = MappingProxyType({}),
    ) -> Reply:
        """One request of the surgeon; `claims` change those of the token."""
        headers = {} if situation is None else {"X-Situation": situation}
        return await self.stage.ask(target, {"header": bearer(claims)}, headers=headers)


def bearer(claims: Mapping[str, object] = MappingProxyType({})) -> str:
    """A token with these claims changed; the very same one for the same claims."""
    return _signed(orjson.dumps({**CLAIMS, **claims}))


@cache
def _signed(claims: bytes) -> str:
    return "Bearer " + development_token(orjson.loads(claims), PEM, NOW)


@asynccontextmanager
async def believing(folder: Path, upstream_url: str, issuer: str) -> AsyncIterator[Stage]:
    """A gateway whose one issuer has further settings (YAML members, `a: b, c: d`)."""
    port = free_port()
    path = configuration(folder, upstream_url, port, 0)
    told = path.read_text().replace("jwks: {file", f"{issuer}, jwks: {{file")
    # A provider that does not answer is waited for as long as upstream is.
    path.write_text(told.replace("timeout_s: 60", "timeout_s: 2"))
    gateway = await app.start(settings.load_settings(path, {}), {})
    journal = sqlite3.connect(folder / "journal.db", isolation_level=None)
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Stage(gateway, port, session, upstream_url, journal)
    finally:
        journal.close()
        await gateway.close()


@asynccontextmanager
async def psc(
    folder: Path, *resources: Json, cache_s: int = 60, more: str = ""
) -> AsyncIterator[Psc]:
    """A gateway in front of the samples and more, whose one issuer is scripted."""
    upstream, provider = Upstream(world_of(bundle(*WORLD, *resources))), Provider()
    async with serving(upstream.respond) as upstream.url, serving(provider.respond) as provider.url:
        userinfo = f'{{url: "{provider.url}/userinfo", cache_s: {cache_s}{more}}}'
        told = f"claims: pro-sante-connect, userinfo: {userinfo}"
        async with believing(folder, upstream.url, told) as stage:
            yield Psc(stage, upstream, provider)
