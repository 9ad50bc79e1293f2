"""Hears the voices that speak of one resource: scope, policy, Consent, labels, the token's own rules (decisions §1).

`combine` makes one Decision of them.
"""

from collections.abc import Iterator
from dataclasses import replace

from proxy.decision.case import Case, is_universal
from proxy.decision.combine import Voices, combine, joined_of, reason_of
from proxy.decision.handling import handle, untold
from proxy.decision.labels import EffectiveLabels, effective_labels
from proxy.decision.model import Decision, Evidence, Reason, Verdict
from proxy.decision.provisions import Combination, ConsentVerdict, Question, consent_verdict
from proxy.decision.residual import VOICE, forbidden, unhonoured
from proxy.decision.rules import (
    About,
    Standing,
    matches,
    speaks_of,
)
from proxy.facts.grant import BREAK_GLASS_TIE, grants_for, holder_of
from proxy.facts.model import ConsentDirective, Facts, PatientFacts
from proxy.facts.relationship import relationships_of
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope
from proxy.policy.model import CONSENT_TAG

DOCUMENTS = frozenset({"DocumentReference", "DocumentManifest", "Composition"})
"""Types that the access-rights matrix speaks of."""


def judge(case: Case, envelope: Envelope, facts: Facts) -> Decision:
    """The decision on one resource, made anew."""
    if envelope.patients is None:
        return Decision(
            Effect.DENY,
            (Reason("patient", Verdict.UNKNOWN, envelope.type, "whom it is about cannot be told"),),
        )
    outside = (*_about_somebody(case, envelope), *_outside_patient_context(case, envelope))
    if outside:
        return Decision(Effect.DENY, outside)
    labels = effective_labels(envelope, case.compiled.policies)
    voices = [
        _about_patient(case, envelope, labels, facts, patient)
        for patient in sorted(envelope.patients)
    ] or [_about_nobody(case, envelope, labels)]
    combined = [combine(one) for one in voices]
    decision = joined_of(combined, sorted(envelope.patients))
    evidence = tuple(told for one in voices for told in one.evidence)
    return replace(
        decision,
        obligations=untold(decision.obligations, labels.codings, case),
        confidentiality=labels.confidentiality,
        evidence=evidence,
    )


def _about_somebody(case: Case, envelope: Envelope) -> Iterator[Reason]:
    """A type that is never about a patient opens to everyone; one that holds a patient's data all the same does not."""
    if envelope.patients and is_universal(case, envelope.type):
        yield Reason(
            "patient", Verdict.UNKNOWN, envelope.type, "a type about nobody holds a patient's data"
        )


def _outside_patient_context(case: Case, envelope: Envelope) -> Iterator[Reason]:
    """A `patient/` scope reaches one patient only (SMART; standards AUTH-19)."""
    scopes = case.principal.scopes
    levels = scopes.levels_where(case.interaction, envelope.type, envelope.holding)
    if not levels:
        yield Reason(
            "scope", Verdict.DENY, envelope.type, "no scope of the token covers this resource"
        )
    elif (
        levels == {"patient"}
        and not is_universal(case, envelope.type)
        and not _of_context(case, envelope)
    ):
        yield Reason("scope", Verdict.DENY, envelope.type, "outside the token's patient context")


def _of_context(case: Case, envelope: Envelope) -> bool:
    return envelope.patients == frozenset({case.principal.patient})


def _about_patient(
    case: Case, envelope: Envelope, labels: EffectiveLabels, facts: Facts, patient: str
) -> Voices:
    known = facts.patients.get(patient, PatientFacts(patient, None, None))
    question = _question(case, envelope, labels, facts.now)
    verdict = _heard(case, known.directives, question)
    about = About(
        type=envelope.type,
        labels=labels.codings,
        rank=labels.rank,
        relationships=_relationships(case, known, facts),
        proven=authorship(case, envelope),
        consent=_counts_as(verdict),
    )
    handled = handle(labels.codings, case, about.consent)
    unhonourable = tuple(unhonoured(case.principal, case.closure))
    forbidding = tuple(forbidden(case.principal, patient, question))
    return Voices(
        unknown=(
            *unhonourable,
            *_unknown_labels(labels),
            *handled.unmet,
            *(verdict.reasons if verdict.verdict is Verdict.UNKNOWN else ()),
        ),
        denies=(
            *_consent_denies(verdict),
            # the token is a ceiling, like its scopes: nothing lifts what it forbids
            *((VOICE, True, reason) for reason in forbidding),
            *_denies(case, about),
            *_matrix(case, envelope),
        ),
        permits=_permits(case, about),
        consents=verdict.consents,
        heard=verdict.reasons if verdict.verdict is Verdict.PERMIT else (),
        evidence=(_evidence(envelope, about, patient, verdict, unhonourable or forbidding),),
        handling=handled.obligations,
    )


