"""What would change a refusal: one fact at a time is added or taken away, and the engine decides again (peers E5). Pure.

Nothing is guessed: a change is told only if both the request and the resource are permitted with it, and it alone. Where
two would be needed, none is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from proxy.decision.case import Case, open_case
from proxy.decision.decide import decide_request
from proxy.decision.emergency import BREAK_GLASS
from proxy.decision.labels import effective_labels
from proxy.decision.voices import judge
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ConsentDirective,
    Facts,
    Membership,
    PatientFacts,
    Provision,
)
from proxy.facts.relationship import CARE_TEAM, GENERAL_PRACTITIONER, GUARDIAN, TRUSTED_PERSON
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import Scopes, parse_scopes, permissions_for

MOST_CONSENTS = 50
"""Consents of one patient that are tried without, one by one."""

_TIES = (CARE_TEAM, GENERAL_PRACTITIONER, GUARDIAN, TRUSTED_PERSON)


@dataclass(frozen=True, slots=True)
class Change:
    """One change that turns the refusal into a permit. `kind`: relationship, consent, role, purpose, scope or label."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Trial:
    """The same question with one thing otherwise."""

    change: Change
    case: Case
    envelope: Envelope
    facts: Facts
    unless: Change | None = None
    """A lesser change, beside which this one is no news."""

    def permits(self, rtype: str) -> bool:
        """Whether the request for `rtype` goes up and the resource leaves."""
        admitted = decide_request(self.case, rtype).permits
        return admitted and judge(self.case, self.envelope, self.facts).permits


def changes_of_request(case: Case, rtype: str) -> tuple[Change, ...]:
    """What would let a refused request for this type go up; each resource is judged only then."""
    return tuple(
        change for change, other in _callers(case, rtype) if decide_request(other, rtype).permits
    )


def changes_of_resource(
    case: Case, envelope: Envelope, facts: Facts, rtype: str
) -> tuple[Change, ...]:
    """What would let a withheld resource leave in the answer to a request for `rtype`."""
    found: list[Change] = []
    for trial in _trials(case, envelope, facts):
        if trial.unless not in found and trial.permits(rtype):
            found.append(trial.change)
    return tuple(found)


def _trials(case: Case, envelope: Envelope, facts: Facts) -> Iterator[_Trial]:
    for patient in sorted(envelope.patients or ()):
        known = facts.patients.get(patient)
        if known is not None:
            for change, other, unless in (*_ties(known, case), *_consents(known, case)):
                patients = {**facts.patients, patient: other}
                yield _Trial(change, case, envelope, replace(facts, patients=patients), unless)
    for change, caller in _callers(case, envelope.type):
        yield _Trial(change, caller, envelope, facts)
    if effective_labels(envelope, case.compiled.policies).rank is None:
        ordinary = Coding(CONFIDENTIALITY, "N")
        change = Change("label", "a confidentiality label N on the resource")
        yield _Trial(change, case, envelope.labelled(envelope.labels | {ordinary}), facts)


_Tried: TypeAlias = tuple[Change, PatientFacts, Change | None]
"""A change, the facts with it, and the lesser change beside which it is no news."""


def _ties(known: PatientFacts, case: Case) -> Iterator[_Tried]:
    """Relationships that FHIR resources can prove, one more of them."""
    caller = _reference(case)
    if caller is None or known.memberships is None:
        return
    for kind in _TIES:
        tie = Membership(kind, Actor(caller), ALWAYS, "supposed")
        change = Change(
            "relationship", f"{caller} having the relationship {kind} to {known.patient}"
        )
        yield change, replace(known, memberships=(*known.memberships, tie)), None


def _consents(known: PatientFacts, case: Case) -> Iterator[_Tried]:
    """One more Consent, or one less."""
    if known.directives is None:
        return
    caller, own = _reference(case), known.directives
    permit = Change("consent", f"a Consent of {known.patient} that permits this")
    yield permit, replace(known, directives=(*own, _permit(known.patient))), None
    if caller is not None:
        named = Change("consent", f"{permit.sentence} and names {caller}")
        naming = _permit(known.patient, Actor(caller))
        yield named, replace(known, directives=(*own, naming)), permit
    for directive in known.directives[:MOST_CONSENTS]:
        rest = tuple(one for one in known.directives if one is not directive)
        change = Change("consent", f"{directive.reference} no longer in force")
        yield change, replace(known, directives=rest), None


def _permit(patient: str, *actors: Actor) -> ConsentDirective:
    root = Provision("provision", Effect.PERMIT, actors=actors)
    return ConsentDirective("Consent", patient, "active", Effect.PERMIT, root)


def _callers(case: Case, rtype: str) -> Iterator[tuple[Change, Case]]:
    """The same request by the same caller with another role, purpose or scope in the token."""
    for change, principal in _principals(case, rtype):
        other = open_case(
            case.compiled, principal, case.closure, case.interaction, case.zone, case.now
        )
        yield change, other


def _principals(case: Case, rtype: str) -> Iterator[tuple[Change, Principal]]:
    principal, policies = case.principal, case.compiled.policies
    targets = [rule.target for rule in policies.rules if rule.effect is Effect.PERMIT]
    for name in sorted({str(name) for target in targets for name in target.principal.role}):
        codings = policies.terms.role(name)
        if codings.isdisjoint(principal.roles | case.closure.roles):
            role = Change("role", f"the role {name} in the token")
            yield role, replace(principal, roles=principal.roles | codings)
    purposes = {str(purpose) for target in targets for purpose in target.purpose}
    for purpose in sorted(purposes - case.purposes - {BREAK_GLASS}):
        stated = Change("purpose", f"the purpose of use {purpose} in the token")
        yield stated, replace(principal, purposes=frozenset({purpose}))
    if not principal.scopes.covers(case.interaction, rtype):
        scope = _scope(case, rtype)
        wider = Scopes(principal.scopes.granted | parse_scopes(scope).granted)
        yield Change("scope", f"the scope {scope} in the token"), replace(principal, scopes=wider)


def _scope(case: Case, rtype: str) -> str:
    """The least scope that covers the interaction, at the level that this kind of principal can have."""
    level = "system" if case.principal.kind is PrincipalKind.SYSTEM else "user"
    return f"{level}/{rtype}.{permissions_for(case.interaction)}"


def _reference(case: Case) -> str | None:
    """The caller as FHIR resources name it."""
    user = case.principal.fhir_user
    return user if user is not None and user in case.closure.references else None
