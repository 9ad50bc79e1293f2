"""Facts as values: what was looked up for a decision (FHIR Consent, CareTeam, PractitionerRole, Organization).

Times are seconds since the epoch. `None` in place of a collection means *unknown* (the look-up failed), and denies.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from proxy.facts.grant import NO_GRANTS, Grant
from proxy.fhir.coding import Coding, Effect, Identifier


@dataclass(frozen=True, slots=True)
class Period:
    """A closed interval; `None` is an open end. Partial dates were widened in the configured zone, ends inclusive."""

    start: float | None = None
    end: float | None = None

    def covers(self, instant: float) -> bool:
        """Whether the instant lies inside."""
        return (self.start is None or self.start <= instant) and (
            self.end is None or instant <= self.end
        )


ALWAYS = Period()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who a provision names: a relative or absolute reference, an identifier, a role, or a combination.

    `members` are the references inside a named Group or CareTeam, `None` = not looked up, `identifiers` those of its
    members. `dead` is set when what is named, or somebody inside, cannot be found: nobody knows then whether it is the
    caller. A deny also knows the holder of a named role, as its only member, and the identifiers of whom it names.
    """

    reference: str | None = None
    identifier: Identifier | None = None
    role: Coding | None = None
    members: frozenset[str] | None = None
    dead: bool = False
    identifiers: frozenset[Identifier] = frozenset()


@dataclass(frozen=True, slots=True)
class ProvisionDatum:
    """`provision.data`: which instances, and how (`instance`, `related`, `dependents`, `authoredby`).

    `reference` is empty when it cannot be told. `mentions` are the references inside the named instance, which
    `related` asks for; `None` = not looked up.
    """

    meaning: str
    reference: str
    mentions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Provision:
    """One node of a directive: elements AND, values inside an element OR, empty element = no constraint.

    `path` is its FHIRPath inside the Consent (`provision.provision[1]`). `effect` is always known here: R5's
    alternation has been resolved at the border. A nested permit also carries the elements that it leaves open
    and its ancestors state; a deny carries only its own.
    """

    path: str
    effect: Effect
    period: Period = ALWAYS
    data_period: Period | None = None
    actors: tuple[Actor, ...] = ()
    actions: frozenset[str] = frozenset()
    purposes: frozenset[Coding] = frozenset()
    labels: frozenset[Coding] = frozenset()
    classes: frozenset[Coding] = frozenset()
    codes: frozenset[Coding] = frozenset()
    data: tuple[ProvisionDatum, ...] = ()
    provisions: tuple["Provision", ...] = ()

    @property
    def is_detailed(self) -> bool:
        """Whether it asks for the date, the authors, the profiles or the identity of a resource."""
        written = any(actor.role and actor.role.code == "AUT" for actor in self.actors)
        return bool(self.data or self.data_period or self.classes or written)

    def nodes(self) -> Iterator["Provision"]:
        """Itself and every provision below, in the order of the Consent."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.provisions))


def mentions_asked(nodes: Iterable[Provision]) -> frozenset[str]:
    """Give the references whose occurrence in a resource matters: `related` and `dependents` of any provision."""
    return frozenset(
        datum.reference
        for node in nodes
        for datum in node.data
        if datum.meaning in ("related", "dependents") and datum.reference
    )


@dataclass(frozen=True, slots=True)
class ConsentDirective:
    """One FHIR Consent, read. `problem` is set when it cannot be computed; then it is `unknown` for its patient.

    `reference` is version-specific where known (`Consent/x/_history/2`). `base` is the decision where no provision
    below the root applies. `acts_for` limits to purposes (research and treatment scopes); empty = any.
    `inert` says why it never acts (its status or scope), whatever else it says.
    """

    reference: str
    patient: str
    status: str
    base: Effect
    root: Provision
    period: Period = ALWAYS
    acts_for: frozenset[str] = frozenset()
    recorded: float | None = None
    problem: str | None = None
    inert: str | None = None

    def acts(self, now: float) -> bool:
        """Whether it is to be followed at this instant; one that cannot be computed is always followed (and denies)."""
        return self.inert is None and (self.problem is not None or self.period.covers(now))


@dataclass(frozen=True, slots=True)
class Membership:
    """A dated tie between an actor and a patient, from CareTeam, generalPractitioner, RelatedPerson and the like.

    `kind` is a relationship of decisions §5 (`care-team`, `general-practitioner`, `guardian`, `trusted-person`…);
    `source` the resource that proves it.
    """

    kind: str
    actor: Actor
    period: Period
    source: str


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What is known about one patient (`Patient/x`), independent of who asks. `None` = unknown.

    `detailed`: some provision asks for more of a resource than type, labels and codes (dates, authors, instances).
    """

    patient: str
    directives: tuple[ConsentDirective, ...] | None
    memberships: tuple[Membership, ...] | None
    detailed: bool = field(init=False, compare=False)
    codes: frozenset[str] = field(init=False, compare=False)
    """Codes that some provision asks a resource for; found once, because the facts are kept."""
    mentions: frozenset[str] = field(init=False, compare=False)
    """References whose occurrence in a resource some provision asks for."""
    edges: tuple[float, ...] = field(init=False, compare=False)
    """Where the periods of Consents, provisions and memberships begin and end, in order."""

    def __post_init__(self) -> None:
        nodes = [node for directive in self.directives or () for node in directive.root.nodes()]
        object.__setattr__(self, "detailed", any(node.is_detailed for node in nodes))
        object.__setattr__(
            self, "codes", frozenset(code.code for node in nodes for code in node.codes)
        )
        object.__setattr__(self, "mentions", mentions_asked(nodes))
        object.__setattr__(self, "edges", _edges(self, nodes))

    def steady_until(self, now: float) -> float:
        """The next instant at which any period of these facts begins or ends: until then they mean the same."""
        place = bisect_left(self.edges, now)
        return self.edges[place] if place < len(self.edges) else inf


