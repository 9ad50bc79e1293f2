"""Answers that are sent part by part, with back-pressure: a part is asked for when the one before has left.

INVARIANT: where a part fails the connection is cut before the body's end is written (RFC 9112 §7.1), so that a client never
takes what came for the whole answer (T-58). Without chunks a body has no end that is seen: HTTP/1.0 gets no such answer.
"""

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import HttpVersion11, web

PATIENCE_S = 60.0
"""How long a client may let one part wait: it holds a connection to upstream."""


async def streamed(
    request: web.BaseRequest,
    response: web.StreamResponse,
    first: bytes,
    more: AsyncGenerator[bytes, None],
) -> None:
    """Sends headers, the first part and the others; whatever fails is raised, and `more` is closed in any case."""
    try:
        if request.version < HttpVersion11:
            raise ConnectionError("an answer in parts needs HTTP/1.1")
        await response.prepare(request)
        await _sent(response, first)
        async for part in more:
            await _sent(response, part)
    finally:
        await more.aclose()


async def _sent(response: web.StreamResponse, part: bytes) -> None:
    if part:
        async with asyncio.timeout(PATIENCE_S):
            await response.write(part)


def cut(request: web.BaseRequest) -> None:
    """Ends the connection at once, without the end of the body."""
    if request.transport is not None:
        request.transport.abort()
