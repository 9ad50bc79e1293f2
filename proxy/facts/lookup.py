"""Look-ups upstream: the port, and the budget that bounds how many one request may cause (threats T-211).

What an answer holds is not believed before it was checked: anything but resources of the type asked for makes the whole
answer unusable (T-190).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol, TypeAlias

import orjson

from proxy.errors import ProxyError
from proxy.facts.elements import Json
from proxy.facts.finding import FindingKind, Tell, untold
from proxy.fhir.codec import repeats
from proxy.fhir.coding import Identifier

CHUNK = 250
"""Patients, or ids, that one search asks for."""

Parameters = Sequence[tuple[str, str]]


class FhirReader(Protocol):
    """Port: searches upstream with the gateway's own rights."""

    async def search(self, resource_type: str, parameters: Parameters) -> list[bytes]:
        """Give all matching resources of all pages, each as its own bytes; `UpstreamError` if any page fails."""
        ...


_ASKED: ContextVar[Counter[str] | None] = ContextVar("asked", default=None)
"""Where the look-ups of the request at hand are counted. INVARIANT: nothing is ever decided by it, only made up for (T-227)."""


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts the look-ups made within, by resource type; what another request looks up and this one waits for is not counted."""
    asked: Counter[str] = Counter()
    token = _ASKED.set(asked)
    try:
        yield asked
    finally:
        _ASKED.reset(token)


def _count(resource_type: str) -> None:
    asked = _ASKED.get()
    if asked is not None:
        asked[resource_type] += 1


Ask: TypeAlias = Callable[[list[str]], Parameters]
"""Gives the search for some items."""
Sortable: TypeAlias = Callable[[list[Json]], bool]
"""Whether it can be told of everything in an answer whose it is."""


def _sortable(_: list[Json]) -> bool:
    return True


class Sifted(NamedTuple):
    """What was found, each part with the items it was asked for; and the items about which nothing could be found out."""

    parts: list[tuple[list[str], list[Json]]]
    failed: frozenset[str]

    @property
    def found(self) -> list[Json]:
        """All that was found."""
        return [one for _, part in self.parts for one in part]

    @classmethod
    def of(cls, sifted: Iterable["Sifted"]) -> "Sifted":
        """Several as one."""
        both = list(sifted)
        parts = [part for one in both for part in one.parts]
        return cls(parts, frozenset().union(*(one.failed for one in both)))


class Budget:
    """The look-ups of one call, `left` at most: a failed or unaffordable one gives `None`.

    Where a look-up for many fails, as many again may find out whose record it is that cannot be read.
    """

    def __init__(self, reader: FhirReader, left: int, tell: Tell = untold) -> None:
        self._reader = reader
        self._left = left
        self._again = left
        self.tell = tell
        self._answered: set[str] = set()

    @property
    def left(self) -> int:
        """How many look-ups there may still be."""
        return self._left

    async def search(self, resource_type: str, *parameters: tuple[str, str]) -> list[Json] | None:
        """Search, and believe only an answer of nothing but resources of this type."""
        if not self._affords(resource_type):
            return None
        answer = await self._ask(resource_type, parameters)
        if answer is None:
            self.tell(FindingKind.FAILED_LOOK_UP, resource_type)
        return answer

    async def by_id(self, resource_type: str, ids: Collection[str]) -> list[Json] | None:
        """Read resources by id, in chunks; the ids have no prefix. INVARIANT: no ids, no look-up (T-191)."""
        sifted = await self.each(resource_type, ids)
        return None if sifted.failed else [one for one in sifted.found if one.get("id") in ids]

    async def each(self, resource_type: str, ids: Collection[str]) -> Sifted:
        """Read resources by id likewise, and say which of them could not be asked about."""
        return Sifted.of(
            await asyncio.gather(
                *(self.sift(resource_type, chunk, _by_id) for chunk in chunks_of(sorted(ids)))
            )
        )

    async def sift(
        self, resource_type: str, items: list[str], ask: Ask, sortable: Sortable = _sortable
    ) -> Sifted:
        """Search for all items at once; where that fails, for halves, until those that make it fail stand alone.

        One patient's broken record must not hide the others that were asked about with it. An answer of which it
        cannot be told whose it is counts only where one item was asked about.
        """
        if not self._affords(resource_type):
            return Sifted([], frozenset(items))
        search = _Search(resource_type, ask, sortable)
        sifted = await self._judged(search, items, await self._ask(resource_type, ask(items)))
        if sifted.failed:
            whose = next(iter(sifted.failed)) if len(sifted.failed) == 1 else len(sifted.failed)
            self.tell(FindingKind.FAILED_LOOK_UP, f"{resource_type} of {whose}")
        return sifted

    async def _judged(
        self, search: "_Search", items: list[str], answer: list[Json] | None
    ) -> Sifted:
        alone = len(items) == 1
        if answer is not None and (alone or search.sortable(answer)):
            return Sifted([(items, answer)], frozenset())
        if alone or self._again <= 0:
            return Sifted([], frozenset(items))
        return await self._halved(search, items)

    async def _halved(self, search: "_Search", items: list[str]) -> Sifted:
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        answers = await asyncio.gather(*(self._asked_again(search, half) for half in halves))
        # Nothing of this type was ever answered: it is upstream that fails, and asking on would only burden it.
        if answers == [None, None] and search.resource_type not in self._answered:
            return Sifted([], frozenset(items))
        return Sifted.of(
            [
                await self._judged(search, half, answer)
                for half, answer in zip(halves, answers, strict=True)
            ]
        )

    async def _asked_again(self, search: "_Search", items: list[str]) -> list[Json] | None:
        if self._again <= 0:
            return None
        self._again -= 1
        return await self._ask(search.resource_type, search.ask(items))

    def _affords(self, resource_type: str) -> bool:
        if self._left <= 0:
            self.tell(FindingKind.UNAFFORDABLE_LOOK_UP, resource_type)
            return False
        self._left -= 1
        return True

    async def _ask(self, resource_type: str, parameters: Parameters) -> list[Json] | None:
        _count(resource_type)
        try:
            answer = _resources(await self._reader.search(resource_type, parameters), resource_type)
        except ProxyError:
            return None
        if answer is not None:
            self._answered.add(resource_type)
        return answer


class _Search(NamedTuple):
    """What is asked about items, however many."""

    resource_type: str
    ask: Ask
    sortable: Sortable


def _by_id(ids: list[str]) -> Parameters:
    return (("_id", ",".join(ids)),)


def chunks_of(items: list[str]) -> list[list[str]]:
    """Cut a list into what one search may ask for; nothing in, no chunk out."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def _resources(answer: Iterable[bytes], resource_type: str) -> list[Json] | None:
    """Read an answer; `None` where anything in it is not a resource of the type that was asked for.

    Nor may a member stand twice: another parser might read another patient, or another effect (threat T-153).
    """
    answer = list(answer)
    if any(map(repeats, answer)):
        return None
    try:
        found = [orjson.loads(one) for one in answer]
    except orjson.JSONDecodeError:
        return None
    right = all(isinstance(one, dict) and one.get("resourceType") == resource_type for one in found)
    return found if right else None


def token_of(identifier: Identifier) -> tuple[str, str]:
    """Give the search parameter that finds an identifier."""
    return "identifier", f"{escaped(identifier.system)}|{escaped(identifier.value)}"


def any_of(identifiers: Iterable[Identifier]) -> tuple[str, str]:
    """Give the search parameter that finds whatever has one of some identifiers."""
    return "identifier", ",".join(token_of(one)[1] for one in identifiers)


def escaped(text: str) -> str:
    """Escape a token value, so that commas, bars and dollars in it mean themselves (FHIR search, escaping)."""
    return "".join(f"\\{char}" if char in "\\,|$" else char for char in text)
