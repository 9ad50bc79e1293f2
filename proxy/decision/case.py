"""The Case: a caller's standing under some policies, opened once and kept for callers who come again."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from math import inf

from proxy.decision.emergency import BREAK_GLASS, Emergency, compile_emergency, serves
from proxy.decision.model import Decision
from proxy.decision.rules import (
    NAMED_ONLY,
    CompiledRule,
    Standing,
    When,
    by_effect,
    compile_rule,
    stand,
)
from proxy.facts.model import ActorClosure, PatientFacts
from proxy.fhir.coding import Effect
from proxy.fhir.content import Wanted
from proxy.identity.principal import Principal
from proxy.policy.campaign import Dated, span_of
from proxy.policy.model import PolicySet

DELEGATE = "delegate"
"""The relationship of who acts for somebody who has one."""


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """A PolicySet with its rules compiled; made once per load."""

    policies: PolicySet
    rules: tuple[CompiledRule, ...]
    recognised: frozenset[str]
    """Code systems of labels that the house's own terms explain."""
    wanted: Wanted
    """Codes for which the labelling rules and the matrix look in a resource."""
    campaigns: tuple[Dated, ...] = ()
    """Within which some rules are in force; their edges are edges of every case."""
    emergency: Emergency | None = None
    """The ceremony of break-glass; None where the policies have none."""


def compile_policies(policies: PolicySet) -> CompiledPolicies:
    """The policies, ready to decide."""
    systems = policies.terms.systems.values()
    return CompiledPolicies(
        policies,
        tuple(compile_rule(rule, policies) for rule in policies.rules),
        recognised=frozenset(uri for system in systems for uri in system.uris()),
        wanted=_wanted(policies),
        campaigns=tuple({one.id: one for one in policies.campaigns.values()}.values()),
        emergency=compile_emergency(policies),
    )


