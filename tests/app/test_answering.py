import asyncio
from dataclasses import dataclass, field

from proxy.app.answering import Current
from proxy.fhir.interaction import Answer, RawRequest

RAW = RawRequest("GET", "/fhir/Patient/1", {}, b"", "r")


@dataclass
class Named:
    """An enforcer that answers with its name once it is let go."""

    name: bytes
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, raw: RawRequest) -> Answer:
        await self.go.wait()
        return Answer(200, {}, self.name)

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        return Answer(503, {}, self.name)

    async def oversized(self, raw: RawRequest) -> Answer:
        return Answer(413, {}, self.name)

    async def unreadable(self, raw: RawRequest) -> Answer:
        return Answer(400, {}, self.name)


async def test_a_request_is_answered_by_the_enforcer_it_began_with() -> None:
    one, other = Named(b"one"), Named(b"other")
    current = Current(one)
    begun = asyncio.ensure_future(current.answer(RAW))
    await asyncio.sleep(0)
    current.exchange(Current(other))
    one.go.set()
    other.go.set()
    assert (await begun).body == b"one"
    assert (await current.answer(RAW)).body == b"other"


async def test_every_kind_of_answer_is_exchanged() -> None:
    current = Current(Named(b"one"))
    current.exchange(Current(Named(b"other")))
    given = [await current.broke(RAW, ""), await current.oversized(RAW), await current.unreadable(RAW)]  # fmt: skip
    assert [(one.status, one.body) for one in given] == [(503, b"other"), (413, b"other"), (400, b"other")]  # fmt: skip


async def test_exchanges_leave_nothing_behind() -> None:
    """A thousand changes of policies are no chain of a thousand enforcers."""
    current, last = Current(Named(b"")), Named(b"last")
    for _ in range(1000):
        current.exchange(Current(Named(b"")))
    current.exchange(Current(last))
    assert current.enforcer is last
