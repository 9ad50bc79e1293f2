"""Policy rules, compiled, and how one target matches: yes, no, or unknown (XACML Target).

A rule is matched in two steps. What depends on the caller and the interaction alone is matched once per request
(`Standing`); what depends on the resource and its patient once per signature. Values inside a list OR, fields AND.
INVARIANT: unknown never matches a permit, and always matches a deny (decisions §2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import NamedTuple, TypeAlias, TypeVar

from proxy.decision.model import Obligations, Redaction
from proxy.decision.terminology import PURPOSES, RANK
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import Coding, Effect
from proxy.identity.principal import Principal
from proxy.policy.campaign import Dated
from proxy.policy.model import PolicySet, Rule
from proxy.policy.target import PrincipalTarget

T = TypeVar("T")
Ternary: TypeAlias = bool | None
"""Yes, no, or `None`: unknown."""


NAMED_ONLY = ("export", "history-type", "history-system")
"""Interactions that are permitted only by a rule that names them: whatever else may be read, it is not read in bulk."""

_AS_ONE = {"history-type": "history-instance", "history-system": "history-instance"}
"""What is denied of one instance is denied of many: a deny that names the history of an instance holds for those of types and systems."""

OF_RESOURCE = frozenset({"author", "author-organization"})
"""Relationships to a resource, which its author elements prove; all others are to its patient."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its names resolved to codings, purposes and ranks. Empty sets are no constraint."""

    id: str
    effect: Effect
    tag: str
    absolute: bool
    lifts: frozenset[str]
    obligations: Obligations
    sentence: str
    principal: PrincipalTarget
    roles: frozenset[Coding]
    organization_types: frozenset[Coding]
    purposes: frozenset[str]
    interactions: frozenset[str]
    types: frozenset[str]
    labels: frozenset[Coding]
    above: int | None
    relationships: frozenset[str]
    consent: frozenset[str]
    campaign: Dated | None = None
    """Within which alone the rule is in force."""

    @property
    def reaches_resources(self) -> bool:
        """Whether anything beyond the caller and the interaction decides if it matches."""
        return (
            bool(self.types or self.labels or self.relationships or self.consent)
            or self.above is not None
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule that may still apply to this request: `certain` is false where the caller's part is unknown."""

    rule: CompiledRule
    certain: bool


@dataclass(frozen=True, slots=True)
class About:
    """What a rule asks of one resource and one of its patients. `relationships` is `None` when unknown."""

    type: str
    labels: frozenset[Coding]
    rank: int | None
    relationships: frozenset[str] | None
    proven: frozenset[str]
    """Relationships that hold for certain even when others are unknown (`OF_RESOURCE`)."""
    consent: frozenset[str]
    """The verdicts the Consents' voice counts as: `permit`, `named`, `none`, `deny`; empty when no Consent is asked."""


def speaks_of(interaction: str, rule: CompiledRule) -> bool:
    """Whether a rule decides about an interaction: a permit of what must be named has to name it, a deny need not."""
    if rule.interactions:
        return _is_named(interaction, rule)
    return interaction not in NAMED_ONLY or rule.effect is Effect.DENY


def _is_named(interaction: str, rule: CompiledRule) -> bool:
    if interaction in rule.interactions:
        return True
    return rule.effect is Effect.DENY and _AS_ONE.get(interaction) in rule.interactions


def compile_rule(rule: Rule, policies: PolicySet) -> CompiledRule:
    """A rule with every name resolved."""
    target, terms = rule.target, policies.terms
    redactions = frozenset(Redaction(*entry) for entry in rule.redact.entries())
    above = target.resource.confidentiality_above
    return CompiledRule(
        id=rule.id,
        effect=Effect(rule.effect),
        tag=rule.tag,
        absolute=rule.absolute,
        lifts=frozenset(rule.lifts),
        obligations=Obligations(
            redactions,
            frozenset((recipient, rule.id) for recipient in rule.notify),
            frozenset({terms.text(rule.warn)} if rule.warn else ()),
        ),
        sentence=_sentence(rule, policies),
        principal=target.principal,
        roles=_union(terms.role(name) for name in target.principal.role),
        organization_types=_union(
            terms.organization_type(name) for name in target.principal.organization_type
        ),
        purposes=_union(_purposes_under(code) for code in target.purpose),
        interactions=frozenset(target.interaction),
        types=frozenset(target.resource.type),
        labels=frozenset(terms.coding(label) for label in target.resource.label),
        above=None if above is None else RANK[above],
        relationships=frozenset(target.principal.relationship),
        consent=frozenset(target.consent),
        campaign=policies.campaigns.get(rule.id),
    )


def _sentence(rule: Rule, policies: PolicySet) -> str:
    """What the rule says; of a campaign, also its name and its end."""
    said = rule.description or policies.sources.get(rule.id, "")
    campaign = policies.campaigns.get(rule.id)
    return f"{said} (campaign {campaign.id}, until {campaign.until})" if campaign else said


def _purposes_under(code: str) -> frozenset[str]:
    """The purpose and all its descendants in v3-ActReason."""
    return frozenset({code, *(one for one, line in PURPOSES.items() if code in line)})


def _union(sets: Iterable[frozenset[T]]) -> frozenset[T]:
    return frozenset().union(*sets)


class When(NamedTuple):
    """The instant that is judged, in seconds since the epoch (`None`: unknown), and the zone in which dates are understood."""

    now: float | None
    zone: tzinfo


NO_INSTANT = When(None, UTC)
"""At no known instant a campaign is neither in force nor over: its permits do not stand, its denies do."""


def stand(
    rules: Iterable[CompiledRule],
    principal: Principal,
    closure: ActorClosure,
    purposes: frozenset[str],
    interaction: str,
    when: When = NO_INSTANT,
) -> tuple[Standing, ...]:
    """The rules that may still apply, given who asks, how and when."""
    matched = (
        (
            rule,
            _all(
                (
                    _is_in_force(rule.campaign, when),
                    *_standing_parts(rule, principal, closure, purposes, interaction),
                )
            ),
        )
        for rule in rules
    )
    return tuple(
        Standing(_as_standing(rule, interaction), certain=match is True)
        for rule, match in matched
        if match is True or (match is None and rule.effect is Effect.DENY)
    )


def _as_standing(rule: CompiledRule, interaction: str) -> CompiledRule:
    """The rule; one that may only oblige, because it does not name what must be named, lifts nothing."""
    return rule if speaks_of(interaction, rule) else replace(rule, lifts=frozenset())


def _is_in_force(campaign: Dated | None, when: When) -> Ternary:
    if campaign is None:
        return True
    return None if when.now is None else campaign.covers(when.now, when.zone)


def _standing_parts(
    rule: CompiledRule,
    principal: Principal,
    closure: ActorClosure,
    purposes: frozenset[str],
    interaction: str,
) -> Iterable[Ternary]:
    target = rule.principal
    yield not rule.interactions or _is_named(interaction, rule)
    yield not target.kind or principal.kind.value in target.kind
    yield not target.client or principal.client_id in target.client
    yield not rule.purposes or not rule.purposes.isdisjoint(purposes)
    yield _holds(rule.roles, principal.roles | closure.roles, complete=closure.complete)
    yield _holds(rule.organization_types, closure.organization_types, complete=closure.complete)


def _holds(wanted: frozenset[Coding], held: frozenset[Coding], *, complete: bool) -> Ternary:
    if not wanted or not wanted.isdisjoint(held):
        return True
    return False if complete else None


def matches(rule: CompiledRule, about: About) -> Ternary:
    """How the rest of a rule's target fits one resource and patient."""
    return _all(_resource_parts(rule, about))


def _resource_parts(rule: CompiledRule, about: About) -> Iterable[Ternary]:
    yield not rule.types or about.type in rule.types
    yield not rule.labels or not rule.labels.isdisjoint(about.labels)
    if rule.above is not None:
        yield None if about.rank is None else about.rank > rule.above
    if rule.relationships:
        yield _related(rule.relationships, about)
    yield not rule.consent or not rule.consent.isdisjoint(about.consent)


def _related(wanted: frozenset[str], about: About) -> Ternary:
    if not wanted.isdisjoint(about.proven):
        return True
    if about.relationships is None:
        return None if wanted - OF_RESOURCE else False
    return not wanted.isdisjoint(about.relationships)


def _all(parts: Iterable[Ternary]) -> Ternary:
    """Ternary AND: no beats unknown, unknown beats yes."""
    answer: Ternary = True
    for part in parts:
        if part is False:
            return False
        if part is None:
            answer = None
    return answer


def by_effect(standing: Iterable[Standing]) -> Mapping[Effect, tuple[Standing, ...]]:
    """The standing rules, permits and denies apart."""
    rules = tuple(standing)
    return {effect: tuple(one for one in rules if one.rule.effect is effect) for effect in Effect}
