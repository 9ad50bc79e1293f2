"""Look up who the caller is: Practitioner, active PractitionerRoles, their Organizations and all above them.

FHIR resources say it, not the token: the token names one person and perhaps one organisation. What the answers hold is
checked again by `relationship.closure_of`.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace

from proxy.facts.cache import Found
from proxy.facts.elements import Json
from proxy.facts.finding import FindingKind
from proxy.facts.lookup import Budget, any_of, token_of
from proxy.facts.model import ActorClosure
from proxy.facts.relationship import Reading, closure_of, identifiers_of, next_boundary, periods_of
from proxy.facts.residual import restriction_of
from proxy.fhir.coding import Identifier
from proxy.identity.principal import Principal, PrincipalKind

MAX_ABOVE = 8
"""How far up an organisation's parents are followed."""


async def caller_of(
    principal: Principal, budget: Budget, reading: Reading, now: float
) -> Found[ActorClosure]:
    """Look up everything a principal is at an instant, and whom it acts for; not to be kept where any part of it is unknown."""
    own = await _alone(principal, budget, reading, now)
    if principal.delegator is None:
        return own
    behind = await _alone(principal.delegator, budget, reading, now)
    closure = replace(own.value, behind=behind.value)
    return Found(closure, min(own.until, behind.until), keep=own.keep and behind.keep)


async def _alone(
    principal: Principal, budget: Budget, reading: Reading, now: float
) -> Found[ActorClosure]:
    roles, practitioners = await _professional(budget, principal, reading)
    employers = {
        reading.reference(role["organization"]) for role in roles or () if "organization" in role
    }
    houses = await _houses(
        budget, {one for one in employers if one}, principal.organizations, reading
    )
    # An employer that cannot be told might be an insurer: then nothing is complete.
    complete = None not in (roles, practitioners, houses, *employers)
    if None in employers:
        told = ", ".join(sorted(_without_employer(roles or (), reading)))
        budget.tell(FindingKind.INCOMPLETE_CLOSURE, f"the organization of {told} cannot be told")
    closure = closure_of(roles or (), houses or (), principal, reading, now, practitioners or ())
    restriction = await restriction_of(principal, budget, reading, now)
    until = next_boundary(periods_of(roles or (), reading), now)
    known = replace(closure, complete=complete, restriction=restriction)
    return Found(known, until, keep=complete and (restriction is None or restriction.understood))


def _without_employer(roles: Iterable[Json], reading: Reading) -> Iterator[str]:
    for role in roles:
        if "organization" in role and reading.reference(role["organization"]) is None:
            yield f"PractitionerRole/{role.get('id')}"


async def _professional(
    budget: Budget, principal: Principal, reading: Reading
) -> tuple[list[Json] | None, list[Json] | None]:
    """Look up the caller's PractitionerRoles and Practitioner; nothing for who is no professional."""
    kind, _, own = (principal.fhir_user or "").partition("/")
    if kind == "PractitionerRole":
        return await _by_role(budget, own, reading)
    if kind == "Practitioner":
        return await _by_practitioner(budget, own)
    if not kind and principal.kind is PrincipalKind.PRACTITIONER:
        return await _by_identifiers(budget, principal.identifiers)
    return [], []


async def _by_practitioner(budget: Budget, own: str) -> tuple[list[Json] | None, list[Json] | None]:
    roles, practitioners = await asyncio.gather(
        budget.search("PractitionerRole", ("practitioner", f"Practitioner/{own}")),
        budget.by_id("Practitioner", {own}),
    )
    return roles, practitioners


async def _by_role(
    budget: Budget, own: str, reading: Reading
) -> tuple[list[Json] | None, list[Json] | None]:
    """Follow the one role that the token names to its Practitioner, and all other roles of that one."""
    roles = await budget.by_id("PractitionerRole", {own})
    users = {reading.reference(role.get("practitioner")) for role in roles or ()} - {None}
    if len(users) == 1:
        return await _by_practitioner(budget, str(users.pop()).partition("/")[2])
    # Who holds the role cannot be told, so nobody can say whether a deny names that person.
    if roles is not None:
        budget.tell(
            FindingKind.INCOMPLETE_CLOSURE, f"who holds PractitionerRole/{own} cannot be told"
        )
    return roles, None


async def _by_identifiers(
    budget: Budget, identifiers: frozenset[Identifier]
) -> tuple[list[Json] | None, list[Json] | None]:
    """Find the one Practitioner that has the token's identifiers."""
    asked = sorted(one for one in identifiers if one.system)
    answers = await asyncio.gather(*(budget.search("Practitioner", token_of(one)) for one in asked))
    if None in answers:
        return None, None
    found = {
        str(person.get("id")): person
        for answer in answers
        for person in answer or ()
        if not identifiers_of(person).isdisjoint(asked)
    }
    if not found:
        return [], []
    if len(found) > 1:
        _doubt(budget, "Practitioner", found)
        return None, None
    return await _by_practitioner(budget, *found)


async def _houses(
    budget: Budget, employers: set[str], named: frozenset[Identifier], reading: Reading
) -> list[Json] | None:
    """Look up the organisations of the roles and of the token, and those above them."""
    found = await _organizations(budget, named)
    if found is None:
        return None
    front = employers | _above(found, reading)
    seen: set[str] = {f"Organization/{one.get('id')}" for one in found}
    for _ in range(MAX_ABOVE):
        front = {one for one in front if one.startswith("Organization/")} - seen
        if not front:
            return found
        level = await budget.by_id("Organization", {one.partition("/")[2] for one in front})
        if level is None:
            return None
        gone = front - {f"Organization/{one.get('id')}" for one in level}
        if gone:
            gone_ones = ", ".join(sorted(gone))
            budget.tell(
                FindingKind.INCOMPLETE_CLOSURE, f"an organisation is not there: {gone_ones}"
            )
            return None
        seen |= front
        found = found + level
        front = _above(level, reading)
    budget.tell(
        FindingKind.INCOMPLETE_CLOSURE, f"more than {MAX_ABOVE} organisations above each other"
    )
    return None


def _above(houses: Iterable[Json], reading: Reading) -> set[str]:
    parents = {reading.reference(one.get("partOf")) for one in houses}
    return {one for one in parents if one}


async def _organizations(budget: Budget, named: frozenset[Identifier]) -> list[Json] | None:
    """Find the organisations that have the token's identifiers; two of one identifier are none in particular."""
    asked = sorted(one for one in named if one.system)
    if not asked:
        return []
    answer = await budget.search("Organization", any_of(asked))
    if answer is None:
        return None
    for identifier in asked:
        found = {str(one.get("id")) for one in answer if identifier in identifiers_of(one)}
        if len(found) > 1:
            _doubt(budget, "Organization", found)
            return None
    return [one for one in answer if not identifiers_of(one).isdisjoint(asked)]


def _doubt(budget: Budget, kind: str, ids: Iterable[str]) -> None:
    """Two of one identifier are nobody in particular; who they are helps an operator to mend one."""
    named = ", ".join(f"{kind}/{one}" for one in sorted(ids))
    budget.tell(FindingKind.INCOMPLETE_CLOSURE, f"one identifier of the caller is that of {named}")
