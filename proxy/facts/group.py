"""Who is in a Group or CareTeam that a Consent names, at an instant (https://hl7.org/fhir/R4/group.html, careteam.html).

A deny must reach everybody who is inside, so nobody is left out silently: what cannot be told is said to be untold. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.facts.elements import Json
from proxy.facts.model import Actor, Period
from proxy.facts.relationship import Reading, both, is_modified, next_boundary, period_at
from proxy.fhir.coding import Identifier

_DESCRIBED = frozenset({"definitional", "conceptual"})
"""R5 `Group.membership` of groups that are described and not listed."""


class Members(NamedTuple):
    """Who may be inside, and until when that holds. `references` is `None` where nothing can be told of it at all.

    `untold`: there is a member more who cannot be told. `doubtful`: whoever of them is inside for all we know, but not for certain.
    """

    references: frozenset[str] | None
    until: float
    identifiers: frozenset[Identifier] = frozenset()
    untold: bool = False
    doubtful: frozenset[str | Identifier] = frozenset()

    def certain(self) -> "Members":
        """Without those of whom it is in doubt: whom a permit names by naming the group (threats T-196)."""
        if self.references is None or not self.doubtful:
            return self
        return self._replace(
            references=self.references - self.doubtful, identifiers=self.identifiers - self.doubtful
        )


class _Member(NamedTuple):
    """One member; `None` where it cannot be told who, or when."""

    actor: Actor | None
    period: Period | None


def members_of(resource: Json, reading: Reading, now: float) -> Members:
    """Give the members; of one that is described and not listed, or that has groups inside, nothing can be told."""
    is_team = resource.get("resourceType") == "CareTeam"
    nodes = resource.get("participant" if is_team else "member", [])
    if is_modified(resource) or _is_described(resource) or not isinstance(nodes, list):
        return Members(None, now)
    if resource.get("status") != "active" if is_team else resource.get("active") is False:
        return Members(frozenset(), float("inf"))
    members = list(_team(resource, nodes, reading) if is_team else _group(nodes, reading))
    inside = [one.actor for one in members if one.period is None or one.period.covers(now)]
    known = [one for one in members if one.period is not None and one.period.covers(now)]
    references = frozenset(one.reference for one in inside if one and one.reference)
    if any(one.startswith(("Group/", "CareTeam/")) for one in references):
        return Members(None, now)
    return Members(
        references,
        next_boundary((one.period for one in members if one.period), now),
        frozenset(one.identifier for one in inside if one and one.identifier),
        untold=None in inside or any(one.period is None for one in members),
        doubtful=_names(one for one in members if one.period is None) - _names(known),
    )


def _names(members: Iterable[_Member]) -> frozenset[str | Identifier]:
    """By what members are known."""
    actors = [one.actor for one in members if one.actor]
    named = [*(one.reference for one in actors), *(one.identifier for one in actors)]
    return frozenset(one for one in named if one)


def _is_described(resource: Json) -> bool:
    return (
        "characteristic" in resource
        or resource.get("actual") is False
        or resource.get("membership") in _DESCRIBED
    )


def _group(nodes: list[object], reading: Reading) -> Iterator[_Member]:
    for node in nodes:
        if not isinstance(node, dict) or is_modified(node):
            yield _Member(None, None)
        elif node.get("inactive") is not True:
            told = "inactive" not in node or node["inactive"] is False
            yield _Member(
                reading.actor(node.get("entity")), period_at(node, reading) if told else None
            )


def _team(team: Json, nodes: list[object], reading: Reading) -> Iterator[_Member]:
    whole = period_at(team, reading)
    for node in nodes:
        if not isinstance(node, dict) or is_modified(node) or "coverageTiming" in node:
            yield _Member(None, None)
            continue
        key = "coveragePeriod" if "coveragePeriod" in node else "period"
        own = period_at(node, reading, key)
        yield _Member(
            reading.actor(node.get("member")), both(whole, own) if whole and own else None
        )
