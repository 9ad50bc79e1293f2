"""A bounded cache of facts with single-flight: concurrent askers share one look-up, nobody shares a failure.

Laws: (1) an entry lives until the earlier of its time to live and the next instant at which it changes by itself;
(2) what was looked up before `invalidate` is never given to who asks after it; (3) a look-up that fails or is cancelled
is never kept, and whoever waited for it looks up alone; (4) time to live 0 shares only what is asked at the same instant.
Time is a callable, in seconds since the epoch.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Found(Generic[Value]):
    """What a look-up gave; `until` is when it changes by itself; `keep` is false where part of it is unknown."""

    value: Value
    until: float = float("inf")
    keep: bool = True


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    value: Value
    expires: float


@dataclass(frozen=True, slots=True, eq=False)
class _Flight(Generic[Value]):
    """A look-up under way; its answer is `None` when it did not come to an end."""

    started: float
    answer: "asyncio.Future[Found[Value] | None]"


class FactCache(Generic[Key, Value]):
    """Facts by key. `ttl` in seconds; at most `size` entries, the longest unused leaves first."""

    def __init__(self, ttl: float, size: int, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept[Value]] = OrderedDict()
        self._flights: dict[Key, _Flight[Value]] = {}

    async def get(
        self,
        keys: Collection[Key],
        look_up: Callable[[list[Key]], Awaitable[Mapping[Key, Found[Value]]]],
    ) -> dict[Key, Value]:
        """Give the value of every key; `look_up` is called for those that nobody knows or is looking up.

        A key that `look_up` does not answer is missing. What `look_up` raises is raised here, and only here.
        """
        known: dict[Key, Value] = {}
        wanted = list(dict.fromkeys(keys))
        while wanted:
            known |= self._fresh(wanted)
            wanted = [key for key in wanted if key not in known]
            joined = {key: self._flights[key] for key in wanted if self._is_shared(key)}
            own = [key for key in wanted if key not in joined]
            if own:
                found = await self._fly(own, look_up)
                known |= {key: one.value for key, one in found.items()}
            wanted = await self._join(joined, known)
        return known

    def invalidate(self, key: Key) -> None:
        """Forget a key, and whatever a look-up under way may still bring for it."""
        self._kept.pop(key, None)
        self._flights.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._flights.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def _fresh(self, keys: Collection[Key]) -> dict[Key, Value]:
        now = self._clock()
        fresh = {}
        for key in keys:
            kept = self._kept.get(key)
            if kept is not None and now < kept.expires:
                self._kept.move_to_end(key)
                fresh[key] = kept.value
        return fresh

    def _is_shared(self, key: Key) -> bool:
        flight = self._flights.get(key)
        return flight is not None and (self._ttl > 0 or flight.started == self._clock())

    async def _fly(
        self, keys: list[Key], look_up: Callable[[list[Key]], Awaitable[Mapping[Key, Found[Value]]]]
    ) -> Mapping[Key, Found[Value]]:
        loop = asyncio.get_running_loop()
        flights: dict[Key, _Flight[Value]] = {
            key: _Flight(self._clock(), loop.create_future()) for key in keys
        }
        self._flights |= flights
        found: Mapping[Key, Found[Value]] = {}
        try:
            found = await look_up(keys)
        finally:
            for key, flight in flights.items():
                self._land(key, flight, found.get(key))
        return found

    def _land(self, key: Key, flight: _Flight[Value], found: Found[Value] | None) -> None:
        """End a look-up. INVARIANT: one that was invalidated meanwhile is neither kept nor shared any more."""
        valid = self._flights.get(key) is flight
        if valid:
            del self._flights[key]
        if valid and found is not None and found.keep:
            self._keep(key, found, flight.started)
        if not flight.answer.done():
            flight.answer.set_result(found)

    def _keep(self, key: Key, found: Found[Value], started: float) -> None:
        expires = min(started + self._ttl, found.until)
        if expires <= self._clock():
            return
        self._kept[key] = _Kept(found.value, expires)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    async def _join(
        self, joined: Mapping[Key, _Flight[Value]], known: dict[Key, Value]
    ) -> list[Key]:
        """Wait for the look-ups of others; give the keys that did not come."""
        lost = []
        for key, flight in joined.items():
            # shielded: who waits and is cancelled must not cancel it for the others
            found = await asyncio.shield(flight.answer)
            if found is None:
                lost.append(key)
            else:
                known[key] = found.value
        return lost
