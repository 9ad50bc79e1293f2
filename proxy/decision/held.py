"""Decides a Binary as the documents that have it as content are decided (Binary.securityContext; standards RW-9, T-78).

Every one of them must be permitted, and to be shown whole: what is redacted in a document may stand in its content. And so must the
Binary, as one that is all that a document of it says: whoever may read the documents need not be one who may read contents. Pure.
"""

from collections.abc import Callable

import msgspec

from proxy.decision.joint import permitted_together
from proxy.decision.model import Decision, Reason, Verdict
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope

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
    joined = permitted_together(decisions)
    redacted = joined.obligations.redactions
    if any(_alters(one.path, holder) for one in redacted for holder in envelope.holders):
        return Decision(Effect.DENY, (_ALTERED,))
    return joined


def _content(envelope: Envelope, holder: Envelope) -> Envelope:
    """The Binary with all that one of its documents says."""
    return msgspec.structs.replace(
        holder.labelled(holder.labels), type=envelope.type, id=envelope.id, holding=envelope.holding
    )


def _alters(path: str, holder: Envelope) -> bool:
    """Whether a redaction is of a document, or of whatever there is."""
    return path.partition(".")[0] in (holder.type, "*")
