"""Decides a resource with inline labels: as a whole by its own labels, then each labelled element (DS4P; decisions §6).

An element is judged by the labels of the resource and its own, through the same voices as a resource with these labels. What the
caller may not see is cut out; the rest leaves. Laws: nothing leaves that would not leave in a resource of its labels;
a resource that is denied by its own labels is denied; one of which everything may be seen leaves untouched. Pure.
"""

from collections.abc import Callable
from dataclasses import replace

from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Reason, Redaction
from proxy.decision.terminology import RANK
from proxy.fhir.envelope import Envelope, Inline, Part, Steps

CUT = "cut"
"""The operator that takes one element out, at its very place; where that cannot be done the resource is withheld."""

_LOWEST = -1


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
    return replace(
        whole,
        reasons=_each_once(whole, *(decision for _, decision in hidden)),
        obligations=_together(envelope.type, shown, [part for part, _ in hidden]),
        consents=frozenset().union(*(decision.consents for _, decision in judged), whole.consents),
        whose=frozenset().union(*(decision.whose for _, decision in judged), whole.whose),
        confidentiality=max(
            (one.confidentiality for one in shown), key=lambda code: RANK.get(code, _LOWEST)
        ),
        grants=tuple(dict.fromkeys(grant for one in shown for grant in one.grants)),
    )


def _each_once(*decisions: Decision) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for one in decisions for reason in one.reasons))


def _together(rtype: str, shown: list[Decision], hidden: list[Part]) -> Obligations:
    """What all that is shown obliges to, and the cuts."""
    joined = NO_OBLIGATIONS
    for one in shown:
        joined |= one.obligations
    cuts = frozenset(Redaction(CUT, path_of(rtype, part.steps)) for part in hidden)
    return joined | Obligations(cuts)


def path_of(rtype: str, steps: Steps) -> str:
    """A place as a FHIRPath: `Observation.component[1].valueQuantity`."""
    written = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return rtype + "".join(written)


def cuts_of(decision: Decision) -> frozenset[str]:
    """The paths at which a decision cuts."""
    return frozenset(one.path for one in decision.obligations.redactions if one.operator == CUT)
