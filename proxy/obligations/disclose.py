"""Disclose: resources and their Decisions become what leaves, and the list of what was withheld or redacted.

A resource that is permitted with nothing to change leaves as the bytes it came as (promise 2). Resource, envelope and
Decision travel together as one value; two lists are never joined by position (style habit 10).
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from proxy.decision.inline import cuts_of
from proxy.decision.model import KEEP, Decision, Reason, Redaction, Verdict
from proxy.fhir.coding import Effect
from proxy.fhir.containers import CONTAINERS
from proxy.fhir.envelope import Envelope, UnreadableError
from proxy.obligations.cuts import steps_of, without_parts
from proxy.obligations.extensions import modifiers_in
from proxy.obligations.letter import Object, open_letter
from proxy.obligations.prune import prune
from proxy.obligations.redact import PseudonymKey, redact


class Judged(NamedTuple):
    """One resource as it came, with its envelope and Decision. Both are `None` where it could not be read."""

    raw: bytes | msgspec.Raw
    envelope: Envelope | None
    decision: Decision | None
    astray: frozenset[str] | None = None
    """References in it, as written, that lead nowhere for the caller (T-70); `None` = nobody has looked."""

    @property
    def permitted(self) -> bool:
        """Whether it may leave, after its obligations."""
        return self.decision is not None and self.decision.permits


class Disclosed(NamedTuple):
    """One resource that leaves: its bytes, the paths that were redacted, and those of references that were pruned."""

    body: bytes | msgspec.Raw
    redacted: tuple[str, ...]
    pruned: tuple[str, ...] = ()

    @property
    def altered(self) -> tuple[str, ...]:
        """All paths at which something was changed."""
        return tuple(sorted({*self.redacted, *self.pruned}))


def less_astray(judged: Judged) -> bytes:
    """A resource as it came, less the references that lead nowhere, with the rows that go with them: what a search may read of it."""
    raw = bytes(judged.raw)
    return prune(raw, judged.astray).body if judged.astray else raw


def disclose(judged: Judged, key: PseudonymKey) -> Disclosed:
    """What leaves of a permitted resource: redacted first, for cuts count what upstream sent; then pruned."""
    redacted = _redacted(judged, key)
    if not judged.astray:
        return redacted
    pruned = prune(bytes(redacted.body), judged.astray)
    if not pruned.paths:
        return redacted
    return Disclosed(pruned.body, redacted.redacted, pruned.paths)


def _redacted(judged: Judged, key: PseudonymKey) -> Disclosed:
    raw, envelope, decision = judged.raw, judged.envelope, judged.decision
    if envelope is None or decision is None or not decision.permits:
        raise ValueError("only a permitted resource is disclosed")
    if not decision.obligations.redactions:
        return Disclosed(raw, ())
    data = bytes(raw)
    redactions = applying(decision.obligations.redactions, envelope.type, data)
    if not redactions:
        return Disclosed(raw, ())
    redacted = redact(data, redactions, key)
    return Disclosed(redacted.body, redacted.paths)


ILLEGIBLE = Decision(
    Effect.DENY,
    (
        Reason(
            "policy", Verdict.UNKNOWN, "redact", "what must be redacted cannot be read or cut out"
        ),
    ),
)
"""The decision on a resource whose letter does not open, or from which something cannot be cut."""


def illegible(judged: Judged) -> bool:
    """Whether something must be redacted in a resource that cannot be read whole, or cut where it must be there; then it is withheld."""
    raw, envelope, decision = judged.raw, judged.envelope, judged.decision
    if envelope is None or decision is None or not decision.obligations.redactions:
        return False
    data = bytes(raw)
    redactions = applying(decision.obligations.redactions, envelope.type, data)
    if not redactions:
        return False
    try:
        tree = open_letter(data)
        without_parts(tree, map(steps_of, cuts_of(decision)))
        return _is_shut(envelope, tree, data, redactions)
    except (UnreadableError, RecursionError):
        return True


def _is_shut(
    envelope: Envelope, tree: Object, data: bytes, redactions: frozenset[Redaction]
) -> bool:
    """Whether something would be redacted in what leaves whole or not at all (T-68), or whose meaning is changed in an unknown way (T-75)."""
    kept = frozenset(one.argument for one in redactions if one.operator == KEEP)
    if not envelope.inside and kept.issuperset(modifiers_in(tree)):
        return False
    return bool(redact(data, redactions, _TRIAL).paths)


_TRIAL = PseudonymKey(b"whether anything is redacted, not to what")


_TELLING = (".name", ".identifier")
"""Elements of another resource that a reference to it may repeat, as `display` or `identifier` (T-76)."""


def applying(redactions: Iterable[Redaction], rtype: str, raw: bytes) -> frozenset[Redaction]:
    """The redactions that may find something in a resource: its own, and those of others that it contains or names."""
    heads = (rtype + ".", "*.")
    escaped = b"\\" in raw
    contains = escaped or rtype in CONTAINERS or b'"contained"' in raw
    names = escaped or b'"display"' in raw or b'"identifier"' in raw
    found = frozenset(
        one
        for one in redactions
        if contains
        or one.operator == KEEP
        or one.path.startswith(heads)
        or (names and one.path.endswith(_TELLING))
    )
    return found if any(one.operator != KEEP for one in found) else frozenset()
