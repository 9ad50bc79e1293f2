"""The labels of documents that resources were made from (decisions §6): looked up in batches, kept for a while.

Laws: (1) no exception leaves `labels`; a document that cannot be read, found or told has none, and that denies; (2) what is
unknown is never kept; (3) the number of look-ups is bounded. A document that was itself made from another has its labels too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from proxy.facts.cache import FactCache, Found
from proxy.facts.elements import Json
from proxy.facts.lookup import Budget, FhirReader, chunks_of
from proxy.fhir.coding import Coding
from proxy.fhir.envelope import Envelope, UnreadableError
from proxy.fhir.links import reference_of
from proxy.fhir.sources import DOCUMENTS

Labels = frozenset[Coding]

MOST_REMOVED = 3
"""Documents between a resource and the one whose labels it inherits; beyond that they are unknown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How documents are read: their envelopes, and what the labelling rules in force, of this digest, add for their codes."""

    read: Callable[[bytes], Envelope]
    labels_of: Callable[[Collection[Coding]], Labels]
    digest: str


Holding: TypeAlias = Mapping[str, tuple[Json, ...]]
"""The documents, as they came, that have each Binary (`Binary/id`) as content."""

HoldingCache: TypeAlias = FactCache[str, tuple[Json, ...]]
_MOST_KEPT = 5
"""Documents of one Binary that are kept; of more the Binary is asked for again."""

DocumentCache: TypeAlias = FactCache[tuple[str, str], Envelope | None]
"""Documents by the digest of the policies that said what to read of them, and `Type/id`."""


class Documents:
    """Gives labels of documents."""

    def __init__(
        self,
        reader: FhirReader,
        cache: DocumentCache,
        max_lookups: int,
        holding: HoldingCache,
        bases: tuple[str, ...] = (),
    ) -> None:
        self._reader = reader
        self._cache = cache
        self._max_lookups = max_lookups
        self._bases = bases
        self._holding = holding

    async def labels(
        self, references: Collection[str], reading: Reading
    ) -> Mapping[str, Labels | None]:
        """The labels of each document (`Type/id`) and of those it was made from; `None` where they are unknown."""
        known: dict[str, Envelope | None] = {}
        asked = frozenset(references)
        for _ in range(MOST_REMOVED):
            missing = asked - known.keys()
            if not missing:
                break
            known |= await self._documents(missing, reading)
            asked = frozenset(source for one in known.values() if one for source in one.sources)
        told: _Told = {}
        return {one: _inherited(one, MOST_REMOVED, known, reading, told) for one in references}

    async def holding(self, binaries: Collection[str]) -> Holding:
        """The DocumentReferences that have each Binary (`Binary/id`) as content; none where there is none, or it is unknown."""
        budget = Budget(self._reader, self._max_lookups)
        held: dict[str, list[Json]] = {one: [] for one in binaries}
        for chunk in chunks_of(sorted(binaries)):
            found = await budget.search("DocumentReference", ("location", self._spelled(chunk)))
            for document in found or ():
                for binary in self._contents(document) & frozenset(chunk):
                    held[binary].append(document)
        return {one: tuple(some) for one, some in held.items()}

    async def kept_holding(self, binaries: Collection[str]) -> Holding:
        """The same, as it may have been for a while: for what leads to a Binary, not for the Binary itself."""

        async def look_up(wanted: list[str]) -> Mapping[str, Found[tuple[Json, ...]]]:
            found = await self.holding(wanted)
            return {one: Found(some, keep=len(some) <= _MOST_KEPT) for one, some in found.items()}

        return await self._holding.get(binaries, look_up)

    async def holders(
        self, holding: Holding, reading: Reading
    ) -> Mapping[str, tuple[Envelope, ...]]:
        """The same documents with all labels, those that they inherit too; none for what they cannot be told of."""
        held = {one: _all(some, reading) for one, some in holding.items()}
        sources = {source for some in held.values() for one in some for source in one.sources}
        known = await self.labels(sources, reading) if sources else {}
        return {one: _heirs(some, known) for one, some in held.items()}

    def _spelled(self, binaries: list[str]) -> str:
        """Every URL under which a document may name them."""
        return ",".join(
            url for one in binaries for url in (one, *(f"{base}/{one}" for base in self._bases))
        )

    def _contents(self, document: Json) -> frozenset[str]:
        """What a DocumentReference has as content, as `Type/id`."""
        contents = document.get("content")
        urls = (
            one["attachment"].get("url")
            for one in (contents if isinstance(contents, list) else ())
            if isinstance(one, dict) and isinstance(one.get("attachment"), dict)
        )
        named = (reference_of(url, self._bases) for url in urls if isinstance(url, str))
        return frozenset(one for one in named if one)

    async def _documents(
        self, references: frozenset[str], reading: Reading
    ) -> Mapping[str, Envelope | None]:
        async def look_up(
            keys: list[tuple[str, str]],
        ) -> Mapping[tuple[str, str], Found[Envelope | None]]:
            found = await self._found([reference for _, reference in keys], reading)
            return {key: Found(found.get(key[1]), keep=key[1] in found) for key in keys}

        keys = [(reading.digest, one) for one in references]
        return {key[1]: found for key, found in (await self._cache.get(keys, look_up)).items()}

    async def _found(self, references: list[str], reading: Reading) -> dict[str, Envelope]:
        budget = Budget(self._reader, self._max_lookups)
        found: dict[str, Envelope] = {}
        for kind in sorted(DOCUMENTS):
            sifted = await budget.each(kind, frozenset(_ids_of(kind, references)))
            found |= {one.reference: one for one in _envelopes(sifted.found, reading)}
        return found


def _envelopes(resources: Iterable[Json], reading: Reading) -> Iterator[Envelope]:
    """Those that can be read."""
    for resource in resources:
        try:
            yield reading.read(orjson.dumps(resource))
        except UnreadableError:
            continue


def _all(resources: Collection[Json], reading: Reading) -> list[Envelope]:
    """All of them, or none where one cannot be read or named: it might close what the others open."""
    read = [one for one in _envelopes(resources, reading) if one.id]
    return read if len(read) == len(resources) else []


_Told: TypeAlias = dict[tuple[str, int], Labels | None]
"""Labels of documents, by how many more may stand between."""


def _inherited(
    reference: str, left: int, known: Mapping[str, Envelope | None], reading: Reading, told: _Told
) -> Labels | None:
    """The labels of a document with those of its sources, `left` of them deep at most, whatever else is known; each told once."""
    key = (reference, left)
    if key not in told:
        document = known.get(reference)
        found = [document.labels | reading.labels_of(document.codes)] if document and left else None
        for source in document.sources if document and found else ():
            more = _inherited(source, left - 1, known, reading, told)
            found = None if found is None or more is None else [*found, more]
        told[key] = None if found is None else frozenset().union(*found)
    return told[key]


def _ids_of(kind: str, keys: list[str]) -> Iterator[str]:
    return (own for own_kind, _, own in (key.partition("/") for key in keys) if own_kind == kind)


def _heirs(
    documents: Iterable[Envelope], known: Mapping[str, Labels | None]
) -> tuple[Envelope, ...]:
    """The documents with the labels that they inherit; none at all where those of one are unknown."""
    heirs = []
    for document in documents:
        told = [known.get(source) for source in document.sources]
        if None in told:
            return ()
        heirs.append(document.inheriting(frozenset().union(*filter(None, told))))
    return tuple(heirs)
