"""The upstream client: one GET (or a search by POST) to the FHIR server, and nothing that it did not ask for.

No redirects, no cookies, no proxy settings of the environment; JSON only; bounded time and size. Data requests and
fact look-ups have separate pools, so that neither can starve the other (architecture §5).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp
from yarl import URL

from proxy.errors import OversizedError, UpstreamError
from proxy.fhir.bundle import NO_RESOURCE, FrameError, frame_of
from proxy.fhir.interaction import Answer
from proxy.fhir.links import page_of
from proxy.fhir.query import encode_query
from proxy.wire.credentials import Credentials, is_refusal
from proxy.wire.headers import READ_FROM_UPSTREAM, is_json
from proxy.wire.rereading import Getting

OK = 200
LONGEST_QUERY = 1800
"""Characters of query beyond which a search goes by POST `_search`."""

_UNPACKED = frozenset({"identity", "gzip", "deflate"})
"""Content codings that are undone, though none was asked for; of any other the bytes mean nothing (T-57)."""

_TYPE = re.compile("[A-Z][A-Za-z]+")
_STEADY = {
    "accept": "application/fhir+json",
    "accept-encoding": "identity",
    # HAPI answers a repeated search from its cache for a minute unless told not to.
    "cache-control": "no-cache",
    "prefer": "handling=strict",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """How upstream is reached: base URL without a trailing slash, our credentials, the largest answer in bytes."""

    url: str
    credentials: Credentials
    max_body_bytes: int


class _Asked(NamedTuple):
    """One request to upstream, apart from our credentials; an `authorization` of the caller replaces them."""

    method: str
    url: URL
    request_id: str
    authorization: str
    form: bytes | None

    def headers(self) -> dict[str, str]:
        """Its own headers."""
        own = {"x-request-id": self.request_id, "authorization": self.authorization}
        if self.form is not None:
            own["content-type"] = "application/x-www-form-urlencoded"
        return {name: value for name, value in own.items() if value}


class UpstreamClient:
    """Sends requests to one FHIR server over one pool."""

    def __init__(self, session: aiohttp.ClientSession, reach: Reach) -> None:
        self._session = session
        self._reach = reach

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        """GET `target`, relative to the base (`Observation/1`, `?_getpages=…`); a long search goes by POST.

        `UpstreamError` if nothing usable came.
        """
        path, _, query = target.partition("?")
        if len(query) > LONGEST_QUERY and _TYPE.fullmatch(path):
            url = self._url(f"{path}/_search")
            asked = _Asked("POST", url, request_id, authorization, query.encode())
        else:
            asked = _Asked("GET", self._url(target), request_id, authorization, None)
        answer = await self._send(asked)
        if answer.status == OK and not is_json(answer.headers):
            raise UpstreamError("upstream's answer is not JSON in UTF-8")
        return answer

    def _url(self, target: str) -> URL:
        slash = "" if target[:1] in ("?", "/", "") else "/"
        return URL(self._reach.url + slash + target, encoded=True)

    async def _send(self, asked: _Asked) -> Answer:
        """Asks, and once more with new credentials where ours were refused: only our own can be renewed."""
        credentials = self._reach.credentials
        own = await credentials.headers()
        answer = await self._sent(asked, own)
        if is_refusal(answer.status) and not asked.authorization and credentials.refused(own):
            answer = await self._sent(asked, await credentials.headers())
        return answer

    async def _sent(self, asked: _Asked, own: Mapping[str, str]) -> Answer:
        headers = {**_STEADY, **own, **asked.headers()}
        try:
            async with self._session.request(
                asked.method,
                asked.url,
                headers=headers,
                data=asked.form,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, _read_headers(response), await self._body(response))
        except TimeoutError:
            raise UpstreamError("upstream did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(
                f"upstream cannot be reached or broke off ({type(error).__name__})"
            ) from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._reach.max_body_bytes
        if response.headers.get("content-encoding", "identity").lower() not in _UNPACKED:
            raise UpstreamError("upstream's answer is packed in a way that is not undone here")
        length = response.content_length
        # What is compressed, although that was not asked for, says nothing of how large it will be.
        if length is not None and length <= limit and "content-encoding" not in response.headers:
            return await response.read()
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise OversizedError("upstream's answer is larger than max_body_bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def _read_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: response.headers[name] for name in READ_FROM_UPSTREAM if name in response.headers}


class UpstreamReader:
    """Port `FhirReader`: fact look-ups with the gateway's own rights, all pages (decisions §3)."""

    def __init__(
        self, client: Getting, base_url: str, max_pages: int, page_size: int = 500
    ) -> None:
        self._client = client
        self._base_url = base_url
        self._max_pages = max_pages
        self._page_size = page_size

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        """Every matching resource as raw bytes; `UpstreamError` when not all of them could be had."""
        query = encode_query([*parameters, ("_count", str(self._page_size))])
        answer = await self._client.get(f"{resource_type}?{query}")
        found: list[bytes] = []
        for _ in range(self._max_pages):
            following = _collect(answer, found)
            if following is None:
                return found
            target = page_of(following, self._base_url)
            if target is None:
                raise UpstreamError("a page link of upstream leads outside its base")
            answer = await self._client.get(target)
        raise UpstreamError("a fact look-up has more pages than facts.max_pages")


def _collect(answer: Answer, found: list[bytes]) -> str | None:
    """Adds the page's resources; gives the next link."""
    if answer.status != OK:
        raise UpstreamError(f"a fact look-up was answered with status {answer.status}")
    try:
        frame = frame_of(answer.body, "searchset")
    except FrameError as error:
        raise UpstreamError(str(error)) from None
    for entry in frame.entry:
        if entry.resource is NO_RESOURCE:
            raise UpstreamError("a fact look-up brought an entry without a resource")
        if entry.search is None or entry.search.mode != "outcome":
            found.append(bytes(entry.resource))
    return frame.next()


def session_of(pool: int, timeout_s: float) -> aiohttp.ClientSession:
    """A client session for upstream: bounded pool, no cookies, nothing taken from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=pool, keepalive_timeout=60),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=True,
        skip_auto_headers=("user-agent",),
    )


async def fetch_json(session: aiohttp.ClientSession, url: str, limit: int) -> bytes:
    """The body of a JSON document that the operator named (a JWKS); OSError when it cannot be had."""
    try:
        async with session.get(
            url, headers={"accept": "application/json"}, allow_redirects=False
        ) as response:
            if response.status != 200:  # noqa: PLR2004
                raise OSError(f"answered with status {response.status}")
            body = await response.content.read(limit + 1)
            while len(body) <= limit and not response.content.at_eof():
                body += await response.content.read(limit + 1 - len(body))
    except (aiohttp.ClientError, ValueError) as error:
        raise OSError(type(error).__name__) from None
    if len(body) > limit:
        raise OSError("is too large")
    return body
