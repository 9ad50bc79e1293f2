"""What Consents name, resolved: members of Groups and CareTeams, dead references, what a `related` instance refers to.

A deny whose actor cannot be found is a deny for everyone (decisions §4, peers D14-03), and whether it can be found only
upstream can tell. A reference that was not found is dead; one that could not be asked about makes its Consent unknown. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from proxy.facts.activity import members_proven
from proxy.facts.elements import Json
from proxy.facts.group import Members, members_of
from proxy.facts.model import Actor, ConsentDirective, Membership, Provision, ProvisionDatum
from proxy.facts.relationship import Reading, identifiers_of
from proxy.fhir.coding import Effect

WITH_MEMBERS = frozenset({"Group", "CareTeam"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was found. `asked` are the references that were asked about; those of a failed look-up are not in it."""

    asked: frozenset[str]
    members: Mapping[str, Members]
    mentions: Mapping[str, frozenset[str]]
    until: float
    found: Mapping[str, Json]
    holders: Mapping[str, str | None]
    """Who holds each PractitionerRole; `None` where it says so in words that cannot be resolved."""

    @classmethod
    def of(
        cls,
        answers: Mapping[str, tuple[frozenset[str], list[Json] | None]],
        reading: Reading,
        now: float,
    ) -> "Resolved":
        """Read answers by type, each with the ids that were asked for; `None` = the look-up failed."""
        found = {
            f"{kind}/{one.get('id')}": one
            for kind, (_, answer) in answers.items()
            for one in answer or ()
        }
        groups = {
            name: members_of(one, reading, now)
            for name, one in found.items()
            if name.partition("/")[0] in WITH_MEMBERS
        }
        return cls(
            asked=frozenset(
                f"{kind}/{one}"
                for kind, (ids, answer) in answers.items()
                if answer is not None
                for one in ids
            ),
            members=groups,
            mentions={name: frozenset(_references(one, reading)) for name, one in found.items()},
            until=min((one.until for one in groups.values()), default=float("inf")),
            found=found,
            holders={
                name: reading.reference(one["practitioner"])
                for name, one in found.items()
                if name.startswith("PractitionerRole/") and "practitioner" in one
            },
        )


def named_by(directives: Iterable[ConsentDirective]) -> dict[str, frozenset[str]]:
    """Give what must be asked upstream, as ids by type: groups, actors of denies, instances of `related`."""
    wanted: dict[str, set[str]] = {}
    for directive in directives:
        for reference in _asked_by(directive):
            kind, _, own = reference.partition("/")
            wanted.setdefault(kind, set()).add(own)
    return {kind: frozenset(ids) for kind, ids in wanted.items()}


def resolved(directive: ConsentDirective, answer: Resolved) -> ConsentDirective | None:
    """Give the directive with what was found; `None` if something that it needs could not be asked."""
    asked = set(_asked_by(directive))
    if not asked:
        return directive
    if not asked <= answer.asked:
        return None
    return replace(directive, root=_provision(directive.root, answer))


def _asked_by(directive: ConsentDirective) -> Iterator[str]:
    if directive.inert is not None or directive.problem is not None:
        return
    for node in directive.root.nodes():
        for actor in node.actors:
            if actor.reference and not actor.dead and _must_be_asked(actor.reference, node.effect):
                yield actor.reference
        yield from (
            datum.reference for datum in node.data if datum.meaning == "related" and datum.reference
        )


def _must_be_asked(reference: str, effect: Effect) -> bool:
    """Tell where it matters: a permit for somebody who cannot be found harms nobody, a deny does."""
    return effect is Effect.DENY or reference.partition("/")[0] in WITH_MEMBERS


def _provision(node: Provision, answer: Resolved) -> Provision:
    return replace(
        node,
        actors=tuple(_actor(one, answer, node.effect) for one in node.actors),
        data=tuple(_datum(one, answer) for one in node.data),
        provisions=tuple(_provision(child, answer) for child in node.provisions),
    )


def with_members(
    memberships: Iterable[Membership] | None, patient: str, answer: Resolved, reading: Reading
) -> tuple[Membership, ...] | None:
    """Give the memberships with the members of CareTeams in the teams' place; `None` where a team could not be asked."""
    whole: list[Membership] = []
    for one in memberships if memberships is not None else ():
        team = one.actor.reference or ""
        if not team.startswith("CareTeam/"):
            whole.append(one)
        elif team in answer.asked:
            whole += members_proven(one, patient, answer.found.get(team), reading)
        else:
            return None
    return None if memberships is None else tuple(whole)


def _actor(actor: Actor, answer: Resolved, effect: Effect) -> Actor:
    if actor.reference not in answer.asked:
        return actor
    inside = answer.members.get(actor.reference)
    if inside is not None and effect is Effect.PERMIT:
        inside = inside.certain()
    known = replace(
        actor,
        members=inside.references if inside else None,
        identifiers=inside.identifiers if inside else frozenset(),
        dead=actor.reference not in answer.found or (inside is not None and inside.untold),
    )
    return _person(known, actor.reference, answer) if effect is Effect.DENY else known


def _person(actor: Actor, reference: str, answer: Resolved) -> Actor:
    """A deny names the person, whichever of its roles or records it names: also a role that has ended, a double record.

    A role whose holder cannot be told may be anybody's.
    """
    found = answer.found.get(reference, {})
    if reference in answer.holders:
        holder = answer.holders[reference]
        return replace(actor, members=frozenset({holder} if holder else ()), dead=holder is None)
    if reference.partition("/")[0] in _WITH_IDENTIFIERS:
        return replace(actor, identifiers=identifiers_of(found))
    return actor


_WITH_IDENTIFIERS = frozenset({"Practitioner", "Organization"})


def _datum(datum: ProvisionDatum, answer: Resolved) -> ProvisionDatum:
    """Add what the instance refers to; one that does not exist refers to nothing."""
    if datum.meaning != "related" or datum.reference not in answer.asked:
        return datum
    return replace(datum, mentions=answer.mentions.get(datum.reference, frozenset()))


def _references(resource: Json, reading: Reading) -> Iterator[str]:
    """Every reference inside a resource that is one of ours."""
    stack: list[object] = [resource]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            reference = reading.reference(node)
            if reference:
                yield reference
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
