"""Decide: scope, policy, Consent and labels become one Decision (XACML PDP; decisions §2).

    any unknown | any deny not lifted | any permit | Decision
    yes         | –                   | –          | deny
    no          | yes                 | –          | deny
    no          | no                  | yes        | permit, with the union of obligations
    no          | no                  | no         | deny

`decide_request` judges what can be known before any patient's data are read; `decide_resource` one resource.
Both are total: any input gives a Decision with its reasons.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from math import inf

from proxy.decision.labels import EffectiveLabels, effective_labels
from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Reason, Verdict
from proxy.decision.provisions import Combination, ConsentVerdict, Question, consent_verdict
from proxy.decision.rules import (
    About,
    CompiledRule,
    Standing,
    by_effect,
    compile_rule,
    matches,
    stand,
)
from proxy.facts.model import ActorClosure, ConsentDirective, Facts, PatientFacts
from proxy.facts.relationship import relationships_of
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope, Matter, Wanted
from proxy.identity.principal import Principal
from proxy.policy.model import CONSENT_TAG, PolicySet

BREAK_GLASS = "BTG"
DOCUMENTS = frozenset({"DocumentReference", "DocumentManifest", "Composition"})
"""Types that the access-rights matrix speaks of."""


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
    for system in policies.terms.systems.values():
        codes |= {spelling for spelling, code in system.spellings.items() if code in codes}
    return Wanted(codes, (coding.code for coding, _ in policies.labels.prefixes))


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

    def __init__(self, size: int = 4096) -> None:
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


def decide_request(case: Case, rtype: str) -> Decision:
    """May a request for this type of resource go up at all? Reads no patient's data (decisions §8, third row)."""
    known = case.admitted.get(rtype)
    if known is None:
        known = case.admitted[rtype] = _admission(case, rtype)
    return known


def _admission(case: Case, rtype: str) -> Decision:
    denied = [
        *_unhonoured(case.principal),
        *_outside_scopes(case, rtype),
        *_shut_out(case, rtype),
    ]
    if denied:
        return Decision(Effect.DENY, tuple(denied))
    if not any(_names_type(one.rule, rtype) for one in case.permits):
        silence = Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this to the caller")
        return Decision(Effect.DENY, (silence,))
    return Decision(Effect.PERMIT)


def _unhonoured(principal: Principal) -> Iterator[Reason]:
    """Restrictions in the token that are not evaluated here: ignoring one would widen it (PCF-33, AUTH-9)."""
    if principal.pcf is not None:
        yield Reason(
            "scope",
            Verdict.UNKNOWN,
            "ihe_pcf",
            "the token carries consent rules that are not evaluated",
        )
    if principal.patient_identifier is not None:
        yield Reason(
            "scope",
            Verdict.UNKNOWN,
            "person_id",
            "the token names its patient in a way that is not matched",
        )


def _outside_scopes(case: Case, rtype: str) -> Iterator[Reason]:
    if not case.principal.scopes.levels_for(case.interaction, rtype):
        yield Reason("scope", Verdict.DENY, rtype, "no scope of the token covers this interaction")


def _shut_out(case: Case, rtype: str) -> Iterator[Reason]:
    """Denies that hold whatever the resource is, and that no standing permit could lift."""
    liftable = frozenset().union(*(one.rule.lifts for one in case.permits))
    for one in case.denies:
        rule = one.rule
        if not rule.reaches_resources and (rule.absolute or rule.tag not in liftable):
            yield _reason_of(one)


def _names_type(rule: CompiledRule, rtype: str) -> bool:
    return not rule.types or rtype in rule.types


def _universal(case: Case, rtype: str) -> bool:
    return rtype in case.compiled.policies.universal


_MOST_KEPT = 20_000


def decide_resource(case: Case, envelope: Envelope, facts: Facts) -> Decision:
    """May this resource leave to this caller, and under which obligations?"""
    about = tuple([facts.patients.get(patient) for patient in envelope.patients or ()])
    signature = _signature(case, envelope, about)
    kept = case.kept.get(signature)
    if kept is not None and kept.since <= facts.now < kept.until and _same(kept.facts, about):
        return kept.decision
    decision = _decide(case, envelope, facts)
    if len(case.kept) >= _MOST_KEPT:
        case.kept.clear()
    until = min((known.steady_until(facts.now) for known in about if known), default=inf)
    case.kept[signature] = Kept(decision, about, facts.now, until)
    return decision


class Decider:
    """`decide_resource` for many resources at one instant: those of one matter are decided once."""

    def __init__(self, case: Case, facts: Facts) -> None:
        self._case = case
        self._facts = facts
        self._simple = not any(known.detailed for known in facts.patients.values())
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


