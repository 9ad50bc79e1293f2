"""Decides a Binary as the documents that have it as content are decided (Binary.securityContext; standards RW-9, T-78).

Every one of them must be permitted, and to be shown whole: what is redacted in a document may stand in its content. And so must the
Binary, as one that is all that a document of it says: whoever may read the documents need not be one who may read contents. Pure.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Reason, Verdict
from proxy.decision.terminology import RANK
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope

_LOWEST = -1
_ALTERED = Reason(
    "policy", Verdict.DENY, "Binary", "the document that has it as content is not shown whole"
)


def decide_held(envelope: Envelope, decide: Callable[[Envelope], Decision]) -> Decision:
    """The decision on a Binary that documents hold; `decide` judges a document, and a Binary that nobody is known to hold."""
    forms = (*envelope.holders, *(_content(envelope, holder) for holder in envelope.holders))
    decisions = [decide(one) for one in forms]
    for one in decisions:
        if not one.permits:
            return one
    joined: Obligations = NO_OBLIGATIONS
    for one in decisions:
        joined |= one.obligations
    if any(_alters(one.path, holder) for one in joined.redactions for holder in envelope.holders):
        return Decision(Effect.DENY, (_ALTERED,))
    return replace(
        decisions[0],
        reasons=tuple(dict.fromkeys(reason for one in decisions for reason in one.reasons)),
        obligations=joined,
        consents=frozenset().union(*(one.consents for one in decisions)),
        whose=frozenset().union(*(one.whose for one in decisions)),
        grants=tuple(dict.fromkeys(grant for one in decisions for grant in one.grants)),
        confidentiality=max(
            (one.confidentiality for one in decisions), key=lambda code: RANK.get(code, _LOWEST)
        ),
    )


def _content(envelope: Envelope, holder: Envelope) -> Envelope:
    """The Binary with all that one of its documents says."""
    return msgspec.structs.replace(
        holder.labelled(holder.labels), type=envelope.type, id=envelope.id, holding=envelope.holding
    )


def _alters(path: str, holder: Envelope) -> bool:
    """Whether a redaction is of a document, or of whatever there is."""
    return path.partition(".")[0] in (holder.type, "*")
