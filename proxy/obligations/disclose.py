"""Disclose: resources and their Decisions become what leaves, and the list of what was withheld or redacted.

A resource that is permitted with nothing to change leaves as the bytes it came as (promise 2). Resource, envelope and
Decision travel together as one value; two lists are never joined by position (style habit 10).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.decision.model import Decision, Redaction
from proxy.fhir.envelope import Envelope
from proxy.obligations.redact import PseudonymKey, redact


@dataclass(frozen=True, slots=True)
class Judged:
    """One resource as it came, with its envelope and Decision. Both are `None` where it could not be read."""

    raw: bytes
    envelope: Envelope | None
    decision: Decision | None

    @property
    def permitted(self) -> bool:
        """Whether it may leave, after its obligations."""
        return self.decision is not None and self.decision.permits


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One resource that leaves: its bytes, and the paths that were redacted."""

    body: bytes
    redacted: tuple[str, ...]


def disclose(judged: Judged, key: PseudonymKey) -> Disclosed:
    """What leaves of a permitted resource."""
    if judged.envelope is None or judged.decision is None or not judged.permitted:
        raise ValueError("only a permitted resource is disclosed")
    redactions = applying(judged.decision.obligations.redactions, judged.envelope.type)
    if not redactions:
        return Disclosed(judged.raw, ())
    redacted = redact(judged.raw, redactions, key)
    return Disclosed(redacted.body, redacted.paths)


def applying(redactions: Iterable[Redaction], rtype: str) -> frozenset[Redaction]:
    """The redactions whose path begins with this type or with `*`."""
    heads = (rtype + ".", "*.")
    return frozenset(redaction for redaction in redactions if redaction.path.startswith(heads))


def by_reference(entries: Iterable[Judged]) -> Mapping[str, Judged]:
    """Readable resources by `Type/id`; of two with one id the first counts."""
    found: dict[str, Judged] = {}
    for one in entries:
        if one.envelope is not None:
            found.setdefault(one.envelope.reference, one)
    return found
