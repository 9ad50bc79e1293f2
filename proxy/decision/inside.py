"""Decides a resource that holds others as it and every one of them are decided (standards RW-10, T-68). Pure.

It leaves whole or not at all: what is taken out of a document, or altered in it, makes it another one, and breaks its signature.
"""

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Reason, Verdict
from proxy.decision.terminology import RANK
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope

_ALTERED = Reason("policy", Verdict.DENY, "Bundle", "something in it is not shown whole")
_LOWEST = -1


def decide_inside(envelope: Envelope, decide: Callable[[Envelope], Decision]) -> Decision:
    """The decision on a Bundle; `decide` judges it without its content, and each resource in it."""
    own = structs.replace(envelope.labelled(envelope.labels), inside=())
    decisions = [decide(own), *map(decide, envelope.inside)]
    for one in decisions:
        if not one.permits:
            return one
    joined: Obligations = NO_OBLIGATIONS
    for one in decisions:
        joined |= one.obligations
    if joined.redactions:
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
