"""Relationships between a principal and a patient, as dated facts (decisions §5).

Read from CareTeam, Patient.generalPractitioner, RelatedPerson, PractitionerRole and Organization; `activity` reads
what is done for the patient. A relationship that has begun, has not ended and can be proven: yes. What cannot be read
proves nothing and is left out. Pure.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import NamedTuple

from proxy.facts.actors import is_named
from proxy.facts.denylist import excluded
from proxy.facts.elements import (
    Json,
    UnsupportedError,
    concepts_of,
    identifier_of,
    objects_of,
    period_of,
)
from proxy.facts.model import ALWAYS, Actor, ActorClosure, Membership, PatientFacts, Period
from proxy.fhir.coding import Coding, Identifier, system_of
from proxy.fhir.links import reference_of
from proxy.identity.principal import Principal, PrincipalKind, Situation

CARE_TEAM = "care-team"
GENERAL_PRACTITIONER = "general-practitioner"
GUARDIAN = "guardian"
TRUSTED_PERSON = "trusted-person"

_ROLE_CODES = (
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    "https://mos.esante.gouv.fr/NOS/TRE_R216-HL7RoleCode/FHIR/TRE-R216-HL7RoleCode",
)
_FR_CONTACT = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-contact-relationship"
# Which RelatedPerson.relationship makes which relationship; being a relative makes none.
_KINDS: dict[Coding, str] = {
    **{Coding(system, code): GUARDIAN for system in _ROLE_CODES for code in ("GUARD", "HPOWATT")},
    **{Coding(_FR_CONTACT, code): GUARDIAN for code in ("GRD", "CUR", "CURTL")},
    Coding(_FR_CONTACT, "K"): TRUSTED_PERSON,
}


PROFESSIONALS = frozenset({"Practitioner", "PractitionerRole"})
_TREATING = PROFESSIONALS | {"Organization"}


class Reading(NamedTuple):
    """How FHIR resources are read: the zone of partial dates, and the URLs under which references are our own.

    `grace_days`: for how many days what was done for a patient still proves a relationship (`care_team_grace_days`).
    """

    zone: tzinfo
    bases: tuple[str, ...] = ()
    grace_days: int = 0

    def reference(self, node: object) -> str | None:
        """Normalise a Reference to `Type/id`; None if it is none of ours."""
        text = node.get("reference") if isinstance(node, dict) else None
        return reference_of(text, self.bases) if isinstance(text, str) else None

    def actor(self, node: object) -> Actor | None:
        """Give whom a Reference names, literally or by identifier."""
        reference = self.reference(node)
        identifier = (
            identifier_of({"identifier": node.get("identifier")})
            if isinstance(node, dict)
            else None
        )
        if identifier is not None and not identifier.system:
            identifier = None
        return Actor(reference, identifier) if reference or identifier else None

    def actor_among(self, node: object, kinds: frozenset[str]) -> Actor | None:
        """Give whom a Reference names where that is one of some types; one that says no type may be of any."""
        actor = self.actor(node)
        if actor is None or not isinstance(node, dict):
            return None
        kind = actor.reference.partition("/")[0] if actor.reference else node.get("type")
        return actor if kind is None or kind in kinds else None


# ---- readers of one resource -----------------------------------------------------------------------------------


def memberships_of_care_team(team: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read who takes care of `CareTeam.subject` when; only an active team, only within its own period.

    Professionals and organisations alone: relatives and the patient may take part in a team without treating anybody,
    and a team inside a team proves nothing.
    """
    source = f"CareTeam/{team.get('id')}"
    return tuple(
        Membership(CARE_TEAM, actor, period, source) for actor, period in treating(team, reading)
    )


def treating(team: Json, reading: Reading) -> tuple[tuple[Actor, Period], ...]:
    """Give the professionals and organisations of a CareTeam, and when; nobody where it is not active."""
    if team.get("status") != "active" or is_modified(team):
        return ()
    return tuple(participants_of(team, reading, _TREATING))


