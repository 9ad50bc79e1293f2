"""What a patient's Consents and the policy say to somebody in general, in words and label codes (CDS hook `patient-consent-consult`).

Nothing is decided in another way: resources that hold nothing but a type and labels are judged as real ones are (`voices`).
What is refused becomes codes to redact. Where a Consent denies something that no code can express (codes inside a resource,
dates, single instances, authors), the whole is denied. Pure.

open to the caller  | labels                                  | told
everything          | –                                       | permit
everything but      | some refuse it                          | permit, redact those
only with           | some open it, and none does not         | permit, redact what bears none of them
nothing             | a voice denies, or a Consent permits    | deny
nothing             | no voice says anything                  | no consent
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from proxy.decision.case import Case, is_universal
from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Reason, Verdict
from proxy.decision.voices import DOCUMENTS, judge
from proxy.facts.actors import names_any
from proxy.facts.model import ConsentDirective, Facts, Provision
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope

PERMIT, DENY, NO_CONSENT = "CONSENT_PERMIT", "CONSENT_DENY", "NO_CONSENT"

TYPES = "http://hl7.org/fhir/resource-types"
_TYPE_SYSTEMS = frozenset({TYPES, "http://hl7.org/fhir/fhir-types"})

UNCLASSED = "Basic"
"""The type of what is of no particular type (FHIR Basic)."""

_NOTHING: frozenset[Coding] = frozenset()
INEXPRESSIBLE = Reason(
    "consent", Verdict.UNKNOWN, "", "a Consent denies what no obligation can express"
)


@dataclass(frozen=True, slots=True)
class Consulted:
    """The answer. `codes`: what bears one of them is to be removed; `only`: what bears none of them is, where there are any.

    `codes` are labels, and resource types in the system `TYPES`. `obligations` hold for whatever is left.
    """

    word: str
    reasons: tuple[Reason, ...]
    consents: frozenset[str]
    codes: frozenset[Coding] = _NOTHING
    only: frozenset[Coding] = _NOTHING
    obligations: Obligations = NO_OBLIGATIONS


@dataclass(frozen=True, slots=True)
class _Opened:
    """What of one type is open: everything but `codes`, or where `only` is not empty, nothing else.

    `shown`: the decisions by which it is, without a label first; empty where nothing is open.
    """

    bare: Decision
    shown: tuple[Decision, ...] = ()
    codes: frozenset[Coding] = _NOTHING
    only: frozenset[Coding] = _NOTHING


@dataclass(frozen=True, slots=True)
class _Bench:
    """Judges resources of which only type and labels are known."""

    case: Case
    facts: Facts
    patient: str
    labels: frozenset[Coding] = field(default=_NOTHING)

    def decision(self, rtype: str, labels: Iterable[Coding] = ()) -> Decision:
        """The decision on a resource of the patient."""
        envelope = Envelope(
            rtype, "", "", "", frozenset(labels), frozenset({self.patient}),
            _AUTHORS, "", _NOTHING, _AUTHORS,
        )  # fmt: skip
        return judge(self.case, envelope, self.facts)

    def opened(self, rtype: str, *, pairs: bool) -> _Opened:
        """What of a type is open.

        `pairs`: a rule may ask for a label and a confidentiality, and so refuse the two together; for no two other labels.
        """
        bare = self.decision(rtype)
        single = {one: self.decision(rtype, {one}) for one in sorted(self.labels)}
        shut = {one for one, decision in single.items() if not _agreed(decision)}
        shown = tuple(decision for one, decision in single.items() if one not in shut)
        if _agreed(bare):
            free = sorted(self.labels - shut) if pairs else ()
            shut |= {
                one
                for pair in combinations(free, 2)
                if CONFIDENTIALITY in {one.system for one in pair}
                if not _agreed(self.decision(rtype, pair))
                for one in pair
            }
            return _Opened(bare, (bare, *shown), frozenset(shut))
        only = self.labels - shut
        if not only:
            return _Opened(bare)
        beside = {
            one
            for one in self.labels
            if not all(_agreed(self.decision(rtype, {one, other})) for other in only)
        }
        return _Opened(bare, shown, frozenset(beside), frozenset(only))


_AUTHORS: frozenset[str] = frozenset()


def consulted(case: Case, patient: str, facts: Facts, types: frozenset[str]) -> Consulted:
    """What is open to the caller of these types of a patient's resources (`Patient/x`); of all, where none is named."""
    known = facts.patients.get(patient)
    directives = [one for one in (known.directives if known else None) or () if one.acts(facts.now)]
    bench = _Bench(case, facts, patient, _labels(case, directives))
    opened = {one: bench.opened(one, pairs=True) for one in types or {UNCLASSED}}
    if not any(one.shown for one in opened.values()):
        return _refused([one.bare for one in opened.values()])
    if any(_is_inexpressible(node, case) for one in directives for node in one.root.nodes()):
        return Consulted(DENY, (INEXPRESSIBLE,), _consents(opened.values()))
    if not types:
        others = sorted(_types(case, directives) - {UNCLASSED})
        opened |= {one: bench.opened(one, pairs=False) for one in others}
    return _joined(opened)


