"""The Bundle of a document (https://hl7.org/fhir/R4/documents.html, bundle.html#document): a Composition, then what it is made of.

A document is identified once and for all (bdl-9), says when it was put together (bdl-10) and begins with its Composition (bdl-11).
Resources are joined in as the bytes they came as. Pure.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from proxy.fhir.bundle import security_of
from proxy.fhir.coding import Coding

URI = "urn:ietf:rfc:3986"
"""The system of identifiers that are URIs (https://hl7.org/fhir/R4/terminologies-systems.html)."""


class Part(NamedTuple):
    """One entry: its `fullUrl`, and the resource's bytes."""

    url: str
    resource: bytes | msgspec.Raw


def document_of(
    name: str, timestamp: str, parts: Iterable[Part], labels: Iterable[Coding] = ()
) -> bytes:
    """The bytes of a document. `name` is its URI, `timestamp` a FHIR instant; the first part is the Composition."""
    head = b'{"resourceType":"Bundle"%b,"identifier":%b,"type":"document","timestamp":%b,"entry":[' % (
        security_of(labels),
        msgspec.json.encode({"system": URI, "value": name}),
        msgspec.json.encode(timestamp),
    )  # fmt: skip
    entries = (
        b'{"fullUrl":%b,"resource":%b}' % (msgspec.json.encode(one.url), bytes(one.resource))
        for one in parts
    )
    return head + b",".join(entries) + b"]}"
