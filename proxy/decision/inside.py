"""Decides a resource that holds others as it and every one of them are decided (standards RW-10, T-68). Pure.

It leaves whole or not at all: what is taken out of a document, or altered in it, makes it another one, and breaks its signature.
"""

from collections.abc import Callable

from msgspec import structs

from proxy.decision.inline import cuts_of
from proxy.decision.joint import permitted_together
from proxy.decision.model import Decision, Reason, Verdict
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope

_ALTERED = Reason("policy", Verdict.DENY, "Bundle", "something in it is not shown whole")


def decide_inside(envelope: Envelope, decide: Callable[[Envelope], Decision]) -> Decision:
    """The decision on a Bundle; `decide` judges it without its content, and each resource in it."""
    own = structs.replace(envelope.labelled(envelope.labels), inside=())
    decisions = [decide(own), *map(decide, envelope.inside)]
    for one in decisions:
        if not one.permits:
            return one
    joined = permitted_together(decisions)
    if any(cuts_of(joined)):
        return Decision(Effect.DENY, (_ALTERED,))
    return joined
