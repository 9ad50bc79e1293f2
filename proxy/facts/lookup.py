"""Look-ups upstream: the port, and the budget that bounds how many one request may cause (threats T-211).

What an answer holds is not believed before it was checked: anything but resources of the type asked for makes the whole
answer unusable (T-190).
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import orjson

from proxy.errors import ProxyError
from proxy.facts.elements import Json
from proxy.fhir.coding import Identifier

CHUNK = 250
"""Patients, or ids, that one search asks for."""

Parameters = Sequence[tuple[str, str]]


class FhirReader(Protocol):
    """Port: searches upstream with the gateway's own rights."""

    async def search(self, resource_type: str, parameters: Parameters) -> list[bytes]:
        """Give all matching resources of all pages, each as its own bytes; `UpstreamError` if any page fails."""
        ...


class Budget:
    """The look-ups of one call, `left` at most: a failed or unaffordable one gives `None`."""

    def __init__(self, reader: FhirReader, left: int) -> None:
        self._reader = reader
        self._left = left

    @property
    def left(self) -> int:
        """How many look-ups there may still be."""
        return self._left

    async def search(self, resource_type: str, *parameters: tuple[str, str]) -> list[Json] | None:
        """Search, and believe only an answer of nothing but resources of this type."""
        if self._left <= 0:
            return None
        self._left -= 1
        try:
            answer = await self._reader.search(resource_type, parameters)
        except ProxyError:
            return None
        return _resources(answer, resource_type)

    async def by_id(self, resource_type: str, ids: Collection[str]) -> list[Json] | None:
        """Read resources by id, in chunks; the ids have no prefix. INVARIANT: no ids, no look-up (T-191)."""
        asking = [
            self.search(resource_type, ("_id", ",".join(chunk))) for chunk in chunks_of(sorted(ids))
        ]
        answers = await asyncio.gather(*asking)
        found = [one for answer in answers for one in answer or () if one.get("id") in ids]
        return None if None in answers else found


def chunks_of(items: list[str]) -> list[list[str]]:
    """Cut a list into what one search may ask for; nothing in, no chunk out."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def _resources(answer: Iterable[bytes], resource_type: str) -> list[Json] | None:
    """Read an answer; `None` where anything in it is not a resource of the type that was asked for."""
    try:
        found = [orjson.loads(one) for one in answer]
    except orjson.JSONDecodeError:
        return None
    right = all(isinstance(one, dict) and one.get("resourceType") == resource_type for one in found)
    return found if right else None


def token_of(identifier: Identifier) -> tuple[str, str]:
    """Give the search parameter that finds an identifier."""
    return "identifier", f"{escaped(identifier.system)}|{escaped(identifier.value)}"


def escaped(text: str) -> str:
    """Escape a token value, so that commas, bars and dollars in it mean themselves (FHIR search, escaping)."""
    return "".join(f"\\{char}" if char in "\\,|$" else char for char in text)
