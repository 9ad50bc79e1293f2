"""Upstream's exports: kick-off, status, files and deletion (https://hl7.org/fhir/uv/bulkdata/export.html), port `BulkUpstream`.

A status URL or a file of another origin than upstream's is not asked: our credentials are for upstream, and a signed URL
elsewhere is a way around us (T-41). Files come as NDJSON in UTF-8 that is not compressed, whole by length or by chunks.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from yarl import URL

from proxy.enforcement.exporting import Asking
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.wire.client import Reach
from proxy.wire.credentials import is_refusal
from proxy.wire.headers import is_json, is_ndjson

_JSON = {"accept": "application/json", "accept-encoding": "identity"}
_KICK_OFF = {
    "accept": "application/fhir+json",
    "accept-encoding": "identity",
    "prefer": "respond-async",
    # else a server may give an earlier job of the same parameters, with what was there then, which another may delete
    "cache-control": "no-cache",
}
_POSTED = {"content-type": "application/fhir+json"}
_NDJSON = {"accept": "application/fhir+ndjson", "accept-encoding": "identity"}
_UNSERVED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_PIECE = 65_536
"""Bytes that are read at once."""
_CONNECT_S = 30


class BulkClient:
    """Asks one FHIR server for exports. `patience_s` bounds each wait for bytes of a file; a file as a whole has no bound here."""

    def __init__(self, session: aiohttp.ClientSession, reach: Reach, patience_s: float) -> None:
        self._session = session
        self._reach = reach
        self._endless = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_S, sock_read=patience_s
        )

    async def kick_off(self, target: str, asking: Asking, body: bytes = b"") -> str:
        """Begin an export; its status URL. `UpstreamError` for any answer but 202 with a `Content-Location` of upstream's."""
        url = f"{self._reach.url}/{target}"
        asked = (
            _Asked("POST", url, {**_KICK_OFF, **_POSTED}, asking, body=body)
            if body
            else _Asked("GET", url, _KICK_OFF, asking)
        )
        async with self._answered(asked) as answer:
            if answer.status in _UNSERVED:
                raise CallerError(
                    Refusal.NOT_SUPPORTED, "upstream does not export what is asked for"
                )
            if answer.status != HTTPStatus.ACCEPTED:
                raise UpstreamError(f"upstream begins no export (status {answer.status})")
            return self._own(answer.headers.get("content-location", ""))

    async def manifest(self, url: str, asking: Asking) -> bytes | None:
        """The manifest; `None` while the export is under way."""
        async with self._answered(_Asked("GET", self._own(url), _JSON, asking)) as answer:
            if answer.status == HTTPStatus.ACCEPTED:
                return None
            _require(answer.status)
            if not is_json(answer.headers):
                raise UpstreamError("the manifest of an export is not JSON in UTF-8")
            return await self._small(answer)

    async def cancel(self, url: str, asking: Asking) -> None:
        """End the export. What upstream no longer has is gone for the caller too."""
        async with self._answered(_Asked("DELETE", self._own(url), _JSON, asking)) as answer:
            if answer.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT):
                _require(answer.status)

    async def pieces(self, url: str, asking: Asking) -> AsyncGenerator[bytes, None]:
        """The bytes of a file; `UpstreamError` where it is cut off, or nothing that can be judged."""
        async with self._answered(
            _Asked("GET", self._own(url), _NDJSON, asking, self._endless)
        ) as answer:
            if answer.status != HTTPStatus.OK:
                raise UpstreamError(f"a file of an export has status {answer.status}")
            _require_whole(answer.headers)
            async for piece in answer.content.iter_chunked(_PIECE):
                yield piece

    def _own(self, url: str) -> str:
        """An absolute URL of upstream's own origin; `UpstreamError` for any other."""
        base = URL(self._reach.url, encoded=True)
        try:
            found = URL(self._reach.url + "/", encoded=True).join(URL(url, encoded=True))
            same = found.origin() == base.origin() and found.user is None
        except ValueError:
            same = False
            found = base
        if not (url and same):
            raise UpstreamError("an export of upstream leads elsewhere, or nowhere")
        return str(found)

    async def _small(self, answer: aiohttp.ClientResponse) -> bytes:
        most = self._reach.max_body_bytes
        body = b"".join([piece async for piece in _bounded(answer, most)])
        if len(body) > most:
            raise UpstreamError("the manifest of an export is larger than max_body_bytes")
        return body

    @asynccontextmanager
    async def _answered(self, asked: "_Asked") -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer, asked for once more with new credentials where ours were refused."""
        try:
            async with await self._asked(asked) as answer:
                yield answer
        except TimeoutError:
            raise UpstreamError("upstream did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(
                f"upstream cannot be reached or broke off ({type(error).__name__})"
            ) from None

    async def _asked(self, asked: "_Asked") -> aiohttp.ClientResponse:
        credentials = self._reach.credentials
        own = await credentials.headers()
        answer = await self._sent(asked, own)
        renewable = is_refusal(answer.status) and not asked.asking.authorization
        if not renewable or not credentials.refused(own):
            return answer
        answer.release()
        return await self._sent(asked, await credentials.headers())

    async def _sent(self, asked: "_Asked", own: Mapping[str, str]) -> aiohttp.ClientResponse:
        return await self._session.request(
            asked.method,
            URL(asked.url, encoded=True),
            headers={**asked.headers, **_named(own, asked.asking)},
            data=asked.body or None,
            timeout=asked.waits or self._session.timeout,
            allow_redirects=False,
        )


class _Asked(NamedTuple):
    """One request to upstream, apart from who asks; `waits` where it may take longer than others."""

    method: str
    url: str
    headers: Mapping[str, str]
    asking: Asking
    waits: aiohttp.ClientTimeout | None = None
    body: bytes = b""


def _named(own: Mapping[str, str], asking: Asking) -> dict[str, str]:
    """Who asks: the caller where their credentials go up, else we."""
    found = {**own, "x-request-id": asking.request_id}
    if asking.authorization:
        found["authorization"] = asking.authorization
    return {name: value for name, value in found.items() if value}


def _require(status: int) -> None:
    if status in _GONE:
        raise CallerError(Refusal.NOT_FOUND, "upstream has no such export")
    if status != HTTPStatus.OK:
        raise UpstreamError(f"upstream answered with status {status}")


def _require_whole(headers: Mapping[str, str]) -> None:
    """Refuse what cannot be judged, and what could end early without a sign: that would be silently less (T-42, T-57)."""
    if not is_ndjson(headers):
        raise UpstreamError("a file of an export is not NDJSON in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UpstreamError("a file of an export is compressed, though that was not asked for")
    if "content-length" not in headers and "transfer-encoding" not in headers:
        raise UpstreamError("a file of an export does not say where it ends")


async def _bounded(answer: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in answer.content.iter_chunked(_PIECE):
        yield piece
        size += len(piece)
        if size > most:
            return