def _wanted(policies: PolicySet) -> Wanted:
    """Every spelling of every code that some rule looks for."""
    codes = {coding.code for coding in policies.labels.exact}
    if policies.matrix is not None:
        codes |= {document_type.code for _, document_type in policies.matrix.cells}
    prefixes = (coding.code for coding, _ in policies.labels.prefixes)
    systems = policies.terms.systems.values()
    spellings = tuple(pair for system in systems for pair in system.spellings.items())
    return Wanted(codes, prefixes, spellings)


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision with the facts it was made from, and how long they mean the same: from `since` to before `until`."""

    decision: Decision
    facts: tuple[PatientFacts | None, ...]
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Case:
    """A caller's standing under some policies: who asks, how, and the rules that may still apply.

    `kept` and `admitted` memoise a pure function of what never changes: they hold decisions, never an answer, and are
    dropped with the case. INVARIANT: it is a case of the instants from `since` to before `until`, between which no
    campaign begins or ends; `now` is one of them, `None` where the instant is unknown.
    """

    compiled: CompiledPolicies
    principal: Principal
    closure: ActorClosure
    interaction: str
    purposes: frozenset[str]
    permits: tuple[Standing, ...]
    denies: tuple[Standing, ...]
    zone: tzinfo
    """In which partial dates are understood."""
    now: float | None = None
    since: float = -inf
    until: float = inf
    under_grant: bool = False
    """Whether it is the case of a request under break-glass grants: only of resources all of whose patients have one."""
    emergency: "Case | None" = None
    """The same request under a grant; None for a caller or a purpose that no grant serves."""
    behind: "Case | None" = None
    """The same request by the one on whose behalf it is made: nothing leaves that would not leave to that one."""
    within: dict[tuple[int, int], tuple[Decision, Decision, Decision]] = field(
        default_factory=dict, compare=False
    )
    """By identity: the decision on the caller and that on whom it acts for, and what they come to."""
    kept: dict[object, Kept] = field(default_factory=dict, compare=False)
    admitted: dict[str, Decision] = field(default_factory=dict, compare=False)


def open_case(
    compiled: CompiledPolicies,
    principal: Principal,
    closure: ActorClosure,
    interaction: str,
    zone: tzinfo,
    now: float | None = None,
) -> Case:
    """The case of one caller and interaction at an instant; at none that is known, no campaign permits and each denies.

    A grant opens one patient's record, and so nothing in bulk (T-186).
    """
    purposes, emergency = purposes_of(principal, compiled.policies), compiled.emergency

    def opened(rules: Iterable[CompiledRule], purposes: frozenset[str]) -> Case:
        when = When(now, zone)
        standing = by_effect(stand(rules, principal, closure, purposes, interaction, when))
        permits, denies = standing[Effect.PERMIT], standing[Effect.DENY]
        since, until = (-inf, inf) if now is None else span_of(compiled.campaigns, now, zone)
        return Case(
            compiled, principal, closure, interaction, purposes, permits, denies, zone, now, since, until,
        )  # fmt: skip

    case = opened(compiled.rules, purposes)
    if principal.acts_for_another:
        return _for_another(case)
    if emergency is None or interaction in NAMED_ONLY or not serves(purposes):
        return case
    if not emergency.admits(principal, closure):
        return case
    under = opened((*compiled.rules, *emergency.denies), frozenset({BREAK_GLASS}))
    return replace(case, emergency=replace(under, under_grant=True))


_UNKNOWN = ActorClosure(complete=False)


def _for_another(case: Case) -> Case:
    """The case of who acts for another: rules for delegates alone, no break-glass, and within the other's own case.

    The other is not known where recorded evidence is judged again: then that part was decided when it was recorded.
    """
    permits = tuple(one for one in case.permits if _is_for_delegates(one.rule, case.compiled))
    delegator = case.principal.delegator
    if delegator is None:
        return replace(case, permits=permits)
    known = case.closure.behind or _UNKNOWN
    behind = open_case(case.compiled, delegator, known, case.interaction, case.zone, case.now)
    return replace(case, permits=permits, behind=behind)


def _is_for_delegates(rule: CompiledRule, compiled: CompiledPolicies) -> bool:
    """Whether a rule speaks to delegates: it says so, or is about nobody."""
    about_nobody = bool(rule.types) and rule.types <= frozenset(compiled.policies.universal)
    return DELEGATE in rule.relationships or about_nobody


class CaseBook:
    """Cases of callers who come again. A case is found by the identity of what it was opened with, all of it immutable.

    One that was opened before a campaign began or ended is opened anew.
    """

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._cases: dict[tuple[int, int, int, str], Case] = {}

    def open(
        self,
        compiled: CompiledPolicies,
        principal: Principal,
        closure: ActorClosure,
        interaction: str,
        zone: tzinfo,
        now: float | None = None,
    ) -> Case:
        """The case, opened before or now."""
        key = (id(compiled), id(principal), id(closure), interaction)
        known = self._cases.get(key)
        if known is None or not _is_of(known, now):
            if len(self._cases) >= self._size:
                self._cases.clear()
            # The case holds what its key is the identity of, so that no other object can take that identity.
            known = open_case(compiled, principal, closure, interaction, zone, now)
            self._cases[key] = known
        return known


def _is_of(case: Case, now: float | None) -> bool:
    """Whether a case is one of this instant."""
    if now is None or case.now is None:
        return now is case.now
    return case.since <= now < case.until


def purposes_of(principal: Principal, policies: PolicySet) -> frozenset[str]:
    """The purposes of use that count: the token's, without break-glass (a ceremony, not a claim), else the policy's default."""
    claimed = principal.purposes - {BREAK_GLASS}
    if claimed:
        return claimed
    default = policies.default_purpose.get(principal.kind.value)
    return frozenset({default} if default else ())


def is_universal(case: Case, rtype: str) -> bool:
    """Whether a type is never about a patient, as the policy says."""
    return rtype in case.compiled.policies.universal