def memberships_of_general_practitioner(patient: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read `Patient.generalPractitioner`: Practitioners, PractitionerRoles or Organizations, without period."""
    if is_modified(patient):
        return ()
    source = f"Patient/{patient.get('id')}"
    named = listed(patient, "generalPractitioner")
    actors = (reading.actor_among(node, _TREATING) for node in named)
    return tuple(
        Membership(GENERAL_PRACTITIONER, actor, ALWAYS, source) for actor in actors if actor
    )


def memberships_of_related_person(person: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read guardians and trusted persons; a RelatedPerson names itself by its id and its identifiers."""
    period = period_at(person, reading)
    if person.get("active") is False or is_modified(person) or period is None:
        return ()
    kinds = {_KINDS[coding] for coding in _codings(person, "relationship") if coding in _KINDS}
    source = f"RelatedPerson/{person.get('id')}"
    actors = [Actor(source), *(Actor(identifier=one) for one in identifiers_of(person))]
    return tuple(
        Membership(kind, actor, period, source) for kind in sorted(kinds) for actor in actors
    )


def patient_of(resource: Json, reading: Reading) -> str | None:
    """Give the one patient a CareTeam, Encounter, EpisodeOfCare, RelatedPerson or Patient is about."""
    if resource.get("resourceType") == "Patient":
        own = resource.get("id")
        return f"Patient/{own}" if isinstance(own, str) else None
    key = "subject" if resource.get("resourceType") in ("CareTeam", "Encounter") else "patient"
    reference = reading.reference(resource.get(key))
    return reference if reference and reference.startswith("Patient/") else None


def next_boundary(periods: Iterable[Period], now: float) -> float:
    """Give the next instant at which any of the periods begins or has ended; infinity if there is none."""
    edges = (edge for period in periods for edge in (period.start, period.end) if edge is not None)
    return min((edge for edge in edges if edge >= now), default=float("inf"))


# ---- what follows ----------------------------------------------------------------------------------------------


def relationships_of(
    facts: PatientFacts, closure: ActorClosure, principal: Principal, now: float
) -> frozenset[str] | None:
    """Give how the principal stands to the patient at an instant; `None` = unknown, because a look-up failed."""
    denied = excluded(facts.directives, closure, now)
    if facts.memberships is None or denied is None or not closure.complete:
        return None
    current = [one for one in facts.memberships if one.period.covers(now)]
    found = {"delegate"} if _acts_for_one(current, closure, principal) else set()
    if principal.delegator is None:  # who acts for another has no standing of its own there
        found |= {one.kind for one in current if is_named(one.actor, closure)}
        found |= {"self"} if _is_self(facts.patient, principal) else set()
    return frozenset(found | {"denied"} if denied else found)


def _acts_for_one(current: list[Membership], closure: ActorClosure, principal: Principal) -> bool:
    """Whether the caller acts for somebody who has a relationship to the patient."""
    behind = closure.behind
    if behind is not None:
        return behind.complete and any(is_named(one.actor, behind) for one in current)
    named = principal.on_behalf_of
    return named is not None and any(one.actor.reference == named for one in current)


def _is_self(patient: str, principal: Principal) -> bool:
    """Whether the caller is the patient: as the token names the person; only one it names by no resource may be told by context."""
    if principal.fhir_user is not None:
        return principal.fhir_user == patient
    return principal.kind is PrincipalKind.PATIENT and principal.patient == patient


def closure_of(
    roles: Iterable[Json],
    organizations: Iterable[Json],
    principal: Principal,
    reading: Reading,
    now: float,
    practitioners: Iterable[Json] = (),
) -> ActorClosure:
    """Give everything the caller is: itself, its active roles, their organisations and all above them (`partOf`).

    `practitioners` are the caller's own; only their active PractitionerRoles count. Organisations that the token names
    by identifier count like those of a role. In a situation of practice the caller holds the roles in its place alone, and is
    by profession what the situation says.
    """
    own = {f"Practitioner/{one.get('id')}": one for one in practitioners}
    me = frozenset(own) | ({principal.fhir_user} if principal.fhir_user else frozenset())
    mine = [role for role in roles if is_mine(role, me, reading)]
    houses = {f"Organization/{one.get('id')}": one for one in organizations}
    held = [
        role
        for role in mine
        if is_held(role, me, reading, now) and _is_there(role, principal.situation, houses, reading)
    ]
    named = _bearing(principal.organizations, houses)
    employers = {reading.reference(role.get("organization")) for role in held} - {None}
    above = _with_parents({one for one in employers if one} | named, houses, reading)
    known = [houses[one] for one in sorted(above) if one in houses]
    return ActorClosure(
        references=frozenset(one for one in me if not one.startswith("PractitionerRole/"))
        | _names(held)
        | above,
        former=_names(mine) - _names(held),
        identifiers=principal.identifiers
        | principal.organizations
        | {identifier for one in (*own.values(), *known) for identifier in identifiers_of(one)},
        roles=principal.roles if principal.situation else principal.roles | _held_codes(held),
        organization_types=frozenset(coding for one in known for coding in _codings(one, "type")),
    )


def _held_codes(held: Iterable[Json]) -> frozenset[Coding]:
    return frozenset(coding for role in held for coding in _codings(role, "code"))


def _bearing(identifiers: frozenset[Identifier], houses: dict[str, Json]) -> set[str]:
    """Give the organisations that have one of some identifiers."""
    return {
        reference
        for reference, one in houses.items()
        if not identifiers.isdisjoint(identifiers_of(one))
    }


def _is_there(
    role: Json, situation: Situation | None, houses: dict[str, Json], reading: Reading
) -> bool:
    """Whether a role is held in the place of the situation, or in a part of it."""
    if situation is None:
        return True
    employer = reading.reference(role.get("organization"))
    around = _with_parents({employer} if employer else set(), houses, reading)
    return not around.isdisjoint(_bearing(situation.site, houses))


def _names(roles: Iterable[Json]) -> frozenset[str]:
    return frozenset(f"PractitionerRole/{role.get('id')}" for role in roles)


def is_held(role: Json, me: frozenset[str], reading: Reading, now: float) -> bool:
    """Whether a PractitionerRole is one of the caller's, active and within its period."""
    period = period_at(role, reading)
    current = role.get("active") is not False and period is not None and period.covers(now)
    return current and is_mine(role, me, reading)


def is_mine(role: Json, me: frozenset[str], reading: Reading) -> bool:
    """Whether a PractitionerRole is or was one of the caller's."""
    return not me.isdisjoint(
        {reading.reference(role.get("practitioner")), f"PractitionerRole/{role.get('id')}"}
    )


def periods_of(resources: Iterable[Json], reading: Reading) -> Iterator[Period]:
    """Give the periods that can be read."""
    for one in resources:
        period = period_at(one, reading)
        if period is not None:
            yield period


def _with_parents(start: set[str], houses: dict[str, Json], reading: Reading) -> frozenset[str]:
    """Add everything above the organisations; cycles end by themselves."""
    found: set[str] = set()
    front = start
    while front:
        found |= front
        parents = (reading.reference(houses[one].get("partOf")) for one in front if one in houses)
        front = {parent for parent in parents if parent} - found
    return frozenset(found)


# ---- lenient reading: what is broken proves nothing --------------------------------------------------------------


def participants_of(
    team: Json, reading: Reading, kinds: frozenset[str]
) -> Iterator[tuple[Actor, Period]]:
    """Give who takes part in a CareTeam, and when; only references to these types."""
    whole = period_at(team, reading)
    for node in listed(team, "participant"):
        period = period_at(
            node, reading, "coveragePeriod" if "coveragePeriod" in node else "period"
        )
        actor = reading.actor_among(node.get("member"), kinds)
        if actor and whole and period and not is_modified(node) and "coverageTiming" not in node:
            yield actor, both(whole, period)


def both(one: Period, other: Period) -> Period:
    """Give the time that lies in both periods; one that ends before it starts covers nothing."""
    starts = [edge for edge in (one.start, other.start) if edge is not None]
    ends = [edge for edge in (one.end, other.end) if edge is not None]
    return Period(max(starts, default=None), min(ends, default=None))


def is_modified(node: Json) -> bool:
    """Whether something unknown changes the meaning."""
    return "modifierExtension" in node or "implicitRules" in node


def listed(node: Json, key: str) -> tuple[Json, ...]:
    """Give the objects of a repeated element; none where it cannot be read."""
    try:
        return objects_of(node, key)
    except UnsupportedError:
        return ()


def _codings(node: Json, key: str) -> frozenset[Coding]:
    found: set[Coding] = set()
    for concept in listed(node, key):
        try:
            found |= concepts_of({key: [concept]}, key)
        except UnsupportedError:
            continue
    return frozenset(found)


def identifiers_of(node: Json) -> frozenset[Identifier]:
    """Give the business identifiers that have both system and value, and are not old."""
    return frozenset(
        Identifier(system_of(system), value.strip())
        for one in listed(node, "identifier")
        if isinstance(system := one.get("system"), str) and system
        if isinstance(value := one.get("value"), str) and value and one.get("use") != "old"
    )


def period_at(node: Json, reading: Reading, key: str = "period") -> Period | None:
    """Give a period, `ALWAYS` if absent, None if it cannot be read."""
    try:
        return period_of(node, key, reading.zone) or ALWAYS
    except UnsupportedError:
        return None
