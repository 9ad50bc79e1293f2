"""Delivery of AuditEvents to the Audit Record Repository, at least once (ATNA ITI-20 over FHIR REST; BALP 1:52).

Laws:
1. The state of delivery stands in the journal: a restart loses nothing, and repeats at most one batch.
2. Ids are derived from the entry, `PUT AuditEvent/{id}` is idempotent. Only a repository that takes no client ids gets
   POST, and may then hold an event twice after a crash.
3. What the repository will never take is kept, flagged (`stuck`) and passed by; everything else is tried until it is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Protocol

import msgspec
import orjson
from pydantic import BaseModel

from proxy.audit.agent import Observer
from proxy.audit.balp import Json
from proxy.audit.event import events_of
from proxy.audit.journal_file import Waiting, entry_of
from proxy.errors import OwnError, UpstreamError

Send = Callable[[str, bytes], Awaitable[int]]
"""Port: `PUT AuditEvent/{id}` with this body, `POST AuditEvent` if the id is empty; gives the HTTP status.
`UpstreamError` if there was no answer."""

_TO_POST = frozenset({400, 404, 405})
"""What repositories answer to the PUT of an id that a client chose."""
_REPAIRABLE = frozenset({401, 403, 404, 405, 407, 408, 421, 423, 425, 429})
"""4xx that tell of credentials, of the address or of the moment, never of the event."""
_NO_ANSWER = 0
_MODELS_R4, _MODELS_R5 = "fhir.resources.R4B.auditevent", "fhir.resources.auditevent"
"""fhir.resources has no R4 package: R4B serves R4."""


class Outbox(Protocol):
    """The journal's side of delivery; methods block and raise `OwnError`."""

    def undelivered(self, limit: int) -> list[Waiting]:
        """The oldest entries that wait."""

    def mark_delivered(self, seqs: Iterable[int]) -> None:
        """The rows are with the repository."""

    def mark_stuck(self, seq: int, why: str) -> None:
        """The row is a dead letter."""


class Fate(Enum):
    """What became of one attempt to deliver."""

    TAKEN = "taken"
    AGAIN = "again"
    STUCK = "stuck"


def _untold(_: Fate) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Pace:
    """How delivery spends its time. Seconds; `jitter` gives a number in [0, 1); `tell` hears every attempt's fate."""

    jitter: Callable[[], float]
    first_s: float = 0.5
    longest_s: float = 60.0
    idle_s: float = 1.0
    batch: int = 100
    lanes: int = 4
    tell: Callable[[Fate], None] = _untold

    def delay(self, attempt: int) -> float:
        """The wait after this many failures (1 …): doubled each time, bounded, half of it by chance."""
        doubled = self.first_s * 2.0 ** min(attempt - 1, 30)
        return min(self.longest_s, doubled) * (0.5 + self.jitter() / 2)


async def deliver(
    outbox: Outbox,
    send: Send,
    observer: Observer,
    stop: asyncio.Event,
    pace: Pace,
    fhir_version: str = "4.0.1",
) -> None:
    """Deliver until `stop` is set: oldest entries first, a few side by side."""
    courier = _Courier(outbox, Carrier(send, stop, pace), observer, fhir_version)
    failures = 0
    while not stop.is_set():
        try:
            found = await courier.round()
        except OwnError:  # the journal's own trouble: readiness tells it, delivery waits
            failures += 1
            await rest(stop, pace.delay(failures))
            continue
        failures = 0
        if not found:
            await rest(stop, pace.idle_s)


@dataclass(frozen=True, slots=True)
class Carrier:
    """Carries one resource until there is a final answer; `nameless`: to who refuses ids of clients, without its id."""

    send: Send
    stop: asyncio.Event
    pace: Pace
    nameless: bool = True

    async def settled(self, name: str, body: bytes) -> int | None:
        """The final status, however many attempts it took; None when stopped before there was one."""
        attempt = 0
        while True:
            status = await self._attempt(name, body)
            fate = fate_of(status)
            self.pace.tell(fate)
            if fate is not Fate.AGAIN:
                return status
            attempt += 1
            await rest(self.stop, self.pace.delay(attempt))
            if self.stop.is_set():
                return None

    async def _attempt(self, name: str, body: bytes) -> int:
        try:
            status = await self.send(name, body)
            if status not in _TO_POST or not self.nameless:
                return status
            resource = orjson.loads(body)
            del resource["id"]
            return await self.send("", orjson.dumps(resource))
        except UpstreamError:
            return _NO_ANSWER


@dataclass(frozen=True, slots=True)
class _Courier:
    outbox: Outbox
    carrier: Carrier
    observer: Observer
    fhir_version: str

    @property
    def pace(self) -> Pace:
        return self.carrier.pace

    async def round(self) -> bool:
        """Deliver one batch and note it in the journal; whether there was any."""
        waiting = await asyncio.to_thread(self.outbox.undelivered, self.pace.batch)
        queue, fates = iter(waiting), dict[int, str]()
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(self.pace.lanes, len(waiting))):
                    lanes.create_task(self._lane(queue, fates))
        finally:  # cancelled too: what the repository has taken is noted
            await asyncio.to_thread(self._note, fates)
        return bool(waiting)

    async def _lane(self, queue: Iterator[Waiting], fates: dict[int, str]) -> None:
        """Carry one entry after the other; `fates` has why a row is stuck, empty if it was taken."""
        for waiting in queue:
            why = await self._carried(waiting)
            if why is None:
                return
            fates[waiting.seq] = why

    def _note(self, fates: dict[int, str]) -> None:
        if taken := sorted(seq for seq, why in fates.items() if not why):
            self.outbox.mark_delivered(taken)
        for seq, why in fates.items():
            if why:
                self.outbox.mark_stuck(seq, why)

    async def _carried(self, waiting: Waiting) -> str | None:
        """Empty when every event was taken, why not if one never will be, None when stopped before the end."""
        try:
            events = await asyncio.to_thread(self._events, waiting.body)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            self.pace.tell(Fate.STUCK)
            return f"its events are not valid: {type(error).__name__}"
        refusals = []
        for event in events:
            status = await self.carrier.settled(event["id"], orjson.dumps(event))
            if status is None:
                return None
            if fate_of(status) is Fate.STUCK:
                refusals.append(f"the repository answered {status} to {event['id']}")
        return "; ".join(refusals)

    def _events(self, body: bytes) -> list[Json]:
        events = events_of(entry_of(body), observer=self.observer, fhir_version=self.fhir_version)
        model = _model(_MODELS_R5 if self.fhir_version.startswith("5") else _MODELS_R4)
        for event in events:
            model.model_validate(event)
        return events


@cache
def _model(module: str) -> type[BaseModel]:
    """The model of one FHIR version, loaded when first needed: it takes seconds, and is no part of starting."""
    model: type[BaseModel] = import_module(module).AuditEvent
    return model


def fate_of(status: int) -> Fate:
    """What an HTTP status means for what was sent."""
    if 200 <= status <= 299:  # noqa: PLR2004  HTTP: success
        return Fate.TAKEN
    is_final = 400 <= status <= 499 and status not in _REPAIRABLE  # noqa: PLR2004  HTTP: client error
    return Fate.STUCK if is_final else Fate.AGAIN


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until `stop`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
