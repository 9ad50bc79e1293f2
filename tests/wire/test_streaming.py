"""Answers in parts: sent one after another, closed whatever happens, and cut where one fails."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from proxy.fhir.interaction import Answer, RawRequest
from proxy.wire import streaming
from proxy.wire.admin import Metrics
from proxy.wire.server import PublicListener
from tests.stage import serving


class Giving:
    """An enforcer whose answer has these parts; an exception among them is raised there."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self.parts = parts
        self.closed = False
        self.broken: list[str] = []

    async def _more(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"first "
            for part in self.parts:
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self.closed = True

    async def answer(self, raw: RawRequest) -> Answer:
        del raw
        more = self._more()
        return Answer(200, {"content-type": "text/plain"}, await anext(more), more)

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        del raw
        self.broken.append(what)
        return Answer(503, {}, b"")

    oversized: Any = None
    unreadable: Any = None


async def heard(giving: Giving) -> bytes:
    listener = PublicListener(giving, Metrics(), 1000, 10)
    async with (
        serving(listener.respond) as url,
        aiohttp.ClientSession() as session,
        session.get(url) as answer,
    ):
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["cache-control"] == "no-store"
        return await answer.read()


async def test_all_parts_are_sent_in_order_and_an_empty_one_ends_nothing() -> None:
    giving = Giving(b"a", b"", b"b" * 100_000)
    assert await heard(giving) == b"first a" + b"b" * 100_000
    assert giving.closed
    assert giving.broken == []


async def test_what_nobody_foresaw_cuts_the_answer_and_is_recorded_without_its_words() -> None:
    giving = Giving(b"a", RuntimeError("patient data"))
    with pytest.raises(aiohttp.ClientError):
        await heard(giving)
    await asyncio.sleep(0)
    assert giving.closed
    assert giving.broken == ["unforeseen RuntimeError"]


async def test_a_client_that_lets_a_part_wait_too_long_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE_S", 0.2)
    giving = Giving(*[b"x" * 1_000_000] * 50)
    listener = PublicListener(giving, Metrics(), 1000, 10)
    async with serving(listener.respond) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(40):
            await asyncio.sleep(0.05)
            if giving.closed:
                break
        assert giving.closed
        writer.close()


async def test_a_connection_without_a_transport_is_cut_already() -> None:
    class Gone:
        transport = None

    request: Any = Gone()
    streaming.cut(request)
