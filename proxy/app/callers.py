"""Who is believed: issuers, their keys and how they are fetched."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote_plus

from proxy.fhir.interaction import RawRequest
from proxy.identity.binding import Request
from proxy.identity.issuer import SHARED_SECRET, STRONG, Issuer, Strength, profile_of
from proxy.identity.keys import KeySource, RotatingKeys
from proxy.identity.metadata import jwks_uri_of
from proxy.identity.principal import Principal
from proxy.identity.supposed import supposed_principal
from proxy.identity.token import TokenVerifier
from proxy.identity.well_known import smart_configuration
from proxy.settings import (
    Introspection,
    IssuerSettings,
    Jwks,
    Secret,
    Settings,
    read_file,
    secret_of,
)
from proxy.wire.credentials import basic_auth

Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[bytes]]
"""Port: the body that a form is answered with, given URL, form and headers; OSError where there is none."""


Ask = Callable[[str, str], Awaitable[bytes]]
"""Port: the body of userinfo, given URL and token; PermissionError where the token is refused, OSError where there is none."""


@dataclass(frozen=True, slots=True)
class Outside:
    """How issuers are reached: `fetch` for keys, `post` for introspection, `userinfo` with the caller's own token."""

    fetch: Callable[[str], Awaitable[bytes]]
    post: Post
    userinfo: Ask


@dataclass(frozen=True, slots=True)
class Introspector:
    """Asks one issuer about tokens (port `Introspect`)."""

    issuer: str
    cache_s: float
    needs_audience: bool
    url: str
    headers: Mapping[str, str]
    post: Post

    async def ask(self, token: str) -> bytes:
        """The body of the answer; OSError where there is none."""
        form = {"token": token, "token_type_hint": "access_token"}
        return await self.post(self.url, form, self.headers)


@dataclass(frozen=True, slots=True)
class UserinfoEndpoint:
    """Asks one issuer who a person is (port `Userinfo`)."""

    url: str
    cache_s: float
    get: Ask

    async def ask(self, token: str) -> bytes:
        """The body of the answer; PermissionError where the token is refused, OSError where there is none."""
        return await self.get(self.url, token)


def identifier_of(
    settings: Settings,
    env: Mapping[str, str],
    bases: tuple[str, ...],
    clock: Callable[[], float],
    outside: Outside,
) -> Callable[[RawRequest], Awaitable[Principal]]:
    """Port: the principal of a request, by its access token. The first of `bases` is what clients see."""
    issuers = issuers_of(settings, env, bases)
    keys: dict[str, KeySource] = {
        one.issuer: RotatingKeys(
            _key_fetch(one.issuer, one.jwks, outside.fetch), time.monotonic, source=one.issuer
        )
        for one in settings.identity.issuers
        if one.jwks is not None
    }
    userinfo = {
        one.issuer: UserinfoEndpoint(one.userinfo.url, one.userinfo.cache_s, outside.userinfo)
        for one in settings.identity.issuers
        if one.userinfo is not None
    }
    introspect = _introspector(settings, env, outside.post)
    verifier = TokenVerifier(issuers, keys, introspect=introspect, userinfo=userinfo)
    public_url, base_path = bases[0] if bases else "", settings.listen.base_path

    async def identify(raw: RawRequest) -> Principal:
        path = raw.target.partition("?")[0].removeprefix(base_path)
        request = Request(raw.method, public_url + path, raw.certificate)
        return await verifier.identify_caller(raw.headers, raw.repeated, clock(), request)

    return identify


def _introspector(settings: Settings, env: Mapping[str, str], post: Post) -> Introspector | None:
    for one in settings.identity.issuers:
        how = one.introspection
        if how is not None:
            return Introspector(
                one.issuer, how.cache_s, how.require_audience, how.url, _own(how, env), post
            )
    return None


def _own(how: Introspection, env: Mapping[str, str]) -> Mapping[str, str]:
    """The credentials that the gateway shows an introspection endpoint (RFC 7662 section 2.1)."""
    section = "identity.issuers.introspection"
    if how.token is not None:
        return {"authorization": f"Bearer {secret_of(how.token, env, f'{section}.token')}"}
    secret = secret_of(how.client_secret or Secret(env=""), env, f"{section}.client_secret")
    return basic_auth(quote_plus(how.client_id or ""), quote_plus(secret))


def supposer_of(
    settings: Settings,
    env: Mapping[str, str],
    bases: tuple[str, ...],
    clock: Callable[[], float],
) -> Callable[[Mapping[str, object]], Principal]:
    """Port: the principal that claims without a signature would name; for explanations only."""
    issuers = issuers_of(settings, env, bases)
    return lambda claims: supposed_principal(claims, issuers, clock())


def smart_configuration_of(settings: Settings) -> bytes | None:
    """What apps are told of the authorization server; None where no issuer says."""
    for one in settings.identity.issuers:
        if one.smart is not None:
            return smart_configuration(
                one.issuer, one.jwks.url if one.jwks else None, one.smart.model_dump()
            )
    return None


_OAUTH_NAMES = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}
"""Names of endpoints in the CapabilityStatement (SMART 1.0) and in gateway.yaml."""


def oauth_endpoints_of(settings: Settings) -> dict[str, str]:
    """The authorization server's endpoints as a CapabilityStatement names them; empty where no issuer says."""
    stated = next((one.smart for one in settings.identity.issuers if one.smart), None)
    written = stated.model_dump() if stated is not None else {}
    return {
        name: written[setting] for name, setting in _OAUTH_NAMES.items() if written.get(setting)
    }


def issuers_of(
    settings: Settings, env: Mapping[str, str], bases: tuple[str, ...]
) -> dict[str, Issuer]:
    """The trusted issuers, by name."""
    return {one.issuer: _issuer(one, env, bases) for one in settings.identity.issuers}


def _issuer(one: IssuerSettings, env: Mapping[str, str], bases: tuple[str, ...]) -> Issuer:
    profile = replace(
        profile_of(one.claims, bases, system_clients=frozenset(one.system_clients)),
        shared_accounts=frozenset(one.shared_accounts),
        strength=_strength(one),
    )
    if one.shared_secret is None:
        return Issuer(one.issuer, one.audience, frozenset(one.algorithms), profile)
    secret = secret_of(one.shared_secret, env, "identity.issuers.shared_secret").encode()
    return Issuer(one.issuer, one.audience, SHARED_SECRET, profile, secret)


def _strength(one: IssuerSettings) -> Strength:
    """How its persons must have been identified."""
    if one.userinfo is None:
        return STRONG
    return Strength(frozenset(one.userinfo.auth_modes), frozenset(one.userinfo.levels))


def _key_fetch(
    issuer: str, jwks: Jwks, fetch: Callable[[str], Awaitable[bytes]]
) -> Callable[[], Awaitable[bytes]]:
    """Where an issuer's keys are read from, each time anew: a file may be replaced while we run."""

    async def from_file() -> bytes:
        return await asyncio.to_thread(read_file, Path(jwks.file or ""), "the issuer's keys")

    async def from_url() -> bytes:
        return await fetch(jwks.url or "")

    async def from_metadata() -> bytes:
        address = jwks.metadata or ""
        return await fetch(jwks_uri_of(await fetch(address), issuer, address))

    if jwks.metadata is not None:
        return from_metadata
    return from_url if jwks.url else from_file
