"""Ask a FHIR server over HTTP: method, path, headers, body -> status, headers, JSON."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import orjson
from aiohttp import ClientSession, ClientTimeout

FHIR_JSON = "application/fhir+json"
TIMEOUT_S = 60


class Ask(Protocol):
    """One HTTP exchange; `path` is relative to the base, or an absolute link of the server."""

    async def __call__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: object = None,
    ) -> tuple[int, Mapping[str, str], object]: ...


@asynccontextmanager
async def asking(base_url: str) -> AsyncIterator[Ask]:
    """An `Ask` bound to one server. Always asks for JSON: HAPI's default may be XML."""
    async with ClientSession(timeout=ClientTimeout(total=TIMEOUT_S)) as session:

        async def ask(
            method: str, path: str, headers: Mapping[str, str] | None = None, body: object = None
        ) -> tuple[int, Mapping[str, str], object]:
            url = path if path.startswith("http") else f"{base_url}/{path.removeprefix('/')}"
            sent = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON} | dict(headers or {})
            async with session.request(method, url, headers=sent, data=_bytes_of(body)) as answer:
                return answer.status, answer.headers, _json_of(await answer.read())

        yield ask


def _bytes_of(body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def _json_of(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
