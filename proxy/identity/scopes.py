"""SMART scopes, v1 and v2, as a ceiling: they never widen (SMART App Launch 2.2; standards SCOPE-1..15).

Grammar of a resource scope (scopes-and-launch-context, railroad diagram):

    level "/" rtype "." perms      level patient|user|system, rtype a type or "*", perms of "cruds" in this order
    level "/" rtype "." v1         v1 read|write|"*", the same as rs, cud, cruds
    … perms "?" name "=" value     constraints, joined by "&": all of them must hold for a resource (SCOPE-8)

Nothing is ever half understood (SCOPE-2): whether a constraint can be evaluated at all, `fhir.conditions` says, and one that
cannot lets its scope grant nothing. Scopes are joined by OR (SCOPE-9).
"""

import functools
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.errors import CallerError
from proxy.fhir.conditions import Constraint
from proxy.fhir.query import pairs_of

LEVELS = frozenset({"patient", "user", "system"})

INTERACTIONS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "c": ("create",),
        "r": ("read", "vread", "history-instance"),
        "u": ("update", "patch"),
        "d": ("delete",),
        "s": ("search-type", "history-type", "search-system", "history-system"),
    }
)
"""Permission to codes of http://hl7.org/fhir/restful-interaction. Batch, transaction and operations have none (SCOPE-7, 12)."""

EXPORT = "export"
_OF_EXPORT = frozenset("rs")
"""SMART Backend Services: what is exported is read and searched, by a system (`system/*.rs`, `system/Patient.read`)."""

V1_PERMISSIONS: Mapping[str, str] = MappingProxyType({"read": "rs", "write": "cud", "*": "cruds"})

POLICY_TYPES = frozenset(
    (
        "AuditEvent", "Basic", "CapabilityStatement", "CareTeam", "CodeSystem", "CompartmentDefinition",
        "ConceptMap", "Consent", "Contract", "Coverage", "Endpoint", "Flag", "Group", "HealthcareService",
        "Library", "List", "Location", "NamingSystem", "OperationDefinition", "Organization",
        "OrganizationAffiliation", "Permission", "Person", "PlanDefinition", "Practitioner",
        "PractitionerRole", "Provenance", "RelatedPerson", "SearchParameter", "StructureDefinition",
        "Subscription", "SubscriptionTopic", "ValueSet",
    )
)  # fmt: skip
"""Types that decisions read as a whole: who may write them must be named, `*` never means them.

Clinical types of which only some elements are read (Patient.generalPractitioner, Encounter.participant, ...) are
not here: their elements are guarded where writes are judged.
"""

_WRITE_INTERACTIONS = frozenset(
    interaction for permission in "cud" for interaction in INTERACTIONS_OF[permission]
)
_SYSTEM_INTERACTIONS = frozenset({"search-system", "history-system"})
_NO_LEVEL: frozenset[str] = frozenset()

