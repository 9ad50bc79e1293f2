"""Decide: may a request go up, may a resource leave (XACML PDP). Total: any input gives a Decision with its reasons.

`decide_request` judges what can be known before any patient's data are read; `decide_resource` one resource. Both
memoise in their case what `voices` combined.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf

from proxy.decision.case import Case, Kept
from proxy.decision.combine import reason_of
from proxy.decision.delegation import within
from proxy.decision.held import decide_held
from proxy.decision.inline import decide_inline
from proxy.decision.inside import decide_inside
from proxy.decision.model import Decision, Reason, Verdict
from proxy.decision.residual import unhonoured
from proxy.decision.rules import (
    CompiledRule,
    speaks_of,
)
from proxy.decision.voices import authorship, judge
from proxy.facts.grant import NO_GRANTS, Grant, grants_for, holder_of
from proxy.facts.model import Facts, PatientFacts
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope, Matter


def decide_request(case: Case, rtype: str, *, granted: bool = False) -> Decision:
    """May a request for this type of resource go up at all? Reads no patient's data (decisions §8, third row).

    `granted`: the caller holds an open break-glass grant, so that what may be under a grant is enough.
    """
    known = case.admitted.get(rtype)
    if known is None:
        known = case.admitted[rtype] = _admission(case, rtype)
    if known.permits and case.behind is not None:
        return decide_request(case.behind, rtype)
    if granted and not known.permits and case.emergency is not None:
        under = decide_request(case.emergency, rtype)
        return under if under.permits else known
    return known


def _admission(case: Case, rtype: str) -> Decision:
    denied = [
        *unhonoured(case.principal, case.closure),
        *_outside_scopes(case, rtype),
        *_shut_out(case, rtype),
    ]
    if denied:
        return Decision(Effect.DENY, tuple(denied))
    if not any(_opens(case, one.rule, rtype) for one in case.permits):
        silence = Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this to the caller")
        return Decision(Effect.DENY, (silence,))
    return Decision(Effect.PERMIT)


def _outside_scopes(case: Case, rtype: str) -> Iterator[Reason]:
    if not case.principal.scopes.covers(case.interaction, rtype):
        yield Reason("scope", Verdict.DENY, rtype, "no scope of the token covers this interaction")


def _shut_out(case: Case, rtype: str) -> Iterator[Reason]:
    """Denies that hold whatever the resource is, and that no standing permit could lift."""
    liftable = frozenset().union(*(one.rule.lifts for one in case.permits))
    for one in case.denies:
        rule = one.rule
        if not rule.reaches_resources and (rule.absolute or rule.tag not in liftable):
            yield reason_of(one)


def _opens(case: Case, rule: CompiledRule, rtype: str) -> bool:
    """Whether a standing permit may permit resources of this type."""
    return (not rule.types or rtype in rule.types) and speaks_of(case.interaction, rule)


_MOST_KEPT = 2_000


def decide_resource(case: Case, envelope: Envelope, facts: Facts) -> Decision:
    """May this resource leave to this caller, and under which obligations?

    Ordinarily first; only what that denies is judged under the caller's break-glass grants, where every patient has one.
    """
    if envelope.holders:
        return decide_held(envelope, lambda holder: decide_resource(case, holder, facts))
    if envelope.inside:
        return decide_inside(envelope, lambda one: decide_resource(case, one, facts))
    if envelope.inline is not None:
        return decide_inline(
            envelope, envelope.inline, lambda plain: decide_resource(case, plain, facts)
        )
    own = _to_the_caller(case, envelope, facts)
    if case.behind is None or not own.permits:
        return own
    behind = case.behind
    theirs = decide_resource(
        behind, envelope, replace(facts, closure=behind.closure, grants=NO_GRANTS)
    )
    return within(case, own, theirs)


def _to_the_caller(case: Case, envelope: Envelope, facts: Facts) -> Decision:
    """The decision on the one who makes the request."""
    ordinary = _remembered(case, envelope, facts, (), partial(judge, case, envelope, facts))
    if ordinary.permits or case.emergency is None or not facts.grants:
        return ordinary
    holder = holder_of(case.principal)
    grants = grants_for(envelope.patients or (), facts.grants, holder, facts.now)
    if not grants:
        return ordinary
    emergency = partial(_in_emergency, case.emergency, envelope, facts, grants, ordinary)
    return _remembered(case.emergency, envelope, facts, grants, emergency)


def _in_emergency(
    case: Case, envelope: Envelope, facts: Facts, grants: tuple[Grant, ...], ordinary: Decision
) -> Decision:
    """The decision under grants; where that denies too, the ordinary denial with the reasons of both."""
    decision = judge(case, envelope, facts)
    if decision.permits:
        return replace(decision, grants=grants)
    return replace(ordinary, reasons=(*ordinary.reasons, *decision.reasons))


def _remembered(
    case: Case,
    envelope: Envelope,
    facts: Facts,
    grants: tuple[Grant, ...],
    decide: Callable[[], Decision],
) -> Decision:
    """What was decided from the same before, else now. INVARIANT: nothing decided under a grant outlives it."""
    about = tuple([facts.patients.get(patient) for patient in envelope.patients or ()])
    signature = _signature(case, envelope, about)
    key = (signature, grants) if grants else signature
    kept = case.kept.get(key)
    if kept is not None and kept.since <= facts.now < kept.until and _same(kept.facts, about):
        return kept.decision
    decision = decide()
    if len(case.kept) >= _MOST_KEPT:
        case.kept.clear()
    edges = (known.steady_until(facts.now) for known in about if known)
    until = min((*edges, *(grant.expires for grant in grants)), default=inf)
    case.kept[key] = Kept(decision, about, facts.now, until)
    return decision


class Decider:
    """`decide_resource` for many resources at one instant: those of one matter are decided once."""

    def __init__(self, case: Case, facts: Facts) -> None:
        self._case = case
        self._facts = facts
        self._simple = not (
            _is_detailed(case) or any(known.detailed for known in facts.patients.values())
        )
        self._decided: dict[Matter, Decision] = {}

    def __call__(self, envelope: Envelope) -> Decision:
        """The decision on one resource."""
        matter = envelope.matter
        if matter is None or not self._simple:
            return decide_resource(self._case, envelope, self._facts)
        decision = self._decided.get(matter)
        if decision is None:
            decision = self._decided[matter] = decide_resource(self._case, envelope, self._facts)
        return decision


def _same(kept: tuple[PatientFacts | None, ...], about: tuple[PatientFacts | None, ...]) -> bool:
    """Whether these are the very same facts, none of them missing."""
    return len(kept) == len(about) and all(
        one is other and one is not None for one, other in zip(kept, about, strict=True)
    )


def _is_detailed(case: Case) -> bool:
    """Whether the token's own rules ask for the date, the author or the identity of a resource."""
    restriction = case.closure.restriction
    return restriction is not None and restriction.is_detailed


def _signature(case: Case, envelope: Envelope, about: tuple[PatientFacts | None, ...]) -> object:
    """All that the decision reads of the envelope; the whole envelope where a provision reads its date or identity."""
    if _is_detailed(case):
        return envelope
    for known in about:
        if known is None or known.detailed:
            return envelope
    if envelope.matter is not None:
        return envelope.matter
    return (
        envelope.type, envelope.patients, envelope.labels, envelope.codes,
        authorship(case, envelope), envelope.holding,
    )  # fmt: skip
