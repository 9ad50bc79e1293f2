"""Consent.provision (R4, R4B, R5) read into a tree of `Provision`, effects and inheritance resolved.

R4 states the type of every nested provision; in R5 each level negates the one above (standards §6.2). A nested permit
also carries the elements that it leaves open and its ancestors state: "N for everybody, R for drA" still means only the
purposes of the root. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import NamedTuple, TypedDict, cast

from proxy.facts.elements import (
    ELEMENT,
    Json,
    UnsupportedError,
    codings_of,
    concepts_of,
    identifier_of,
    object_of,
    objects_of,
    only,
    period_of,
    text_of,
)  # fmt: skip
from proxy.facts.model import ALWAYS, Actor, Period, Provision, ProvisionDatum
from proxy.fhir.coding import CONSENT_ACTION, PARTICIPATION, Coding, Effect
from proxy.fhir.links import reference_of

MAX_DEPTH = 20
MAX_PROVISIONS = 2000

NEGATED = {Effect.PERMIT: Effect.DENY, Effect.DENY: Effect.PERMIT}
MEANINGS = frozenset({"instance", "related", "dependents", "authoredby"})

NODE = ELEMENT | {
    "period", "actor", "action", "securityLabel", "purpose", "code", "dataPeriod", "data", "provision",
}  # fmt: skip


class Shape(NamedTuple):
    """Where one FHIR version keeps things."""

    patient: str
    recorded: str
    about: str
    statuses: frozenset[str]
    classes: tuple[str, ...]
    resource: frozenset[str]
    node: frozenset[str]
    typed: bool
    """Whether provisions state their effect (R4), or negate the level above (R5)."""


class _Elements(TypedDict, total=False):
    """The constraining elements of one provision, as `Provision` spells them; absent = no constraint."""

    data_period: Period
    actors: tuple[Actor, ...]
    actions: frozenset[str]
    purposes: frozenset[Coding]
    labels: frozenset[Coding]
    classes: frozenset[Coding]
    codes: frozenset[Coding]
    data: tuple[ProvisionDatum, ...]


@dataclass(frozen=True, slots=True)
class ProvisionReader:
    """Reads the provisions of one Consent."""

    shape: Shape
    zone: tzinfo
    bases: tuple[str, ...]
    seen: list[None] = field(default_factory=list)

    def provision(
        self, node: Json, path: str, effect: Effect, inherited: _Elements, depth: int = 1
    ) -> Provision:
        """Read one node and everything below; `effect` is its own, `inherited` what its ancestors state."""
        self.seen.append(None)
        if depth > MAX_DEPTH or len(self.seen) > MAX_PROVISIONS:
            raise UnsupportedError("too many provisions, or nested too deeply")
        only(node, self.shape.node, "provision")
        own = self._elements(node)
        stated: _Elements = {**inherited, **own}
        return Provision(
            path=path,
            effect=effect,
            # the root's period (R4) is the validity of the whole Consent
            period=ALWAYS
            if depth == 1 and self.shape.typed
            else period_of(node, "period", self.zone) or ALWAYS,
            provisions=tuple(
                self.provision(
                    child, f"{path}.provision[{n}]", self._effect(child, effect), stated, depth + 1
                )
                for n, child in enumerate(objects_of(node, "provision"))
            ),
            **(stated if effect is Effect.PERMIT else own),
        )

    def _effect(self, node: Json, parent: Effect) -> Effect:
        """R4 states it; in R5 each level negates the one above."""
        if not self.shape.typed:
            return NEGATED[parent]
        return effect_of(node, "type", "a nested provision")

    def _elements(self, node: Json) -> _Elements:
        """Read every constraining element that is present."""
        readers: Mapping[str, tuple[str, Callable[[Json, str], object]]] = {
            "dataPeriod": ("data_period", lambda at, key: period_of(at, key, self.zone)),
            "actor": ("actors", self._actors),
            "action": ("actions", _actions),
            "purpose": ("purposes", codings_of),
            "securityLabel": ("labels", codings_of),
            "code": ("codes", concepts_of),
            "data": ("data", self._data),
            **dict.fromkeys(self.shape.classes, ("classes", codings_of)),
        }
        if all(key in node for key in ("resourceType", "documentType")):
            raise UnsupportedError("resourceType and documentType in one provision")
        found = {name: read(node, key) for key, (name, read) in readers.items() if key in node}
        return cast("_Elements", found)

    def _actors(self, node: Json, key: str) -> tuple[Actor, ...]:
        return tuple(self._actor(item) for item in objects_of(node, key))

    def _actor(self, node: Json) -> Actor:
        only(node, ELEMENT | {"role", "reference"}, "actor")
        role = _role(node)
        if "reference" not in node:
            return Actor(role=role, dead=role is None)
        target = object_of(node, "reference")
        reference = self.reference(target)
        identifier = identifier_of(target)
        named = "reference" in target or identifier is None
        return Actor(
            reference or ("?" if named else None), identifier, role, dead=named and not reference
        )

    def _data(self, node: Json, key: str) -> tuple[ProvisionDatum, ...]:
        return tuple(self._datum(item) for item in objects_of(node, key))

    def _datum(self, node: Json) -> ProvisionDatum:
        only(node, ELEMENT | {"meaning", "reference"}, "data")
        meaning = text_of(node, "meaning")
        if meaning not in MEANINGS:
            raise UnsupportedError("unknown data.meaning")
        return ProvisionDatum(meaning, self.reference(object_of(node, "reference")) or "")

    def reference(self, node: Json) -> str | None:
        """Normalise a Reference to `Type/id`; None if it is none of ours."""
        text = node.get("reference")
        return reference_of(text, self.bases) if isinstance(text, str) else None


def effect_of(node: Json, key: str, what: str) -> Effect:
    """Read a consent-provision-type; anything but `permit` and `deny` is refused."""
    try:
        return Effect(text_of(node, key))
    except ValueError:
        raise UnsupportedError(f"{key} of {what} is neither permit nor deny") from None


def _actions(node: Json, key: str) -> frozenset[str]:
    """Give consentaction codes; a code of another system keeps its system, so that it equals none of ours."""
    return frozenset(
        coding.code if coding.system in (CONSENT_ACTION, "") else f"{coding.system}|{coding.code}"
        for coding in concepts_of(node, key)
    )


def _role(node: Json) -> Coding | None:
    if "role" not in node:
        return None
    concept = object_of(node, "role")
    codings = sorted(codings_of(concept, "coding")) if "coding" in concept else [Coding("", "")]
    return next((coding for coding in codings if coding.system == PARTICIPATION), codings[0])
