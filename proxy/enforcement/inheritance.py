"""Gives resources the labels of the documents they were made from, before anything is decided (decisions §6)."""

from collections.abc import Sequence

from proxy.enforcement.house import DocumentSource
from proxy.facts.documents import Reading
from proxy.fhir.coding import Coding
from proxy.fhir.envelope import Envelope

UNKNOWN = frozenset({Coding("", "document")})
"""Stands for the labels of a document that cannot be told: a label nobody knows, which denies."""


async def heirs(
    envelopes: Sequence[Envelope | None], documents: DocumentSource, reading: Reading
) -> list[Envelope | None]:
    """The envelopes, each with the labels of the documents it was made from; one look-up for all of them."""
    sources = frozenset(source for one in envelopes if one is not None for source in one.sources)
    if not sources:
        return list(envelopes)
    known = await documents.labels(sources, reading)
    return [
        one.inheriting(
            frozenset().union(*(_or_unknown(known.get(source)) for source in one.sources))
        )
        if one is not None and one.sources
        else one
        for one in envelopes
    ]


def _or_unknown(labels: frozenset[Coding] | None) -> frozenset[Coding]:
    return UNKNOWN if labels is None else labels
