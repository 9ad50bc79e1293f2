"""The resources that references lead to, read in batches by id and kept for a while (threat T-70).

Laws: (1) what is not there is kept like what is there, so that the one costs what the other costs; (2) what could not be read is
not kept, and stands for what is not there; (3) the number of look-ups is bounded; (4) no exception leaves `bodies`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

import orjson

from proxy.facts.cache import FactCache, Found
from proxy.facts.elements import Json
from proxy.facts.finding import Tell, untold
from proxy.facts.lookup import Ask, Budget, FhirReader, Parameters

MOST_ASKED = 500
"""Ids that one search asks for."""
_LARGEST_KEPT = 50_000
"""Bytes of a resource that is kept; a larger one is read again."""

SUBSETTED = "SUBSETTED"

TargetCache: TypeAlias = FactCache[str, bytes]
"""Resources by `Type/id`; empty where there is none."""


class Targets:
    """Reads the resources that references lead to, with the gateway's own rights."""

    def __init__(self, reader: FhirReader, cache: TargetCache) -> None:
        self._reader = reader
        self._cache = cache

    async def bodies(
        self, references: Collection[str], most: int, tell: Tell = untold
    ) -> Mapping[str, bytes]:
        """The resource of each reference (`Type/id`), in at most `most` look-ups; missing where there is none or it is unknown."""

        async def look_up(wanted: list[str]) -> Mapping[str, Found[bytes]]:
            budget = Budget(self._reader, most, tell)
            found: dict[str, Found[bytes]] = {}
            for kind, ids in _asked(wanted):
                found |= await _read(budget, kind, ids)
            return found

        known = await self._cache.get(sorted(references), look_up)
        return {reference: body for reference, body in known.items() if body}

    def forget(self) -> None:
        """Forget everything, after a write."""
        self._cache.clear()


async def _read(budget: Budget, kind: str, ids: list[str]) -> dict[str, Found[bytes]]:
    """What one search for resources of a type by id brings; what was asked for and cannot be told is missing."""
    sifted = await budget.sift(kind, ids, _WAYS.get(kind, _by_id))
    bodies = {str(one.get("id")): orjson.dumps(_as_whole(kind, one)) for one in sifted.found}
    read = {own: bodies.get(own, b"") for own in ids if own not in sifted.failed}
    return {
        f"{kind}/{own}": Found(body, keep=len(body) <= _LARGEST_KEPT) for own, body in read.items()
    }


def _asked(references: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Types and ids to be searched, the type that is named most often first: where look-ups run out the fewest are lost."""
    kinds = Counter(one.partition("/")[0] for one in references)
    for kind, _ in sorted(kinds.items(), key=lambda one: (-one[1], one[0])):
        ids = [one.partition("/")[2] for one in references if one.startswith(kind + "/")]
        for start in range(0, len(ids), MOST_ASKED):
            yield kind, ids[start : start + MOST_ASKED]


def _by_id(ids: list[str]) -> Parameters:
    return (("_id", ",".join(ids)),)


def _without_content(ids: list[str]) -> Parameters:
    """All of a Binary that decides on it: its content may be large, and a reference to it needs none of it."""
    return (*_by_id(ids), ("_elements", "id,meta,contentType,securityContext"))


_WAYS: Mapping[str, Ask] = {"Binary": _without_content}


def _as_whole(kind: str, found: Json) -> Json:
    """What was asked for in part on purpose, without the tag that says so: else it would count as unreadable (T-51)."""
    meta = found.get("meta")
    if kind not in _WAYS or not isinstance(meta, dict) or not isinstance(meta.get("tag"), list):
        return found
    tags = [one for one in meta["tag"] if not isinstance(one, dict) or one.get("code") != SUBSETTED]
    return {**found, "meta": {**meta, "tag": tags}}
