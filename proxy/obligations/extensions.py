"""Extensions in a redacted resource: those on a list stay, at every depth; all others go (threat T-75).

An extension may repeat in its own words what was hidden, and no list of those that do is ever complete. What a modifier extension
that nobody here knows, or a rule set that it follows, would change cannot be told: such a resource is not shown redacted at all
(https://hl7.org/fhir/R4/extensibility.html#modifierExtension, https://hl7.org/fhir/R4/resource-definitions.html#Resource.implicitRules).
"""

from collections.abc import Iterator

from proxy.fhir.codec import Json
from proxy.fhir.coding import INLINE_LABEL
from proxy.obligations.letter import MASKED, Change, Object, Place, Slot, each, inside, rewritten

STRUCTURAL = frozenset({str(MASKED["url"]), INLINE_LABEL})
"""Extensions that say how an element is hidden or labelled."""


def without_extensions(tree: Object, kept: frozenset[str]) -> Object:
    """The resource without the extensions that are not on the list of urls."""
    return rewritten(tree, Place(""), _without(kept, parts=False))


def _without(kept: frozenset[str], *, parts: bool) -> Change:
    """`parts`: what stands directly here are the parts of an extension that stays, named by no URL (extensibility.html#complex)."""

    def change(slot: Slot, place: Place) -> Slot:
        if slot.name == "modifierExtension":
            return inside(slot, place, _without(kept, parts=True))
        if slot.name != "extension":
            return inside(slot, place, _without(kept, parts=False))
        return each(slot, lambda one: _item(one, place, kept, parts=parts))

    return change


def _item(one: Slot, place: Place, kept: frozenset[str], *, parts: bool) -> Slot:
    url = one.value.get("url") if isinstance(one.value, dict) else None
    if not isinstance(url, str):
        return Slot(one.name)
    is_part = parts and ":" not in url and "/" not in url
    if url not in kept and not is_part:
        return Slot(one.name)
    return inside(one, place, _without(kept, parts=url not in STRUCTURAL))


def modifiers_in(value: Json, name: str = "") -> Iterator[str]:
    """The urls of modifier extensions inside, and of rule sets."""
    if name == "modifierExtension" and isinstance(value, dict):
        yield str(value.get("url", ""))
    elif name == "implicitRules":
        yield str(value)
    if isinstance(value, list):
        for item in value:
            yield from modifiers_in(item, name)
    elif isinstance(value, dict):
        for own, inner in value.items():
            yield from modifiers_in(inner, own)