def _signature(case: Case, envelope: Envelope, about: tuple[PatientFacts | None, ...]) -> object:
    """All that the decision reads of the envelope; the whole envelope where a provision reads its date or identity."""
    for known in about:
        if known is None or known.detailed:
            return envelope
    if envelope.matter is not None:
        return envelope.matter
    return (
        envelope.type, envelope.patients, envelope.labels, envelope.codes,
        not case.closure.references.isdisjoint(envelope.authors),
    )  # fmt: skip


def _decide(case: Case, envelope: Envelope, facts: Facts) -> Decision:
    if envelope.patients is None:
        return Decision(
            Effect.DENY,
            (Reason("patient", Verdict.UNKNOWN, envelope.type, "whom it is about cannot be told"),),
        )
    outside = tuple(_outside_patient_context(case, envelope))
    if outside:
        return Decision(Effect.DENY, outside)
    labels = effective_labels(envelope, case.compiled.policies)
    voices = [
        _about_patient(case, envelope, labels, facts, patient)
        for patient in sorted(envelope.patients)
    ]
    decision = _joined([_combine(one) for one in voices or [_about_nobody(case, envelope, labels)]])
    return replace(decision, confidentiality=labels.confidentiality)


def _outside_patient_context(case: Case, envelope: Envelope) -> Iterator[Reason]:
    """A `patient/` scope reaches one patient only (SMART; standards AUTH-19)."""
    levels = case.principal.scopes.levels_for(case.interaction, envelope.type)
    if not levels:
        yield Reason("scope", Verdict.DENY, envelope.type, "no scope of the token covers this type")
    elif (
        levels == {"patient"}
        and not _universal(case, envelope.type)
        and not _of_context(case, envelope)
    ):
        yield Reason("scope", Verdict.DENY, envelope.type, "outside the token's patient context")


def _of_context(case: Case, envelope: Envelope) -> bool:
    return envelope.patients == frozenset({case.principal.patient})


@dataclass(frozen=True, slots=True)
class _Voices:
    """The verdicts about one patient, before they are combined."""

    unknown: tuple[Reason, ...]
    denies: tuple[tuple[str, bool, Reason], ...]
    """(tag, absolute, reason)."""
    permits: tuple[Standing, ...]
    consents: frozenset[str] = frozenset()
    heard: tuple[Reason, ...] = ()
    """Reasons of Consents that neither deny nor are unknown."""


def _about_patient(
    case: Case, envelope: Envelope, labels: EffectiveLabels, facts: Facts, patient: str
) -> _Voices:
    known = facts.patients.get(patient, PatientFacts(patient, None, None))
    verdict = _heard(case, envelope, labels, known.directives, facts.now)
    about = About(
        type=envelope.type,
        labels=labels.codings,
        rank=labels.rank,
        relationships=relationships_of(known, case.closure, case.principal, facts.now),
        proven=_authorship(case, envelope),
        consent=_counts_as(verdict),
    )
    consent_denies = tuple(
        (CONSENT_TAG, False, reason)
        for reason in verdict.reasons
        if verdict.verdict is Verdict.DENY
    )
    return _Voices(
        unknown=(
            *_unknown_labels(labels),
            *(verdict.reasons if verdict.verdict is Verdict.UNKNOWN else ()),
        ),
        denies=(*consent_denies, *_denies(case, about), *_matrix(case, envelope)),
        permits=_permits(case, about),
        consents=verdict.consents,
        heard=verdict.reasons if verdict.verdict is Verdict.PERMIT else (),
    )


def _about_nobody(case: Case, envelope: Envelope, labels: EffectiveLabels) -> _Voices:
    """|P| = 0: only policy decides (decisions §3)."""
    about = About(
        envelope.type,
        labels.codings,
        labels.rank,
        frozenset(),
        _authorship(case, envelope),
        frozenset(),
    )
    return _Voices(
        unknown=tuple(_unknown_labels(labels)),
        denies=(*_denies(case, about), *_matrix(case, envelope)),
        permits=_permits(case, about),
    )


def _heard(
    case: Case,
    envelope: Envelope,
    labels: EffectiveLabels,
    directives: tuple[ConsentDirective, ...] | None,
    now: float,
) -> ConsentVerdict:
    if directives is None:
        unknown = Reason(
            "consent", Verdict.UNKNOWN, "", "the patient's Consents could not be looked up"
        )
        return ConsentVerdict(
            Verdict.UNKNOWN, named=False, reasons=(unknown,), consents=frozenset()
        )
    question = Question(
        closure=case.closure,
        action=_ACTION,
        purposes=case.purposes,
        envelope=envelope.labelled(labels.codings),
        now=now,
        zone=case.zone,
        recognised=case.compiled.recognised,
    )
    return consent_verdict(directives, question, _COMBINE[case.compiled.policies.combine])


