"""The gateway's own credentials for the servers it speaks to, fixed or renewed (RFC 6749 §4.4, SMART Backend Services).

Laws: (1) a credential goes only to the server it was made for; (2) new ones are obtained once however many wait for them;
(3) before the old ones end, and anew when the server refuses them, but not more often than once in `COOL_DOWN_S`; (4) that
they cannot be had is upstream's failure, told without their text.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import NamedTuple, Protocol

import aiohttp
import msgspec

from proxy.errors import UpstreamError

COOL_DOWN_S = 5.0
EARLY = 0.2
"""The part of a lifetime that is left when new credentials are obtained."""
MOST_BYTES = 65_536

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_UNAUTHORIZED = 401


class Credentials(Protocol):
    """Port: the headers that say who we are."""

    async def headers(self) -> Mapping[str, str]:
        """Headers for one request; `UpstreamError` where they cannot be had."""
        ...

    def refused(self, used: Mapping[str, str]) -> bool:
        """The server did not take these; whether it is worth asking once more with others."""
        ...


class Fixed:
    """Credentials that stay what they are; none at all by default."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})

    async def headers(self) -> Mapping[str, str]:
        """Port `Credentials`."""
        return self._headers

    def refused(self, used: Mapping[str, str]) -> bool:
        """There are no others."""
        del used
        return False


class Bearer(NamedTuple):
    """A bearer token of ours, and how long it lives, in seconds."""

    token: str
    lifetime_s: float = inf


Obtain = Callable[[], Awaitable[Bearer]]
"""Port: gets a new token; OSError, without any text of it, where that fails."""


class Renewed:
    """Bearer tokens that are obtained when needed. `clock` is monotonic, in seconds."""

    def __init__(self, obtain: Obtain, clock: Callable[[], float]) -> None:
        self._obtain = obtain
        self._clock = clock
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] = {}
        self._renew_at = self._ends_at = -inf
        self._refused_at = -inf

    async def headers(self) -> Mapping[str, str]:
        """Port `Credentials`."""
        if self._clock() < self._renew_at:
            return self._headers
        async with self._lock:
            if self._clock() >= self._renew_at:
                await self._renew()
            return self._headers

    async def _renew(self) -> None:
        """New ones; while the old ones still hold, failing to get new ones is no failure."""
        now = self._clock()
        try:
            token, lifetime = await self._obtain()
        except OSError as error:
            if now >= self._ends_at:
                raise UpstreamError(f"no credentials for upstream can be had ({error})") from None
            self._renew_at = min(now + COOL_DOWN_S, self._ends_at)
            return
        self._headers = {"authorization": f"Bearer {token}"}
        self._renew_at, self._ends_at = now + lifetime * (1 - EARLY), now + lifetime

    def refused(self, used: Mapping[str, str]) -> bool:
        """Port `Credentials`: drops them, unless others were dropped a moment ago or somebody has got new ones already."""
        if used is not self._headers:
            return True
        now = self._clock()
        if now - self._refused_at < COOL_DOWN_S:
            return False
        self._refused_at = now
        self._renew_at = self._ends_at = -inf
        return True


def basic_auth(username: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic authentication (RFC 7617)."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


class _TokenAnswer(msgspec.Struct, frozen=True):
    """A successful answer of a token endpoint (RFC 6749 §5.1)."""

    access_token: str
    token_type: str
    expires_in: float = 300.0


async def token_of(
    session: aiohttp.ClientSession,
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
) -> Bearer:
    """A token of a token endpoint; OSError, which quotes nothing of the answer, where none can be had."""
    body = await posted(session, url, form, headers, "the token endpoint")
    try:
        return _bearer(msgspec.json.decode(body, type=_TokenAnswer, strict=False))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise OSError("the token endpoint answered no token") from None


async def posted(
    session: aiohttp.ClientSession,
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    whom: str,
) -> bytes:
    """The body that a form is answered with; OSError, which names `whom` and quotes nothing, where there is none."""
    try:
        async with session.post(
            url,
            data=dict(form),
            headers={"accept": "application/json", **headers},
            allow_redirects=False,
        ) as response:
            if response.status != 200:  # noqa: PLR2004
                raise OSError(f"{whom} answered with status {response.status}")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MOST_BYTES:
                    raise OSError(f"{whom} answered too much")
            return bytes(body)
    except TimeoutError:
        raise OSError(f"{whom} did not answer in time") from None
    except aiohttp.ClientError as error:
        raise OSError(f"{whom} cannot be reached ({type(error).__name__})") from None


def _bearer(answer: _TokenAnswer) -> Bearer:
    usable = _TOKEN.fullmatch(answer.access_token) and answer.token_type.lower() == "bearer"
    if not usable or not answer.expires_in > 0:
        raise OSError("the token endpoint answered no usable bearer token")
    return Bearer(answer.access_token, answer.expires_in)


def is_refusal(status: int) -> bool:
    """Whether a status says that the credentials were not taken."""
    return status == _UNAUTHORIZED
