"""Gives resources the labels of the documents they were made from, before anything is decided (decisions §6).

A Binary is decided as the documents that have it as content (RW-9); one that no document is known to hold belongs to nobody.
"""

from collections.abc import Mapping, Sequence

from proxy.enforcement.house import DocumentSource
from proxy.facts.documents import Reading
from proxy.facts.elements import Json
from proxy.fhir.coding import Coding
from proxy.fhir.envelope import Envelope

UNKNOWN = frozenset({Coding("", "document")})
"""Stands for the labels of a document that cannot be told: a label nobody knows, which denies."""


async def heirs(
    envelopes: Sequence[Envelope | None],
    documents: DocumentSource,
    reading: Reading,
    holding: dict[str, tuple[Json, ...]],
) -> list[Envelope | None]:
    """The envelopes, each with the labels of the documents it was made from; a Binary with the documents that hold it.

    `holding`: what the request knows already of the documents that hold a Binary; it grows.
    """
    sources = frozenset(source for one in envelopes if one is not None for source in one.sources)
    binaries = frozenset(one.reference for one in envelopes if one is not None and _is_binary(one))
    missing = binaries - holding.keys()
    if missing:
        holding |= await documents.holding(missing)
    known = await documents.labels(sources, reading) if sources else {}
    held = {one: holding.get(one, ()) for one in binaries}
    holders = await documents.holders(held, reading) if held else {}
    return [one and _heir(one, known, holders) for one in envelopes]


def _is_binary(envelope: Envelope) -> bool:
    return envelope.type == "Binary" and bool(envelope.id)


def _heir(
    envelope: Envelope,
    known: Mapping[str, frozenset[Coding] | None],
    holders: Mapping[str, tuple[Envelope, ...]],
) -> Envelope:
    if envelope.sources:
        labels = (_or_unknown(known.get(source)) for source in envelope.sources)
        envelope = envelope.inheriting(frozenset().union(*labels))
    if _is_binary(envelope):
        own = (one.inheriting(envelope.labels) for one in holders.get(envelope.reference, ()))
        return envelope.held_by(tuple(own))
    return envelope


def _or_unknown(labels: frozenset[Coding] | None) -> frozenset[Coding]:
    return UNKNOWN if labels is None else labels
