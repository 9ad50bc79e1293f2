"""The Consents of one patient in force, compiled: those that say the same are one, and each is found by whom it names.

Made once for the facts and an epoch (`epochs`), asked for every caller. INVARIANT: what is left out for a caller has no
provision in force in which that caller lies, certainly or in doubt; in every doubt a Consent is found. A permit names
only whom it certainly names; a deny names also whom it may name (threats T-196), so of the denies only those are
indexed of which a complete closure says for certain that they mean someone else. Pure.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from proxy.facts.actors import AUTHOR, CUSTODIAN, KNOWN_BY_CLOSURE, RECIPIENTS, WITH_MEMBERS
from proxy.facts.epochs import Directives, Same
from proxy.facts.model import Actor, ActorClosure, ConsentDirective, Provision
from proxy.fhir.coding import Coding, Effect, Identifier

MAX_SILENT = 10
"""How many silent Consents are given as reasons."""


class Key(NamedTuple):
    """By what a caller is found; `no-…-system`: where the caller has nothing of that system to compare."""

    kind: Literal["reference", "identifier", "role", "no-identifier-system", "no-role-system"]
    value: str | Identifier | Coding


class Entry(NamedTuple):
    """A Consent in force; `voice` numbers what it says, whatever it is called."""

    directive: ConsentDirective
    voice: int


@dataclass(frozen=True, slots=True)
class InForce:
    """The Consents that act within one epoch.

    `references` are all of them, `unknown` those that cannot be computed; `distinct` is the first of each voice, at the
    place of its number; `permits` the first few of each voice whose base is permit, in order. `always` are the voices
    that may speak to anybody, `named` those that may only to whom a key finds, `systems` the `no-…-system` keys of it.
    """

    references: frozenset[str]
    unknown: tuple[ConsentDirective, ...]
    distinct: tuple[ConsentDirective, ...]
    permits: tuple[Entry, ...]
    always: frozenset[int]
    named: Mapping[Key, Sequence[int]]
    systems: tuple[Key, ...]

    def for_caller(self, closure: ActorClosure) -> tuple[Entry, ...]:
        """Give the voices that may have something to say about this caller, in order."""
        found = self._found(closure) if closure.complete else range(len(self.distinct))
        return tuple(Entry(self.distinct[voice], voice) for voice in found)

    def _found(self, closure: ActorClosure) -> list[int]:
        keys = {*_keys_of(closure), *_lacking(closure, self.systems)}
        return sorted(self.always.union(*(self.named[key] for key in keys if key in self.named)))


def _keys_of(closure: ActorClosure) -> Iterator[Key]:
    """By what a caller is found."""
    yield from (Key("reference", one) for one in closure.references | closure.former)
    yield from (Key("identifier", one) for one in closure.identifiers)
    yield from (Key("role", one) for one in closure.roles | closure.organization_types)


def _lacking(closure: ActorClosure, systems: tuple[Key, ...]) -> Iterator[Key]:
    """Of these systems, those in which the caller has nothing: whoever is named by them may be the caller."""
    own = {Key("no-identifier-system", one.system) for one in closure.identifiers}
    own |= {Key("no-role-system", one.system) for one in closure.roles | closure.organization_types}
    return (key for key in systems if key not in own)


@lru_cache(maxsize=2048)
def in_force(directives: Same[Directives], now: float, *, by_date: bool = False) -> InForce:
    """Compile the Consents that act at an instant of `epochs.instant_of`. `by_date`: those of different dates are not the same."""
    acting = [one for one in directives.value if one.acts(now)]
    voices: dict[Hashable, int] = {}
    entries = [
        Entry(one, voices.setdefault(_said_by(one, now, by_date=by_date), len(voices)))
        for one in acting
        if one.problem is None
    ]
    first = {voice: one for one, voice in reversed(entries)}
    distinct = tuple(first[voice] for voice in range(len(voices)))
    always, named = _indexed(distinct, now)
    return InForce(
        frozenset(one.reference for one in acting),
        tuple(one for one in acting if one.problem is not None),
        distinct,
        tuple(_first_few(entries)),
        always,
        named,
        tuple(key for key in named if key.kind.startswith("no-")),
    )


def _first_few(entries: list[Entry]) -> Iterator[Entry]:
    """The permits that may be told as silent: of one voice all are, or none."""
    told: dict[int, int] = defaultdict(int)
    for entry in entries:
        if entry.directive.base is Effect.PERMIT and told[entry.voice] < MAX_SILENT:
            told[entry.voice] += 1
            yield entry


def _said_by(directive: ConsentDirective, now: float, *, by_date: bool) -> Hashable:
    """Give all that a Consent can say in this epoch."""
    recorded = directive.recorded if by_date else None
    return directive.base, directive.acts_for, recorded, _tree(directive.root, now)


def _tree(node: Provision, now: float) -> Hashable:
    """Give all that a provision and what is in force below can say; an end that is over makes it say nothing."""
    if not node.period.covers(now):
        return None
    below = tuple(_tree(child, now) for child in node.provisions if child.period.covers(now))
    return (
        node.effect, node.actors, node.purposes, node.actions, node.labels, node.classes, node.codes,
        node.data_period, node.data, below,
    )  # fmt: skip


def _indexed(
    distinct: tuple[ConsentDirective, ...], now: float
) -> tuple[frozenset[int], Mapping[Key, Sequence[int]]]:
    """Sort the voices into those that may speak to anybody, and those found by keys."""
    always: set[int] = set()
    named: dict[Key, list[int]] = defaultdict(list)
    for voice, directive in enumerate(distinct):
        keys = _keys_to(directive.root, now)
        if keys is None:
            always.add(voice)
        for key in keys or ():
            named[key].append(voice)
    return frozenset(always), dict(named)


def _keys_to(node: Provision, now: float) -> frozenset[Key] | None:
    """By what a caller is found who may lie in a provision, or in one below; None = any caller may."""
    if not node.period.covers(now):
        return frozenset()
    if not node.provisions:
        return _keys_in(node)
    found = [_keys_in(node), *(_keys_to(child, now) for child in node.provisions)]
    keys = [one for one in found if one is not None]
    return frozenset().union(*keys) if len(keys) == len(found) else None


def _keys_in(node: Provision) -> frozenset[Key] | None:
    """By what a caller is found who may lie in one provision; None = any caller may."""
    if not node.actors or any(actor.role == AUTHOR for actor in node.actors):
        return None
    doubt = node.effect is Effect.DENY
    found = [_keys_by(one, doubt=doubt) for one in node.actors if one.role != CUSTODIAN]
    keys = [one for one in found if one is not None]
    nobody = not found and doubt  # custodians alone: a deny then names everybody
    return frozenset().union(*keys) if len(keys) == len(found) and not nobody else None


def _keys_by(actor: Actor, *, doubt: bool) -> frozenset[Key] | None:
    """By what a caller is found whom an actor names, in doubt included; None = it may name anybody."""
    unnamed = actor.reference is None and actor.identifier is None
    nobody = None if doubt else _NOBODY
    if actor.role is not None and actor.role not in RECIPIENTS:
        return _keys_by_role(actor.role, doubt=doubt) if unnamed else nobody
    if unnamed:
        return nobody if actor.dead else None
    if doubt and not _can_be_someone_else(actor):
        return None
    lacking = doubt and actor.reference is None
    return frozenset(_keys_by_name(actor, lacking=lacking))


def _keys_by_role(role: Coding, *, doubt: bool) -> frozenset[Key]:
    own = Key("role", role)
    return frozenset({own, Key("no-role-system", role.system)} if doubt else {own})


def _keys_by_name(actor: Actor, *, lacking: bool) -> Iterator[Key]:
    references = {actor.reference, *(actor.members or ())}
    yield from (Key("reference", one) for one in references if one is not None)
    yield from (Key("identifier", one) for one in actor.identifiers)
    if actor.identifier is not None:
        yield Key("identifier", actor.identifier)
        if lacking:
            yield Key("no-identifier-system", actor.identifier.system)


def _can_be_someone_else(actor: Actor) -> bool:
    """Whether a complete closure could tell that this is not the caller."""
    if actor.dead:
        return False
    kind = (actor.reference or "").partition("/")[0]
    resolved = kind in KNOWN_BY_CLOSURE or (kind in WITH_MEMBERS and actor.members is not None)
    return actor.reference is None or resolved


_NOBODY: frozenset[Key] = frozenset()