def _consent_denies(verdict: ConsentVerdict) -> Iterator[tuple[str, bool, Reason]]:
    """Denies of Consents; which of them no rule lifts.

    One that names the caller means the caller, and one that names break-glass means that: no rule for people of a kind, or for
    emergencies, lifts it.
    """
    if verdict.verdict is Verdict.DENY:
        for reason in verdict.reasons:
            yield CONSENT_TAG, verdict.named or verdict.opposed, reason


def _relationships(case: Case, known: PatientFacts, facts: Facts) -> frozenset[str] | None:
    """How the caller stands to the patient, an open grant included where the case is one under a grant."""
    found = relationships_of(known, case.closure, case.principal, facts.now)
    if found is None or not case.under_grant:
        return found
    holder = holder_of(case.principal)
    granted = grants_for({known.patient}, facts.grants, holder, facts.now)
    return found | {BREAK_GLASS_TIE} if granted else found


def _evidence(
    envelope: Envelope,
    about: About,
    patient: str,
    verdict: ConsentVerdict,
    barring: tuple[Reason, ...],
) -> Evidence:
    """What the policies were asked of one patient, for whoever makes the decision again under others."""
    unknown = about.relationships is None
    return Evidence(
        patient=patient,
        type=envelope.type,
        labels=envelope.labels,
        codes=envelope.codes,
        relationships=None if unknown else about.proven | (about.relationships or frozenset()),
        consent=_EVIDENCE[verdict.verdict],
        named=verdict.named,
        barred=bool(barring),
    )


_EVIDENCE: dict[Verdict, str] = {
    Verdict.PERMIT: "permit",
    Verdict.DENY: "deny",
    Verdict.NOT_APPLICABLE: "none",
    Verdict.UNKNOWN: "unknown",
}


def _about_nobody(case: Case, envelope: Envelope, labels: EffectiveLabels) -> Voices:
    """|P| = 0: only policy decides (decisions §3)."""
    about = About(
        envelope.type,
        labels.codings,
        labels.rank,
        frozenset(),
        authorship(case, envelope),
        frozenset(),
    )
    unhonourable = tuple(unhonoured(case.principal, case.closure))
    handled = handle(labels.codings, case, about.consent)
    nobody = ConsentVerdict(Verdict.NOT_APPLICABLE, named=False, reasons=(), consents=frozenset())
    return Voices(
        unknown=(*unhonourable, *_unknown_labels(labels), *handled.unmet),
        denies=(*_denies(case, about), *_matrix(case, envelope)),
        permits=_permits(case, about),
        evidence=(_evidence(envelope, about, "", nobody, unhonourable),),
        handling=handled.obligations,
    )


def _heard(
    case: Case, directives: tuple[ConsentDirective, ...] | None, question: Question
) -> ConsentVerdict:
    if directives is None:
        unknown = Reason(
            "consent", Verdict.UNKNOWN, "", "the patient's Consents could not be looked up"
        )
        return ConsentVerdict(
            Verdict.UNKNOWN, named=False, reasons=(unknown,), consents=frozenset()
        )
    return consent_verdict(directives, question, _COMBINE[case.compiled.policies.combine])


def _question(case: Case, envelope: Envelope, labels: EffectiveLabels, now: float) -> Question:
    return Question(
        closure=case.closure,
        action=_ACTION,
        purposes=case.purposes,
        envelope=envelope.labelled(labels.codings),
        now=now,
        zone=case.zone,
        mentions=envelope.mentions,
        recognised=case.compiled.recognised,
        normal=case.compiled.policies.terms.normalise,
    )


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


def authorship(case: Case, envelope: Envelope) -> frozenset[str]:
    """Whether the caller wrote the resource, in person or as one of the organisation that is named as author."""
    own = case.closure.references & envelope.authors
    return frozenset(
        "author-organization" if one.startswith("Organization/") else "author" for one in own
    )


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
    """The rules that permit. One that does not name what must be named adds its obligations to one that does."""
    found = tuple(one for one in case.permits if matches(one.rule, about) is True)
    return found if any(speaks_of(case.interaction, one.rule) for one in found) else ()


def _denies(case: Case, about: About) -> Iterator[tuple[str, bool, Reason]]:
    for one in case.denies:
        if matches(one.rule, about) is not False:
            yield one.rule.tag, one.rule.absolute, reason_of(one)


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
