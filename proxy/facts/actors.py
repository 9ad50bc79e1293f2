"""Consent.provision.actor: does it name the caller? Answered `True`, `False`, or `None` where nobody can tell.

Only what is certain is `False`: an actor that cannot be found, a Group or CareTeam whose members are unknown, a role
without meaning here are `None`; a deny then names everybody and a permit nobody (threats T-196). Pure.
"""

from collections.abc import Iterable

from proxy.facts.model import Actor, ActorClosure
from proxy.fhir.coding import PARTICIPATION, Coding

CUSTODIAN = Coding(PARTICIPATION, "CST")
"""Names who holds the data, which is us (decisions §4)."""
AUTHOR = Coding(PARTICIPATION, "AUT")
"""Names who wrote the data."""
RECIPIENTS = frozenset({Coding(PARTICIPATION, "IRCP"), Coding(PARTICIPATION, "PRCP")})

KNOWN_BY_CLOSURE = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device"}
)
"""Of these kinds a complete closure has all that the caller is."""
WITH_MEMBERS = frozenset({"Group", "CareTeam"})
"""Of these kinds the caller is one where a member."""


def names_caller(actor: Actor, closure: ActorClosure) -> bool | None:
    """Whether one actor is the caller; `None` = cannot be told. Author and custodian roles are never the caller."""
    if actor.role is not None and actor.role not in RECIPIENTS:
        return _has_role(actor, closure)
    if actor.reference is None and actor.identifier is None:
        # R5: a recipient without reference is any recipient
        return None if actor.dead else True
    if is_named(actor, closure):
        return True
    return False if closure.complete and _is_someone_else(actor, closure) else None


def is_named(actor: Actor, closure: ActorClosure) -> bool:
    """Whether the actor is the caller by reference, identifier or membership: certain, and personal."""
    return (
        actor.reference in closure.references
        or actor.identifier in closure.identifiers
        or (actor.members is not None and not closure.references.isdisjoint(actor.members))
        or not closure.identifiers.isdisjoint(actor.identifiers)
    )


def names_any(actors: Iterable[Actor], closure: ActorClosure) -> bool | None:
    """Whether any of the actors is the caller. Custodians count only where nobody else is named: then unknown."""
    answers = [names_caller(actor, closure) for actor in actors if actor.role != CUSTODIAN]
    if True in answers:
        return True
    return None if None in answers or not answers else False


def _has_role(actor: Actor, closure: ActorClosure) -> bool | None:
    """Judge a role that is not about receiving: computable only alone, as a group of callers by role."""
    own = closure.roles | closure.organization_types
    if actor.role is None or actor.reference is not None or actor.identifier is not None:
        return None
    if actor.role in own:
        return True
    comparable = closure.complete and any(role.system == actor.role.system for role in own)
    return False if comparable else None


def _is_someone_else(actor: Actor, closure: ActorClosure) -> bool:
    """Whether what is named is known, and is not the caller, who was looked up completely."""
    if actor.dead or not closure.former.isdisjoint({actor.reference, *(actor.members or ())}):
        return False
    if actor.reference is None:
        return actor.identifier is not None and any(
            own.system == actor.identifier.system for own in closure.identifiers
        )
    kind = actor.reference.partition("/")[0]
    return kind in KNOWN_BY_CLOSURE or (kind in WITH_MEMBERS and actor.members is not None)
