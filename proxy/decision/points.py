"""The points of the space of requests: one value of everything that is no set, of each class that rules tell apart. Pure.

What a rule says of kind, application, interaction, type, verdict of the Consents, confidentiality, instant, and with or
without a break-glass grant, is a bit mask of rules for each value; values of one mask are one. See `space` and `reach`.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from datetime import UTC
from functools import partial, reduce
from itertools import product
from math import inf, nextafter
from operator import and_, or_
from typing import NamedTuple

from proxy.decision.case import CompiledPolicies
from proxy.decision.rules import NAMED_ONLY, CompiledRule, speaks_of
from proxy.decision.terminology import RANK
from proxy.decision.voices import DOCUMENTS
from proxy.identity.principal import PrincipalKind
from proxy.identity.scopes import INTERACTIONS_OF
from proxy.policy.elements import resource_types

RANKS = tuple(sorted(RANK, key=RANK.__getitem__))
NOBODY = "about nobody"
CONSENTS: Mapping[str, frozenset[str]] = {
    "permit": frozenset({"permit"}),
    "named": frozenset({"permit", "named"}),
    "none": frozenset({"none"}),
    "deny": frozenset({"deny", "denies in general"}),
    "denies the caller": frozenset({"deny", "denies the caller"}),
    NOBODY: frozenset(),
}
"""What the Consents say, and the words it counts as; the last two of `deny` are those of the built-in denies."""

_USUAL = ("Observation", "Condition", "Procedure", "Encounter", *sorted(resource_types()))
"""Types of which the first that no rule names stands for all others."""


class Point(NamedTuple):
    """One value of everything that is no set; `mask` of the rules that match them."""

    mask: int
    kind: str
    client: str
    interaction: str
    type: str
    consent: str
    rank: str
    moment: float
    grant: bool

    def words(self) -> tuple[str, ...]:
        """What it is, for a reader."""
        said = (self.kind, self.interaction, self.type, f"consent {self.consent}", self.rank)
        client = (f"client {self.client}",) if self.client else ()
        return (*said, *client, *(("under a grant",) if self.grant else ()))


Values = tuple[tuple[object, int, Hashable], ...]
"""Of one dimension: each value, the rules that match it, and what else sets it apart."""


def mask_of(rules: Iterable[CompiledRule], holds: Callable[[CompiledRule], bool]) -> int:
    """The rules of which something holds, as a bit mask."""
    return sum(1 << number for number, rule in enumerate(rules) if holds(rule))


class Points:
    """The points of some policies. `rules`: theirs, and the denies that no policy writes; those from `under` on only bind grants."""

    def __init__(
        self, compiled: CompiledPolicies, rules: tuple[CompiledRule, ...], under: int
    ) -> None:
        self._rules = rules
        self._under = under
        self._policies = compiled.policies
        self._emergency = compiled.emergency
        self._documents = DOCUMENTS if compiled.policies.matrix else frozenset()
        self._dimensions = (
            self._kinds(), self._clients(), self._interactions(), self._types(), self._consents(), self._ranks(),
            self._moments(), self._grants(),
        )  # fmt: skip
        """In the order of the fields of `Point`."""

    def of(self, number: int) -> Iterator[Point]:
        """Every point that a rule matches, one of each class that the rules beside it there tell apart."""
        bit = 1 << number
        own = [[one for one in values if one[1] & bit] for values in self._dimensions]
        beside = reduce(and_, (reduce(or_, (mask for _, mask, _ in one), 0) for one in own))
        seen: set[Hashable] = set()
        for combination in product(*(_apart_by(one, beside) for one in own)):
            mask = reduce(and_, (one[1] for one in combination), beside)
            point = Point(mask, *(one[0] for one in combination))  # type: ignore[arg-type]  # of each dimension its own type
            key = (mask, *(one[2] for one in combination))
            if key not in seen and self._exists(point):
                seen.add(key)
                yield point

    def _exists(self, point: Point) -> bool:
        """Whether there is such a request: what is about nobody has no Consent, and only who may open a grant has one."""
        if point.type in self._policies.universal and point.consent != NOBODY:
            return False
        if not point.grant or self._emergency is None:
            return True
        if point.interaction in NAMED_ONLY:
            return False
        opener = self._emergency.opener.principal
        fits = (not opener.kind or point.kind in opener.kind) and point.consent != NOBODY
        return fits and (not opener.client or point.client in opener.client)

    # ---- dimensions --------------------------------------------------------------------------------------------------

    def _named(self, value: str, asked: Callable[[CompiledRule], Collection[str]]) -> int:
        """The rules that name a value, or none."""
        return mask_of(self._rules, lambda rule: not asked(rule) or value in asked(rule))

    def _kinds(self) -> Values:
        kinds = [one.value for one in PrincipalKind]
        return tuple(
            (one, self._named(one, lambda rule: rule.principal.kind), self._apart(one))
            for one in kinds
        )

    def _apart(self, kind: str) -> Hashable:
        opener = self._emergency.opener.principal.kind if self._emergency else ()
        by_matrix = bool(self._documents) and kind == PrincipalKind.PRACTITIONER.value
        is_patient = kind == PrincipalKind.PATIENT.value
        return kind in self._policies.default_purpose, by_matrix, is_patient, kind in opener

    def _clients(self) -> Values:
        opener = self._emergency.opener.principal.client if self._emergency else ()
        known = sorted({one for rule in self._rules for one in rule.principal.client} | set(opener))
        return tuple(
            (one, self._named(one, lambda rule: rule.principal.client), one in opener)
            for one in ("", *known)
        )

    def _interactions(self) -> Values:
        named = [code for letter in "rscud" for code in INTERACTIONS_OF[letter]]
        codes = dict.fromkeys((*named, *NAMED_ONLY))
        return tuple((one, mask_of(self._rules, partial(speaks_of, one)), None) for one in codes)

    def _types(self) -> Values:
        universal = self._policies.universal
        known = {one for rule in self._rules for one in rule.types} | universal | self._documents
        other = next(one for one in _USUAL if one not in known)
        return tuple(
            (
                one,
                self._named(one, lambda rule: rule.types),
                (one in universal, one in self._documents),
            )
            for one in (other, *sorted(known))
        )

    def _consents(self) -> Values:
        return tuple((one, self._speaking(words), one) for one, words in CONSENTS.items())

    def _speaking(self, words: frozenset[str]) -> int:
        return mask_of(
            self._rules, lambda rule: not rule.consent or not rule.consent.isdisjoint(words)
        )

    def _ranks(self) -> Values:
        return tuple((code, self._below(rank), code) for rank, code in enumerate(RANKS))

    def _below(self, rank: int) -> int:
        return mask_of(self._rules, lambda rule: rule.above is None or rank > rule.above)

    def _moments(self) -> Values:
        periods = [rule.campaign.period(UTC) for rule in self._rules if rule.campaign is not None]
        edges = {edge for first, last in periods for edge in (first, nextafter(last, inf))}
        moments = sorted({min(edges, default=0.0) - 1, *edges})
        return tuple((now, self._at(now), None) for now in moments)

    def _at(self, now: float) -> int:
        return mask_of(
            self._rules, lambda rule: rule.campaign is None or rule.campaign.covers(now, UTC)
        )

    def _grants(self) -> Values:
        every = (1 << len(self._rules)) - 1
        ordinary = (False, every & ((1 << self._under) - 1), False)
        return (ordinary, (True, every, True)) if self._emergency else (ordinary,)


def _apart_by(values: Iterable[tuple[object, int, Hashable]], beside: int) -> Values:
    """One value of each class that some rules tell apart."""
    found: dict[Hashable, tuple[object, int, Hashable]] = {}
    for value, mask, apart in values:
        found.setdefault((mask & beside, apart), (value, mask & beside, apart))
    return tuple(found.values())
