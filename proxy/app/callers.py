"""Who is believed: issuers, their keys and how they are fetched."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from proxy.fhir.interaction import RawRequest
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import KeySource, RotatingKeys
from proxy.identity.principal import Principal
from proxy.identity.supposed import supposed_principal
from proxy.identity.token import TokenVerifier
from proxy.identity.well_known import smart_configuration
from proxy.settings import IssuerSettings, Jwks, Settings, read_file


def identifier_of(
    settings: Settings,
    bases: tuple[str, ...],
    clock: Callable[[], float],
    fetch: Callable[[str], Awaitable[bytes]],
) -> Callable[[RawRequest], Awaitable[Principal]]:
    """Port: the principal of a request, by its bearer token."""
    issuers = issuers_of(settings, bases)
    keys: dict[str, KeySource] = {
        one.issuer: RotatingKeys(_key_fetch(one.jwks, fetch), time.monotonic, source=one.issuer)
        for one in settings.identity.issuers
    }
    verifier = TokenVerifier(issuers, keys)

    async def identify(raw: RawRequest) -> Principal:
        return await verifier.identify_caller(raw.headers, raw.repeated, clock())

    return identify


def supposer_of(
    settings: Settings, bases: tuple[str, ...], clock: Callable[[], float]
) -> Callable[[Mapping[str, object]], Principal]:
    """Port: the principal that claims without a signature would name; for explanations only."""
    issuers = issuers_of(settings, bases)
    return lambda claims: supposed_principal(claims, issuers, clock())


def smart_configuration_of(settings: Settings) -> bytes | None:
    """What apps are told of the authorization server; None where no issuer says."""
    for one in settings.identity.issuers:
        if one.smart is not None:
            return smart_configuration(one.issuer, one.jwks.url, one.smart.model_dump())
    return None


def issuers_of(settings: Settings, bases: tuple[str, ...]) -> dict[str, Issuer]:
    """The trusted issuers, by name."""
    return {one.issuer: _issuer(one, bases) for one in settings.identity.issuers}


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
