"""The gateway's credentials for upstream, as the settings say: made once, renewed where they end."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

import aiohttp

from proxy.errors import UnusableError
from proxy.identity.assertion import ASSERTION_TYPE, assertion_key, client_assertion
from proxy.settings import Secret, UpstreamAuth, secret_of
from proxy.wire.credentials import (
    Bearer,
    Credentials,
    Fixed,
    Obtain,
    Renewed,
    basic_auth,
    token_of,
)

_GRANT = "client_credentials"


def credentials_of(
    auth: UpstreamAuth,
    env: Mapping[str, str],
    session: aiohttp.ClientSession,
    clock: Callable[[], float],
) -> Credentials:
    """Credentials of one kind; `UnusableError` where a secret or key cannot be used. `clock`: seconds since the epoch."""
    match auth.type:
        case "basic":
            return Fixed(basic_auth(auth.username or "", _secret(auth.password, env, "password")))
        case "bearer":
            return Renewed(_from_secret(auth, env), time.monotonic)
        case "client_credentials":
            return Renewed(_by_secret(auth, env, session), time.monotonic)
        case "private_key_jwt":
            return Renewed(_by_key(auth, env, session, clock), time.monotonic)
        case "none" | "forward":
            return Fixed()


def _secret(secret: Secret | None, env: Mapping[str, str], name: str) -> str:
    return secret_of(secret or Secret(env=name), env, f"upstream.auth.{name}")


def _from_secret(auth: UpstreamAuth, env: Mapping[str, str]) -> Obtain:
    """A token that stands in a file or the environment; the file may be replaced while we run."""
    _secret(auth.token, env, "token")

    async def obtain() -> Bearer:
        try:
            return Bearer(await asyncio.to_thread(_secret, auth.token, env, "token"))
        except UnusableError:
            raise OSError("the token cannot be read") from None

    return obtain


def _by_secret(
    auth: UpstreamAuth, env: Mapping[str, str], session: aiohttp.ClientSession
) -> Obtain:
    """OAuth 2.0 client credentials with a shared secret (RFC 6749 §2.3.1, §4.4)."""
    own = basic_auth(
        _encoded(auth.client_id or ""), _encoded(_secret(auth.client_secret, env, "client_secret"))
    )

    async def obtain() -> Bearer:
        form = {"grant_type": _GRANT, "scope": auth.scope}
        return await token_of(session, auth.token_url or "", form, own)

    return obtain


def _encoded(text: str) -> str:
    """As RFC 6749 §2.3.1 wants both halves: form-urlencoded before they are joined."""
    return quote_plus(text)


def _by_key(
    auth: UpstreamAuth,
    env: Mapping[str, str],
    session: aiohttp.ClientSession,
    clock: Callable[[], float],
) -> Obtain:
    """SMART Backend Services: a signed assertion for each token."""
    pem = _secret(auth.private_key, env, "private_key").encode()
    key = assertion_key(pem, auth.algorithm, auth.key_id or "")
    client_id, token_url = auth.client_id or "", auth.token_url or ""

    async def obtain() -> Bearer:
        assertion = client_assertion(key, client_id, token_url, clock(), str(uuid.uuid4()))
        form = {
            "grant_type": _GRANT,
            "scope": auth.scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return await token_of(session, token_url, form, {})

    return obtain