def _edges(facts: PatientFacts, nodes: Iterable[Provision]) -> tuple[float, ...]:
    periods = [node.period for node in nodes]
    periods += [directive.period for directive in facts.directives or ()]
    periods += [membership.period for membership in facts.memberships or ()]
    edges = {edge for period in periods for edge in (period.start, period.end) if edge is not None}
    return tuple(sorted(edges))


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a token keeps its bearer to, besides scopes: one patient, and IHE PCF residual rules. It never widens anything.

    `patients`: one entry (`Patient/x`) for each claim that names a patient, `None` for one who cannot be told. `rules` are
    read as provisions, DENY for `forbid`. `problem` says what of it is not understood.
    """

    patients: tuple[str | None, ...]
    rules: tuple[Provision, ...] = ()
    problem: str | None = None

    @property
    def understood(self) -> bool:
        """Whether it can be kept to: otherwise nothing may leave."""
        return self.problem is None and None not in self.patients

    @property
    def is_detailed(self) -> bool:
        """Whether a rule asks for more of a resource than its labels."""
        return any(rule.is_detailed for rule in self.rules)

    @property
    def mentions(self) -> frozenset[str]:
        """References whose occurrence in a resource some rule asks for."""
        return mentions_asked(self.rules)


@dataclass(frozen=True, slots=True)
class ActorClosure:
    """Everything the caller *is* for a Consent or a care team: references, identifiers, roles, organisation types.

    References include the caller's Practitioner, its active PractitionerRoles, their Organizations and parents.
    `complete` is false when a look-up failed: then it matches denies and proves nothing. `restriction` is what the
    caller's token is kept to.
    """

    references: frozenset[str] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    roles: frozenset[Coding] = frozenset()
    organization_types: frozenset[Coding] = frozenset()
    complete: bool = True
    restriction: Restriction | None = None
    former: frozenset[str] = frozenset()
    """The caller's PractitionerRoles that have ended or not begun: a deny that names one may mean the person."""
    behind: "ActorClosure | None" = None
    """Everything that the one is on whose behalf the caller acts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was looked up for one request, at one instant. A patient that is missing here is unknown."""

    closure: ActorClosure
    now: float
    patients: Mapping[str, PatientFacts] = field(default_factory=lambda: MappingProxyType({}))
    grants: Mapping[str, Grant] = field(default_factory=lambda: NO_GRANTS)
    """The caller's break-glass grants, by patient."""
