"""Decides a resource with inline labels: as a whole by its own labels, then each labelled element (DS4P; decisions §6).

An element is judged by the labels of the resource and its own, through the same voices as a resource with these labels. What the
caller may not see is cut out; the rest leaves. Laws: nothing leaves that would not leave in a resource of its labels;
a resource that is denied by its own labels is denied; one of which everything may be seen leaves untouched. Pure.
"""

from collections.abc import Callable
from dataclasses import replace

from proxy.decision.joint import permitted_together
from proxy.decision.model import Decision, Obligations, Reason, Redaction
from proxy.fhir.envelope import Envelope, Inline, Steps

CUT = "cut"
"""The operator that takes one element out, at its very place; where that cannot be done the resource is withheld."""


def decide_inline(
    envelope: Envelope, inline: Inline, decide: Callable[[Envelope], Decision]
) -> Decision:
    """The decision on a resource with labelled elements; `decide` judges one without."""
    whole = decide(envelope.labelled(inline.own))
    if not whole.permits:
        return whole
    judged = [(part, decide(envelope.labelled(inline.own | part.labels))) for part in inline.parts]
    shown = [whole, *(decision for _, decision in judged if decision.permits)]
    hidden = [(part, decision) for part, decision in judged if not decision.permits]
    joined = permitted_together(shown)
    cuts = frozenset(Redaction(CUT, path_of(envelope.type, part.steps)) for part, _ in hidden)
    return replace(
        joined,
        reasons=_each_once(whole, *(decision for _, decision in hidden)),
        obligations=joined.obligations | Obligations(cuts),
        consents=joined.consents.union(*(decision.consents for _, decision in hidden)),
        whose=joined.whose.union(*(decision.whose for _, decision in hidden)),
        evidence=whole.evidence,
    )


def _each_once(*decisions: Decision) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for one in decisions for reason in one.reasons))


def path_of(rtype: str, steps: Steps) -> str:
    """A place as a FHIRPath: `Observation.component[1].valueQuantity`."""
    written = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return rtype + "".join(written)


def cuts_of(decision: Decision) -> frozenset[str]:
    """The paths at which a decision cuts."""
    return frozenset(one.path for one in decision.obligations.redactions if one.operator == CUT)