_ACTION = "access"
"""Reading, searching and history are one consentaction (decisions §4)."""
_COMBINE: dict[str, Combination] = {"deny-wins": "deny-overrides", "most-recent": "most-recent"}


_CONSENT_WORDS: dict[Verdict, frozenset[str]] = {
    Verdict.PERMIT: frozenset({"permit"}),
    Verdict.DENY: frozenset({"deny"}),
    Verdict.NOT_APPLICABLE: frozenset({"none"}),
    Verdict.UNKNOWN: frozenset(),
}


def _counts_as(verdict: ConsentVerdict) -> frozenset[str]:
    words = _CONSENT_WORDS[verdict.verdict]
    return words | {"named"} if verdict.named and verdict.verdict is Verdict.PERMIT else words


def _authorship(case: Case, envelope: Envelope) -> frozenset[str]:
    return frozenset({"author"} if not case.closure.references.isdisjoint(envelope.authors) else ())


def _unknown_labels(labels: EffectiveLabels) -> Iterator[Reason]:
    for label in sorted(labels.unknown):
        yield Reason(
            "label", Verdict.UNKNOWN, f"{label.system}#{label.code}", "a label that nobody knows"
        )
    if labels.rank is None:
        yield Reason(
            "label",
            Verdict.UNKNOWN,
            "",
            "no confidentiality label, and policy shuts unlabelled data",
        )


def _permits(case: Case, about: About) -> tuple[Standing, ...]:
    return tuple(one for one in case.permits if matches(one.rule, about) is True)


def _denies(case: Case, about: About) -> Iterator[tuple[str, bool, Reason]]:
    for one in case.denies:
        if matches(one.rule, about) is not False:
            yield one.rule.tag, one.rule.absolute, _reason_of(one)


def _matrix(case: Case, envelope: Envelope) -> Iterator[tuple[str, bool, Reason]]:
    """Profession × document type: no cell that opens is a deny (decisions §11 `matrix`)."""
    matrix = case.compiled.policies.matrix
    if (
        matrix is None
        or envelope.type not in DOCUMENTS
        or case.principal.kind.value != "practitioner"
    ):
        return
    held = case.principal.roles | case.closure.roles
    terms = case.compiled.policies.terms
    roles = [name for name in terms.roles if not terms.role(name).isdisjoint(held)]
    cells = {matrix.cell(role, terms.normalise(code)) for role in roles for code in envelope.codes}
    if True not in cells:
        yield (
            "matrix",
            True,
            Reason(
                "policy", Verdict.DENY, "matrix", "no cell opens this type of document to the role"
            ),
        )


def _reason_of(one: Standing) -> Reason:
    verdicts = {(Effect.PERMIT, True): Verdict.PERMIT, (Effect.DENY, True): Verdict.DENY}
    return Reason(
        "policy",
        verdicts.get((one.rule.effect, one.certain), Verdict.UNKNOWN),
        one.rule.id,
        one.rule.sentence,
    )


def _combine(voices: _Voices) -> Decision:
    """The truth table of the module's head, read aloud."""
    lifts = frozenset().union(*(one.rule.lifts for one in voices.permits))
    denied = tuple(
        reason for tag, absolute, reason in voices.denies if absolute or tag not in lifts
    )
    permitting = tuple(_reason_of(one) for one in voices.permits)
    if voices.unknown:
        return Decision(Effect.DENY, (*voices.unknown, *denied), consents=voices.consents)
    if denied:
        return Decision(Effect.DENY, denied, consents=voices.consents)
    if permitting:
        lifted = tuple(reason for _, _, reason in voices.denies)
        reasons = (*permitting, *voices.heard, *lifted)
        return Decision(Effect.PERMIT, reasons, _obligations(voices.permits), voices.consents)
    silence = Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this")
    return Decision(Effect.DENY, (silence, *voices.heard), consents=voices.consents)


def _obligations(permits: Iterable[Standing]) -> Obligations:
    joined = NO_OBLIGATIONS
    for one in permits:
        joined |= one.rule.obligations
    return joined


def _joined(decisions: list[Decision]) -> Decision:
    """The voices of every patient must permit (decisions §3)."""
    if len(decisions) == 1:
        return decisions[0]
    denied = [decision for decision in decisions if not decision.permits]
    chosen = denied or decisions
    obligations = NO_OBLIGATIONS
    for decision in decisions:
        obligations |= decision.obligations
    return Decision(
        effect=Effect.DENY if denied else Effect.PERMIT,
        reasons=tuple(reason for decision in chosen for reason in decision.reasons),
        obligations=NO_OBLIGATIONS if denied else obligations,
        consents=frozenset().union(*(decision.consents for decision in decisions)),
    )
