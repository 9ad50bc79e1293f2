"""The space of requests that a set of rules can tell apart: points of single values, and elements of sets. Pure.

What a rule says of a set (roles, organisation types, relationships, purposes, labels) is, for each element, the mask of the
rules that ask for it. The single values are in `points`, the search for a request that a rule decides in `reach`.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import or_
from typing import NamedTuple

from proxy.decision.case import CompiledPolicies
from proxy.decision.emergency import BREAK_GLASS
from proxy.decision.model import NO_OBLIGATIONS, Obligations
from proxy.decision.points import NOBODY, RANKS, Point, Points, mask_of
from proxy.decision.rules import OF_RESOURCE, CompiledRule
from proxy.decision.terminology import PURPOSES, RANK, is_sensitivity
from proxy.decision.voices import DOCUMENTS
from proxy.facts.grant import BREAK_GLASS_TIE
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.identity.principal import PrincipalKind
from proxy.policy.model import CONSENT_TAG
from proxy.policy.target import PrincipalTarget

SETS = ("role", "organization_type", "relationship", "purpose", "label")


class Element(NamedTuple):
    """One element of a set, or a doubt; `coding` where it is one."""

    name: str
    value: str
    coding: Coding | None = None


DOUBT_OF_CALLER = Element("doubt", "what the caller is could not be looked up")
DOUBT_OF_TIES = Element("doubt", "how the caller stands to the patient could not be looked up")


@dataclass(frozen=True, slots=True)
class Matched:
    """The permits and denies that match, as masks, where this is held."""

    held: frozenset[Element]
    permits: int
    denies: int


def _bare(
    name: str, tag: str = "", consent: Iterable[str] = (), **more: frozenset[str]
) -> CompiledRule:
    """A deny that is no rule of a policy."""
    nothing: frozenset[Coding] = frozenset()
    return CompiledRule(
        id=name, effect=Effect.DENY, tag=tag, absolute=not tag, lifts=frozenset(), obligations=NO_OBLIGATIONS,
        sentence="", principal=PrincipalTarget(), roles=nothing, organization_types=nothing, purposes=frozenset(),
        interactions=frozenset(), types=more.get("types", frozenset()), labels=nothing, above=None,
        relationships=frozenset(), consent=frozenset(consent),
    )  # fmt: skip


class Space:
    """The space of some policies. `rules`: theirs, and behind them the denies that no policy writes."""

    def __init__(self, compiled: CompiledPolicies) -> None:
        self._policies = compiled.policies
        self._emergency = compiled.emergency
        matrix = compiled.policies.matrix
        self.consent_deny = len(compiled.rules)
        self.matrix = self.consent_deny + 2 if matrix else -1
        built_in = [
            _bare("a Consent that denies", CONSENT_TAG, ["denies in general"]),
            _bare("a Consent that denies the caller", "", ["denies the caller"]),
        ]
        built_in += [_bare("the matrix", types=DOCUMENTS)] if matrix else []
        self._ordinary = len(compiled.rules) + len(built_in)
        under = compiled.emergency.denies if compiled.emergency else ()
        self.rules: tuple[CompiledRule, ...] = (*compiled.rules, *built_in, *under)
        self.permits = mask_of(self.rules, lambda rule: rule.effect is Effect.PERMIT)
        self._denies = mask_of(self.rules, lambda rule: rule.effect is Effect.DENY)
        self._absolute = mask_of(self.rules, lambda rule: rule.absolute)
        self._open = self._open_roles()
        self._free = {name: self._asking_nothing(name) for name in SETS}
        self._elements = {name: self._classes(name) for name in SETS}
        self._of = {one: mask for kept in self._elements.values() for one, mask in kept.items()}
        self._by_rank = {rank: self._labelled(Coding(CONFIDENTIALITY, rank)) for rank in RANKS}
        self._points = Points(compiled, self.rules, self._ordinary)
        self._lifted: dict[int, int] = {}
        self._needs: dict[Hashable, tuple[frozenset[Element], ...]] = {}
        # what doubt makes a deny match: relationships that are proven by the resource stay known
        self._in_doubt = mask_of(self.rules, lambda rule: bool(rule.relationships - OF_RESOURCE))

    def _asking(self, name: str, value: Coding | str) -> int:
        return mask_of(self.rules, lambda rule: value in _asked(rule)[name])

    def _asking_nothing(self, name: str) -> int:
        return mask_of(self.rules, lambda rule: not _asked(rule)[name])

    def _labelled(self, label: Coding) -> int:
        return mask_of(self.rules, lambda rule: label in rule.labels)

    def _open_roles(self) -> frozenset[Coding]:
        matrix, terms = self._policies.matrix, self._policies.terms
        names = {role for (role, _), may in matrix.cells.items() if may} if matrix else set()
        return frozenset().union(*(terms.role(name) for name in names))

    # ---- sets --------------------------------------------------------------------------------------------------------

    def _classes(self, name: str) -> dict[Element, int]:
        """One element of each class that rules tell apart, with its mask."""
        found: dict[Hashable, tuple[Element, int]] = {}
        for element in self._candidates(name):
            key = element.coding or element.value
            mask = self._asking(name, key)
            found.setdefault((mask, self._apart(element)), (element, mask))
        return dict(found.values())

    def _candidates(self, name: str) -> Iterator[Element]:
        if name == "purpose":
            yield from (Element(name, code) for code in sorted(PURPOSES))
            return
        asked = {one for rule in self.rules for one in _asked(rule)[name]}
        more = self._open if name == "role" else frozenset()
        for one in sorted(asked | more):
            if not isinstance(one, Coding):
                yield Element(name, one)
            elif one.system != CONFIDENTIALITY:
                yield Element(name, one.code, one)

    def _apart(self, element: Element) -> Hashable:
        if element.name == "label" and element.coding is not None:
            return is_sensitivity(element.coding)
        return element.coding in self._open, element.value in (BREAK_GLASS, BREAK_GLASS_TIE)

    def needs(self, number: int, point: Point) -> tuple[frozenset[Element], ...]:
        """The least that can be held so that a rule's sets match at a point; empty where they cannot."""
        key = (number, point.rank, point.consent == NOBODY, point.grant)
        known = self._needs.get(key)
        if known is None:
            options = [tuple(self._options(number, name, point)) for name in SETS]
            known = self._needs[key] = tuple(frozenset().union(*one) for one in product(*options))
        return known

    def _options(self, number: int, name: str, point: Point) -> Iterator[frozenset[Element]]:
        bit, rule = 1 << number, self.rules[number]
        if self._free[name] & bit or (name == "label" and self._by_rank[point.rank] & bit):
            yield frozenset()
            return
        for element, mask in self._elements[name].items():
            if mask & bit and self._may_be_held(element, point):
                yield frozenset({element})
        if rule.effect is Effect.DENY and name in ("role", "organization_type"):
            yield frozenset({DOUBT_OF_CALLER})
        if (
            name == "relationship"
            and self._denies & self._in_doubt & bit
            and point.consent != NOBODY
        ):
            yield frozenset({DOUBT_OF_TIES})

    def _may_be_held(self, element: Element, point: Point) -> bool:
        if element.name == "purpose":
            return (element.value == BREAK_GLASS) is point.grant
        if element.name == "label" and element.coding is not None:
            return not is_sensitivity(element.coding) or RANK[point.rank] >= RANK["R"]
        if element.name != "relationship":
            return True
        if element.value == "self" and point.kind != PrincipalKind.PATIENT.value:
            return False
        if element.value == BREAK_GLASS_TIE and not point.grant:
            return False
        return element.value in OF_RESOURCE or point.consent != NOBODY

    def whole(self, point: Point, held: frozenset[Element]) -> Iterator[frozenset[Element]]:
        """What is held and what must be beside it: a purpose where the policies give one to whoever names none, or a grant's own."""
        if any(one.name == "purpose" for one in held) and not point.grant:
            yield held
            return
        yield from (held | more for more in self._basics(point))

    def _basics(self, point: Point) -> tuple[frozenset[Element], ...]:
        if point.grant and self._emergency is not None:
            own = frozenset(
                {Element("purpose", BREAK_GLASS), Element("relationship", BREAK_GLASS_TIE)}
            )
            opener = self._emergency.opener
            wanted = {"role": opener.roles, "organization_type": opener.organization_types}
            options = [
                [frozenset({Element(name, one.code, one)}) for one in sorted(codings)] or [own]
                for name, codings in wanted.items()
            ]
            return tuple(own.union(*one) for one in product(*options))
        if point.kind in self._policies.default_purpose:
            held = (one for one in self._elements["purpose"] if self._may_be_held(one, point))
            return tuple(frozenset({one}) for one in held)
        return (frozenset(),)

    def opening(self) -> tuple[frozenset[Element], ...]:
        """Roles for which the matrix has an open cell."""
        return tuple(frozenset({one}) for one in self._elements["role"] if one.coding in self._open)

    # ---- matching ----------------------------------------------------------------------------------------------------

    def matched(self, point: Point, held: frozenset[Element]) -> Matched:
        """Which rules match."""
        sure = {name: self._free[name] for name in SETS}
        sure["label"] |= self._by_rank[point.rank]
        doubtful = held & {DOUBT_OF_CALLER, DOUBT_OF_TIES}
        for one in held - doubtful:
            if not doubtful or one.name != "relationship" or one.value in OF_RESOURCE:
                sure[one.name] |= self._mask_of(one)
        permits = point.mask & self.permits
        denies = point.mask & self._denies
        for name, mask in sure.items():
            permits &= mask
            if name in ("role", "organization_type") and DOUBT_OF_CALLER in held:
                continue
            in_doubt = doubtful and name == "relationship" and point.consent != NOBODY
            denies &= mask | self._in_doubt if in_doubt else mask
        if self.matrix >= 0 and any(
            one.name == "role" and one.coding in self._open for one in held
        ):
            denies &= ~(1 << self.matrix)
        return Matched(held, permits, denies)

    def _mask_of(self, element: Element) -> int:
        known = self._of.get(element)
        if known is None:
            key = element.coding or element.value
            known = self._asking(element.name, key)
            self._of[element] = known
        return known

    def unlifted(self, denies: int, permits: int) -> int:
        """Those of some denies that none of some permits lifts."""
        lifted = self._lifted.get(permits)
        if lifted is None:
            lifts = frozenset().union(*(self.rules[one].lifts for one in self.numbers(permits)))
            lifted = self._lifted[permits] = sum(1 << one for one in self.tagged(lifts))
        return denies & ~lifted

    def lifting(self, number: int, point: Point) -> Iterator[int]:
        """The permits that lift a deny and can match at a point."""
        if not self._absolute >> number & 1:
            tag = self.rules[number].tag
            for permit in self.numbers(point.mask & self.permits):
                if tag in self.rules[permit].lifts:
                    yield permit

    def tagged(self, tags: frozenset[str]) -> list[int]:
        """The denies that bear one of these tags, and can be lifted."""
        return [
            n for n in self.numbers(self._denies & ~self._absolute) if self.rules[n].tag in tags
        ]

    def obligations(self, permits: int) -> Obligations:
        """What some permits oblige to, together."""
        return reduce(
            or_, (self.rules[n].obligations for n in self.numbers(permits)), NO_OBLIGATIONS
        )

    @staticmethod
    def numbers(mask: int) -> Iterator[int]:
        """The numbers of the rules in a mask, in order."""
        while mask:
            low = mask & -mask
            yield low.bit_length() - 1
            mask ^= low

    def points(self, number: int) -> Iterator[Point]:
        """Every point that a rule matches, one of each class that the rules beside it there tell apart."""
        return self._points.of(number)


def _asked(rule: CompiledRule) -> Mapping[str, frozenset[Coding] | frozenset[str]]:
    """What a rule asks of each set."""
    return {
        "role": rule.roles,
        "organization_type": rule.organization_types,
        "relationship": rule.relationships,
        "purpose": rule.purposes,
        "label": rule.labels,
    }
