"""Reachability and shadowing: for every rule a request that it decides, or the proof that there is none (PAP). Pure.

The space of requests is finite once values that no rule tells apart are one: kinds, applications, interactions, types,
Consent verdicts, confidentiality, instants between the edges of campaigns, and for each set (roles, organisation types,
relationships, purposes, labels) the elements that rules name. One point of the single values is a bit mask of rules.

Sets need no enumeration of subsets: a target asks for one of its elements and never for the absence of one, so whatever
is held more can only make more rules match. From the least that a rule needs, more is added only where a deny must be
lifted, as some permit that lifts it needs it. If any request shows that a rule matters, one that is so made does.
Doubt is part of the space: where a look-up failed, denies match what is not held, and permits do not.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from proxy.decision.case import CompiledPolicies
from proxy.decision.points import Point
from proxy.decision.space import Element, Matched, Space
from proxy.errors import Finding
from proxy.fhir.coding import Effect

MOST_NAMED = 3
"""Rules that one finding names."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A request that comes out otherwise without the rule: one point, and what the caller and the resource hold."""

    rule: str
    point: Point
    held: frozenset[Element]

    def __str__(self) -> str:
        parts = [*self.point.words(), *(f"{one.name} {one.value}" for one in sorted(self.held))]
        return f"`{self.rule}` decides: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Idle:
    """A rule that changes no decision, and why: what is said of it, and the rules that make it so."""

    rule: str
    why: str
    because: tuple[str, ...] = ()


def examined(compiled: CompiledPolicies) -> tuple[Witness | Idle, ...]:
    """What is found of each rule, in order of their ids."""
    space = Space(compiled)
    return tuple(_Examination(space, number).result() for number in range(len(compiled.rules)))


def findings_of(compiled: CompiledPolicies) -> list[Finding]:
    """A finding for each rule that changes no decision; it names the place of every rule that makes it so."""
    places = compiled.policies.places

    def named(rule: str) -> str:
        return f"`{rule}` ({'{}:{}'.format(*places[rule])})" if rule in places else f"`{rule}`"

    idle = [one for one in examined(compiled) if isinstance(one, Idle)]
    return [
        Finding(
            *places.get(one.rule, ("policies", 1)),
            f"rule `{one.rule}` {one.why}{', '.join(map(named, one.because))}",
        )
        for one in idle
    ]


class _Examination:
    """Looks for a witness of one rule."""

    def __init__(self, space: Space, number: int) -> None:
        self._space = space
        self._bit = 1 << number
        self._rule = space.rules[number]
        self._number = number
        self._blocking: Counter[int] = Counter()
        self._beside: Counter[int] = Counter()
        self._met = False

    def result(self) -> Witness | Idle:
        permits = self._rule.effect is Effect.PERMIT
        tried = self._permit if permits else self._deny
        for point in self._space.points(self._number):
            self._met = True
            for matched in tried(point):
                return Witness(self._rule.id, point, matched.held)
        return self._idle_permit() if permits else self._idle_deny()

    # ---- permits -----------------------------------------------------------------------------------------------------

    def _permit(self, point: Point) -> Iterator[Matched]:
        """Where it is the permit that counts, the one that lifts, or the one that obliges."""
        lifted = self._space.tagged(self._rule.lifts)
        starts: list[tuple[int, ...]] = [(self._number,)]
        starts += [(self._number, deny) for deny in lifted]
        for start in starts:
            for settled in self._settled(point, start, 0):
                if self._counts(settled):
                    yield settled
                else:
                    self._beside.update(self._space.numbers(settled.permits & ~self._bit))

    def _counts(self, settled: Matched) -> bool:
        space, others = self._space, settled.permits & ~self._bit
        if not settled.permits & self._bit:
            return False  # doubt has taken away what the permit needs
        if not others or space.unlifted(settled.denies, others):
            return True
        joined = space.obligations(others)
        return joined | self._rule.obligations != joined

    def _idle_permit(self) -> Idle:
        if not self._met:
            return Idle(self._rule.id, "can be reached by no request")
        if self._beside:
            return Idle(
                self._rule.id, "is shadowed, it adds nothing to ", self._named(self._beside)
            )
        if self._blocking:
            why = "can never permit, for wherever it does this denies: "
            return Idle(self._rule.id, why, self._named(self._blocking))
        return Idle(self._rule.id, "can be reached by no request")

    # ---- denies ------------------------------------------------------------------------------------------------------

    def _deny(self, point: Point) -> Iterator[Matched]:
        """Where some permit would hold but for it."""
        for permit in self._space.numbers(point.mask & self._space.permits):
            for settled in self._settled(point, (self._number, permit), self._bit):
                if settled.permits and self._space.unlifted(
                    settled.denies & self._bit, settled.permits
                ):
                    yield settled
                else:
                    self._beside.update(self._space.numbers(settled.permits))

    def _idle_deny(self) -> Idle:
        if not self._met:
            return Idle(self._rule.id, "can be reached by no request")
        if self._beside:
            why = "denies nothing, for every permit that it meets lifts it: "
            return Idle(self._rule.id, why, self._named(self._beside))
        if self._blocking:
            why = "is shadowed, what it denies is denied by "
            return Idle(self._rule.id, why, self._named(self._blocking))
        return Idle(self._rule.id, "denies nothing, for it meets no permit")

    def _named(self, counted: Counter[int]) -> tuple[str, ...]:
        own = [number for number in counted if number < self._space.consent_deny]
        order = sorted(own or counted, key=lambda number: (-counted[number], number))
        return tuple(self._space.rules[number].id for number in order[:MOST_NAMED])

    # ---- the search --------------------------------------------------------------------------------------------------

    def _settled(self, point: Point, start: Sequence[int], spared: int) -> Iterator[Matched]:
        """Requests at this point that match all of `start`, and of which every deny but the spared is lifted."""
        needs = [self._space.needs(number, point) for number in start]
        for chosen in product(*needs):
            least = frozenset().union(*chosen)
            for held in self._space.whole(point, least):
                yield from self._lifted(point, held, spared)

    def _lifted(self, point: Point, held: frozenset[Element], spared: int) -> Iterator[Matched]:
        space = self._space
        matched = space.matched(point, held)
        against = space.unlifted(matched.denies & ~spared, matched.permits)
        if not against:
            yield matched
            return
        number = next(space.numbers(against))
        ways = space.opening() if number == space.matrix else self._lifts(number, point)
        ways = [more for more in ways if not more <= held]
        if not ways:
            self._blocking[number] += 1
        for more in ways:
            yield from self._lifted(point, held | more, spared)

    def _lifts(self, number: int, point: Point) -> list[frozenset[Element]]:
        """What more can be held so that some permit lifts a deny."""
        space = self._space
        return [more for one in space.lifting(number, point) for more in space.needs(one, point)]
