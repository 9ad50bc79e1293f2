"""Supposed facts: the memberships and Consents that would make wanted relationships and a wanted verdict. Pure.

For whoever judges without a record: policy tests, and decisions made again from their evidence. The engine that judges
is the one that serves; only what it is told is made up.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from proxy.facts.grant import BREAK_GLASS_TIE, NO_GRANTS, Grant, Holder, by_patient
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ActorClosure,
    ConsentDirective,
    Membership,
    PatientFacts,
    Provision,
)
from proxy.fhir.coding import Effect

EMPLOYER = "Organization/employer"
DELEGATOR = "Practitioner/delegator"
CALLERS = MappingProxyType(
    {
        "practitioner": "Practitioner/caller",
        "patient": "Patient/caller",
        "related-person": "RelatedPerson/caller",
        "system": "Device/caller",
        "unknown": "Basic/caller",
    }
)
"""What a supposed caller is, by kind of principal."""
_NOT_A_MEMBERSHIP = frozenset(
    {"self", "author", "author-organization", "delegate", BREAK_GLASS_TIE}
)
"""Relationships that follow from the principal, the resource, not from a dated tie to the patient."""
_GRANTED_S = 3600.0
_EFFECTS = {"permit": Effect.PERMIT, "deny": Effect.DENY}


def authors_of(relationships: Collection[str], closure: ActorClosure) -> frozenset[str]:
    """Who wrote a resource to which the caller stands like this."""
    houses = frozenset({EMPLOYER}) & closure.references
    person = closure.references - houses if "author" in relationships else frozenset()
    return person | (houses if "author-organization" in relationships else frozenset())


def references_of(caller: str | None, relationships: Collection[str]) -> frozenset[str]:
    """What a caller is for FHIR resources."""
    employer = {EMPLOYER} if "author-organization" in relationships else set()
    return frozenset({*filter(None, [caller])} | employer)


def facts_of(
    patient: str,
    relationships: Collection[str] | None,
    consent: str,
    closure: ActorClosure,
    *,
    named: bool = False,
) -> PatientFacts:
    """The facts about a patient to whom the caller stands like this; `consent` is `permit`, `deny`, `none` or `unknown`."""
    ties = _ties(relationships or (), closure)
    return PatientFacts(
        patient=patient,
        directives=_directives(patient, consent, closure, named=named),
        memberships=None if relationships is None else ties,
    )


def grants_of(
    patients: Collection[str], relationships: Collection[str] | None, holder: Holder, now: float
) -> Mapping[str, Grant]:
    """The open break-glass grants for these patients of who stands to them like this."""
    if BREAK_GLASS_TIE not in (relationships or ()):
        return NO_GRANTS
    return by_patient(
        Grant(f"supposed for {one}", holder, one, now, now + _GRANTED_S) for one in patients
    )


def _ties(relationships: Collection[str], closure: ActorClosure) -> tuple[Membership, ...]:
    ties = [
        (kind, reference)
        for kind in sorted(set(map(str, relationships)) - _NOT_A_MEMBERSHIP)
        for reference in sorted(closure.references)
    ]
    if "delegate" in relationships:
        ties.append(("delegator", DELEGATOR))
    return tuple(Membership(kind, Actor(one), ALWAYS, "supposed") for kind, one in ties)


def _directives(
    patient: str, consent: str, closure: ActorClosure, *, named: bool
) -> tuple[ConsentDirective, ...] | None:
    """The patient's Consents that make the wanted verdict; None where they could not be had."""
    if consent == "unknown":
        return None
    effect = _EFFECTS.get(consent)
    if effect is None:
        return ()
    actors = tuple(map(Actor, sorted(closure.references))) if named else ()
    root = Provision("provision", effect, actors=actors)
    return (ConsentDirective(f"Consent/{consent}", patient, "active", effect, root),)