def _joined(opened: dict[str, _Opened]) -> Consulted:
    """One answer for all types. Where some are open as they are, those that need a label to be open are shut."""
    plain = {one: each for one, each in opened.items() if each.shown and not each.only}
    kept = plain or {one: each for one, each in opened.items() if each.shown}
    only = frozenset[Coding]()
    if not plain:
        only = frozenset.intersection(*(each.only for each in kept.values()))
        if not only:
            return Consulted(DENY, (INEXPRESSIBLE,), _consents(opened.values()))
    shut = {Coding(TYPES, one) for one in opened.keys() - kept.keys()}
    obliged = NO_OBLIGATIONS
    for decision in (one for each in kept.values() for one in each.shown):
        obliged |= decision.obligations
    return Consulted(
        PERMIT,
        _reasons(each.shown[0] for each in kept.values()),
        _consents(opened.values()),
        frozenset(shut).union(*(each.codes for each in kept.values())),
        only,
        obliged,
    )


def _refused(bare: list[Decision]) -> Consulted:
    """Nothing is open: denied, or nothing is said at all."""
    reasons = _reasons(bare)
    says = any(one.verdict in _SAYS or one.voice == "consent" for one in reasons)
    spoken = says and not all(one.permits for one in bare)
    consents = frozenset().union(*(one.consents for one in bare))
    return Consulted(DENY if spoken else NO_CONSENT, reasons, consents)


_SAYS = frozenset({Verdict.DENY, Verdict.UNKNOWN})


def _agreed(decision: Decision) -> bool:
    """Whether a Consent permits it, and nothing else refuses."""
    heard = (one for one in decision.reasons if one.voice == "consent")
    return decision.permits and any(one.verdict is Verdict.PERMIT for one in heard)


def _is_inexpressible(node: Provision, case: Case) -> bool:
    """Whether a provision may deny this caller something that neither a label nor a type tells."""
    if node.effect is Effect.PERMIT or (
        node.actors and names_any(node.actors, case.closure) is False
    ):
        return False
    classed = all(one.system in _TYPE_SYSTEMS for one in node.classes)
    authored = any(one.role is not None and one.role.code == "AUT" for one in node.actors)
    return bool(node.codes or node.data or node.data_period or authored or not classed)


def _labels(case: Case, directives: list[ConsentDirective]) -> frozenset[Coding]:
    """Every label that the house knows or that a Consent speaks of."""
    policies = case.compiled.policies
    spoken = {label for one in directives for node in one.root.nodes() for label in node.labels}
    return policies.labels.known_codes | {policies.terms.normalise(one) for one in spoken}


def _types(case: Case, directives: list[ConsentDirective]) -> frozenset[str]:
    """Every type that a rule or a Consent speaks of, and that is about patients."""
    policies = case.compiled.policies
    ruled = {one for rule in policies.rules for one in rule.target.resource.type}
    listed = frozenset[str]() if policies.matrix is None else DOCUMENTS
    return frozenset(
        one for one in ruled | listed | set(_classes(directives)) if not is_universal(case, one)
    )


def _classes(directives: list[ConsentDirective]) -> Iterator[str]:
    for one in directives:
        for node in one.root.nodes():
            yield from (each.code for each in node.classes if each.system in _TYPE_SYSTEMS)


def _reasons(decisions: Iterable[Decision]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for one in decisions for reason in one.reasons))


def _consents(opened: Iterable[_Opened]) -> frozenset[str]:
    return frozenset().union(*(one.bare.consents for one in opened))
