"""The Case: a caller's standing under some policies, opened once and kept for callers who come again."""

from dataclasses import dataclass, field
from datetime import tzinfo

from proxy.decision.model import Decision
from proxy.decision.rules import (
    CompiledRule,
    Standing,
    by_effect,
    compile_rule,
    stand,
)
from proxy.facts.model import ActorClosure, PatientFacts
from proxy.fhir.coding import Effect
from proxy.fhir.content import Wanted
from proxy.identity.principal import Principal
from proxy.policy.model import PolicySet

BREAK_GLASS = "BTG"


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """A PolicySet with its rules compiled; made once per load."""

    policies: PolicySet
    rules: tuple[CompiledRule, ...]
    recognised: frozenset[str]
    """Code systems of labels that the house's own terms explain."""
    wanted: Wanted
    """Codes for which the labelling rules and the matrix look in a resource."""


def compile_policies(policies: PolicySet) -> CompiledPolicies:
    """The policies, ready to decide."""
    systems = policies.terms.systems.values()
    return CompiledPolicies(
        policies,
        tuple(compile_rule(rule, policies) for rule in policies.rules),
        recognised=frozenset(uri for system in systems for uri in system.uris()),
        wanted=_wanted(policies),
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
    dropped with the case.
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
    kept: dict[object, Kept] = field(default_factory=dict, compare=False)
    admitted: dict[str, Decision] = field(default_factory=dict, compare=False)


def open_case(
    compiled: CompiledPolicies,
    principal: Principal,
    closure: ActorClosure,
    interaction: str,
    zone: tzinfo,
) -> Case:
    """The case of one caller and interaction."""
    purposes = purposes_of(principal, compiled.policies)
    standing = by_effect(stand(compiled.rules, principal, closure, purposes, interaction))
    permits, denies = standing[Effect.PERMIT], standing[Effect.DENY]
    return Case(compiled, principal, closure, interaction, purposes, permits, denies, zone)


class CaseBook:
    """Cases of callers who come again. A case is found by the identity of what it was opened with, all of it immutable."""

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
    ) -> Case:
        """The case, opened before or now."""
        key = (id(compiled), id(principal), id(closure), interaction)
        known = self._cases.get(key)
        if known is None:
            if len(self._cases) >= self._size:
                self._cases.clear()
            # The case holds what its key is the identity of, so that no other object can take that identity.
            known = self._cases[key] = open_case(compiled, principal, closure, interaction, zone)
        return known


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
