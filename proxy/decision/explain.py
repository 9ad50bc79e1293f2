"""Explanations: a Decision with what stands behind it, for an authorised reviewer and never for the caller (decisions §8).

Nothing here decides: the Decision is the one that was made. Each reason gets the place and the legal basis of its rule,
each label its origin, each refusal what would change it. Pure.
"""

from dataclasses import dataclass

from proxy.decision.case import Case
from proxy.decision.changes import Change, changes_of_request, changes_of_resource
from proxy.decision.decide import decide_request
from proxy.decision.labels import LabelOrigin, label_origins
from proxy.decision.model import Decision, Reason
from proxy.facts.model import Facts
from proxy.fhir.envelope import Envelope, Resource, UnreadableError
from proxy.fhir.label_places import label_places
from proxy.policy.model import PolicySet


@dataclass(frozen=True, slots=True)
class Because:
    """One reason. `place` is `file:line` of a rule, `basis` its legal or organisational source; empty for other voices.

    `campaign` is the one within which alone the rule is in force, `until` its last day or instant as the policy says it.
    In a permit, a reason whose verdict is `deny` was lifted.
    """

    voice: str
    verdict: str
    source: str
    sentence: str
    place: str = ""
    basis: str = ""
    campaign: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One Decision, explained. `demands` are the redactions that a resource of this type is under, as `operator path`.

    `warns`: what the reader is told with the data; `notifies`: who is told of the access, and by which rule.
    """

    effect: str
    reasons: tuple[Because, ...]
    labels: tuple[LabelOrigin, ...] = ()
    demands: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    warns: tuple[str, ...] = ()
    notifies: tuple[str, ...] = ()


UNREADABLE = Explanation(
    "deny", (Because("resource", "unknown", "", "what upstream sent cannot be read as a resource"),)
)
"""Of an entry that is no resource."""


def explain_request(case: Case, rtype: str, *, granted: bool = False) -> Explanation:
    """May a request for this type of resource go up, and why; `granted` as in `decide_request`."""
    decision = decide_request(case, rtype, granted=granted)
    reasons = _reasons(decision, case.compiled.policies)
    changes = () if decision.permits else changes_of_request(case, rtype)
    return Explanation(decision.effect.value, reasons, changes=changes)


def explain_resource(
    case: Case, raw: Resource, envelope: Envelope, decision: Decision, changes: tuple[Change, ...]
) -> Explanation:
    """Why one resource leaves or not. `changes` are those of `changes_that_permit`."""
    policies = case.compiled.policies
    try:
        places = label_places(raw)
    except UnreadableError:
        places = {}
    return Explanation(
        decision.effect.value,
        _reasons(decision, policies),
        label_origins(envelope, policies, places),
        _demands(decision, envelope.type),
        changes,
        tuple(sorted(decision.obligations.warn)),
        tuple(f"{recipient} by {rule}" for recipient, rule in sorted(decision.obligations.notify)),
    )


def _demands(decision: Decision, rtype: str) -> tuple[str, ...]:
    """The redactions that a resource of this type is under."""
    heads = (f"{rtype}.", "*.")
    return tuple(
        " ".join(filter(None, (one.operator, one.path, one.argument)))
        for one in sorted(decision.obligations.redactions)
        if one.path.startswith(heads)
    )


def changes_that_permit(
    case: Case, envelope: Envelope, decision: Decision, facts: Facts, rtype: str
) -> tuple[Change, ...]:
    """What would change a refusal in the answer to a request for `rtype`; nothing would change a permit."""
    return () if decision.permits else changes_of_resource(case, envelope, facts, rtype)


def _reasons(decision: Decision, policies: PolicySet) -> tuple[Because, ...]:
    return tuple(dict.fromkeys(_because(reason, policies) for reason in decision.reasons))


def _because(reason: Reason, policies: PolicySet) -> Because:
    place = policies.places.get(reason.source) if reason.voice == "policy" else None
    campaign = policies.campaigns.get(reason.source) if reason.voice == "policy" else None
    return Because(
        reason.voice,
        reason.verdict.value,
        reason.source,
        reason.sentence,
        f"{place[0]}:{place[1]}" if place else "",
        policies.sources.get(reason.source, "") if place else "",
        campaign.id if campaign else "",
        campaign.until if campaign else "",
    )
