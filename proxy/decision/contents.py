"""The rules of one request, found by what they ask of a resource: its type, that it is one instance, that it bears codes.

Only rules whose Consent denies at its base are left out for a resource, and only where no provision that can speak
covers it for certain: such a rule says nothing at all (provisions.py, law 4). A permit that does not cover a resource
denies it, so permits are always heard. Everything else that a provision may ask for is not indexed. Pure.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.decision.applicable import Live, Rule
from proxy.decision.constraints import RESOURCE_TYPES, resource_types
from proxy.facts.model import Provision
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Contents:
    """Rules in order: the places of those heard `always`, and of those `asked` for by `Type`, `Type/id` or `_CODED`."""

    rules: tuple[Rule, ...]
    always: frozenset[int]
    asked: Mapping[str, frozenset[int]]

    def for_resource(self, envelope: Envelope) -> tuple[Rule, ...]:
        """Give the rules that may say something about a resource, in order."""
        if not self.asked:
            return self.rules
        names = (envelope.type, envelope.reference, _CODED if envelope.codes else "")
        found = (self.asked.get(one, _NONE) for one in names)
        return tuple(self.rules[place] for place in sorted(self.always.union(*found)))


def contents_of(rules: tuple[Rule, ...]) -> Contents:
    """Index the rules of one request."""
    always: set[int] = set()
    asked: dict[str, set[int]] = defaultdict(set)
    for place, rule in enumerate(rules):
        names = _asked_by(rule.root) if rule.directive.base is Effect.DENY else None
        if names is None:
            always.add(place)
        for name in names or ():
            asked[name].add(place)
    return Contents(
        rules, frozenset(always), {name: frozenset(places) for name, places in asked.items()}
    )


def _asked_by(live: Live) -> frozenset[str] | None:
    """Names of the resources of which something can be said here or below; None = of any."""
    found = [_asked_in(live), *(_asked_by(one) for one in live.provisions)]
    names = [one for one in found if one is not None]
    return frozenset().union(*names) if len(names) == len(found) else None


def _asked_in(live: Live) -> frozenset[str] | None:
    """Names of the resources that this provision is about; None = of any, as where it asks nothing that is indexed."""
    if not live.inside:
        return _NOBODY
    return _instances(live.node) or _types(live.node) or _codes(live.node)


def _instances(node: Provision) -> frozenset[str] | None:
    """The instances that a provision is about; one that cannot be told may be any."""
    certain = all(one.meaning == "instance" and one.reference for one in node.data)
    return frozenset(one.reference for one in node.data) if node.data and certain else None


def _types(node: Provision) -> frozenset[str] | None:
    known = resource_types()
    certain = all(one.system in RESOURCE_TYPES and one.code in known for one in node.classes)
    return frozenset(one.code for one in node.classes) if node.classes and certain else None


def _codes(node: Provision) -> frozenset[str] | None:
    """Whatever is asked for by code, of all resources that bear a code anybody looks for."""
    return frozenset({_CODED}) if node.codes else None


_CODED = "#code"
_NONE: frozenset[int] = frozenset()
_NOBODY: frozenset[str] = frozenset()
