"""The Envelope: only what a decision needs of a resource; the letter stays closed (architecture §3)."""

from dataclasses import dataclass

from proxy.fhir.coding import Coding


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a decision reads of one resource. References are normalised (`Patient/x`).

    `patients` is `None` when it cannot be told whom the resource is about: then it is denied.
    `date` is the clinical date as written; `codes` every coding of the elements that say what it is.
    """

    type: str
    id: str
    version: str
    last_updated: str
    labels: frozenset[Coding]
    patients: frozenset[str] | None
    authors: frozenset[str]
    date: str
    codes: frozenset[Coding]
    profiles: frozenset[str]
    inline: bool
    """Whether inline security labels occur anywhere inside (DS4P)."""
    contained: frozenset[str] = frozenset()
    """Types of contained resources."""