_URI_FORM = "http://smarthealthit.org/fhir/scopes/"
_RESOURCE_SCOPE = re.compile(
    r"(?P<level>patient|user|system)/(?P<rtype>\*|[A-Z][A-Za-z]{1,63})\."
    r"(?:(?P<v1>read|write|\*)|(?P<v2>(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>[!-~]+))?)"
)
_CONSTRAINED_BY = re.compile("[a-z_][A-Za-z0-9_-]*")
"""Names of search parameters; a modifier or chain is none."""
# Scopes that SMART and OpenID define and that grant no resource: understood, and nothing to report.
_OTHER_SCOPE = re.compile(
    r"openid|fhirUser|profile|email|address|phone|offline_access|online_access"
    r"|launch(?:/[a-z]+(?:\?role=[!-~]+)?)?"
)


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One resource scope: `level` patient|user|system, `rtype` a type or `*`, `permissions` a subset of `cruds`."""

    level: str
    rtype: str
    permissions: frozenset[str]
    constraints: frozenset[Constraint] = frozenset()
    """All of them must hold for a resource; empty: whatever it is."""


_Levels = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Scopes:
    """All resource scopes of a token that were understood; what was not understood grants nothing.

    `not_understood` are the others, as written, for the journal and `explain`.
    """

    granted: frozenset[ResourceScope] = frozenset()
    not_understood: tuple[str, ...] = ()
    _levels: _Levels = field(init=False, repr=False, compare=False)
    """(interaction, type or `*`) to levels, computed once: `levels_for` is asked at least once per request."""
    constrained: frozenset[ResourceScope] = field(init=False, repr=False, compare=False)
    """Those that hold for some resources only."""

    def __post_init__(self) -> None:
        constrained = frozenset(scope for scope in self.granted if scope.constraints)
        object.__setattr__(self, "constrained", constrained)
        object.__setattr__(self, "_levels", _levels_of(self.granted - constrained))

    def levels_for(self, interaction: str, rtype: str = "") -> frozenset[str]:
        """Give the levels (patient, user, system) whose scopes cover the interaction on every resource of the type.

        `interaction` is a code of restful-interaction. Without a type only whole-system interactions are
        covered, and only by `*`.
        """
        named = self._levels.get((interaction, rtype))
        if named is not None:
            return named
        if rtype in POLICY_TYPES and interaction in _WRITE_INTERACTIONS:
            return _NO_LEVEL
        if not rtype and interaction not in _SYSTEM_INTERACTIONS:
            return _NO_LEVEL
        return self._levels.get((interaction, "*"), _NO_LEVEL)

    def constrained_for(self, interaction: str, rtype: str) -> tuple[ResourceScope, ...]:
        """Give the scopes that cover the interaction on those resources of the type that fulfil their constraints."""
        return tuple(
            scope
            for scope in self.constrained
            if interaction in _interactions_of(scope)
            and scope.rtype in (rtype, "*")
            and _reaches(scope, interaction, rtype)
        )

    def levels_where(
        self, interaction: str, rtype: str, holding: frozenset[Constraint]
    ) -> frozenset[str]:
        """Give the levels whose scopes cover the interaction on a resource that fulfils these constraints."""
        always = self.levels_for(interaction, rtype)
        if not self.constrained:
            return always
        found = self.constrained_for(interaction, rtype)
        return always | {scope.level for scope in found if scope.constraints <= holding}

    def covers(self, interaction: str, rtype: str) -> bool:
        """Whether some scope covers the interaction on some resource of the type."""
        return bool(self.levels_for(interaction, rtype) or self.constrained_for(interaction, rtype))

    def without(self, *levels: str) -> "Scopes":
        """Give the same scopes less those of some levels: a level without its context gives no access (AUTH-19)."""
        kept = frozenset(scope for scope in self.granted if scope.level not in levels)
        return self if kept == self.granted else Scopes(kept, self.not_understood)


def _reaches(scope: ResourceScope, interaction: str, rtype: str) -> bool:
    """Whether a scope means this type; `*` does not mean the policy types when it writes."""
    if scope.rtype != "*" or rtype == "*":
        return scope.rtype == rtype
    return rtype not in POLICY_TYPES or interaction not in _WRITE_INTERACTIONS


def _levels_of(granted: frozenset[ResourceScope]) -> _Levels:
    """Find the levels of each interaction on each type that some scope names, what `*` adds included."""
    found: dict[tuple[str, str], set[str]] = {}
    rtypes = {scope.rtype for scope in granted}
    for scope in granted:
        named = rtypes if scope.rtype == "*" else {scope.rtype}
        for interaction, rtype in itertools.product(_interactions_of(scope), named):
            if _reaches(scope, interaction, rtype):
                found.setdefault((interaction, rtype), set()).add(scope.level)
    return {key: frozenset(levels) for key, levels in found.items()}


def _interactions_of(scope: ResourceScope) -> list[str]:
    exports = [EXPORT] if scope.level == "system" and scope.permissions >= _OF_EXPORT else []
    return exports + [
        one for permission in scope.permissions for one in INTERACTIONS_OF.get(permission, ())
    ]


def permissions_for(interaction: str) -> str:
    """Give the least letters of a scope that covers an interaction; empty where none does."""
    if interaction == EXPORT:
        return "rs"
    return "".join(letter for letter, codes in INTERACTIONS_OF.items() if interaction in codes)


def _resource_scope(text: str) -> ResourceScope | None:
    """Read one scope, in short or URI form; None if it is not a resource scope in every letter."""
    matched = _RESOURCE_SCOPE.fullmatch(text.removeprefix(_URI_FORM))
    if matched is None:
        return None
    constraints = _constraints(matched["query"] or "")
    if constraints is None:
        return None
    permissions = matched["v2"] or V1_PERMISSIONS[matched["v1"]]
    return ResourceScope(matched["level"], matched["rtype"], frozenset(permissions), constraints)


def _constraints(query: str) -> frozenset[Constraint] | None:
    """Read `name=value&…`, percent-encoded as in a search; None where it is no list of plain parameters."""
    try:
        pairs = pairs_of(query)
    except CallerError:
        return None
    if not all(_CONSTRAINED_BY.fullmatch(name) for name, _ in pairs):
        return None
    return frozenset(pairs)


def _not_understood(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if _OTHER_SCOPE.fullmatch(text) is None)


@functools.lru_cache(maxsize=512)
def parse_scopes(text: str) -> Scopes:
    """Read the `scope` of a token: scopes separated by spaces (RFC 6749 section 3.3); never raises.

    Repeated scopes count once; a tab or any other letter out of place makes its scope not understood.
    """
    texts = dict.fromkeys(filter(None, text.split(" ")))
    read = {one: _resource_scope(one) for one in texts}
    granted = frozenset(scope for scope in read.values() if scope is not None)
    return Scopes(granted, _not_understood(one for one, scope in read.items() if scope is None))
