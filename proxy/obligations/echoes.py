"""Echoes: what repeats a Reference that was pruned, elsewhere in the letter (threats T-70, T-75, T-76).

Other References that name the same by `identifier` or `display`; Identifiers of the same value; extensions and texts that
quote the reference, extensions that quote the rest too. A word of a `display` that stands in a code or a note is no echo: it
is the visible resource's own statement. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.fhir.codec import Json
from proxy.obligations.letter import MASKED, Object, Place, Slot, each, inside, rewritten
from proxy.obligations.operators import target_of
from proxy.obligations.shadows import MIN_LENGTH

_REFERENCE = frozenset({"reference", "type", "identifier", "display", "id", "extension"})
_IDENTIFIER = frozenset({"id", "extension", "use", "type", "system", "value", "period", "assigner"})
_EXTENSIONS = ("extension", "modifierExtension")
_FRAMES = frozenset({"resourceType", "id", "url", "system", "versionId", "lastUpdated", "profile"})


@dataclass(frozen=True, slots=True)
class Echoes:
    """What pruned References said: where they led, their identifiers and displays, folded for comparison."""

    places: frozenset[str]
    identifiers: frozenset[str]
    displays: frozenset[str]

    @classmethod
    def of(cls, gone: Iterable[Object]) -> "Echoes":
        """What these References said."""
        gone = list(gone)
        values = (
            identifier.get("value")
            for one in gone
            if isinstance(identifier := one.get("identifier"), dict)
        )
        return cls(
            frozenset(_place_of(text) for one in gone if isinstance(text := one["reference"], str)),
            frozenset(_folded(values)),
            frozenset(_folded(one.get("display") for one in gone)),
        )

    def quoted_in(self, text: str) -> bool:
        """Whether a text quotes where one led."""
        folded = text.casefold()
        return any(
            one in folded and re.search(rf"(?<![\w.-]){re.escape(one)}(?![\w.-])", folded)
            for one in self.places
        )

    def heard_in(self, text: str) -> bool:
        """Whether a text repeats anything that they said."""
        folded = text.casefold()
        told = self.identifiers | self.displays
        return self.quoted_in(text) or any(
            one in folded if len(one) >= MIN_LENGTH else one == folded.strip() for one in told
        )


def _folded(values: Iterable[Json]) -> Iterable[str]:
    return (folded for one in values if isinstance(one, str) and (folded := one.strip().casefold()))


def _place_of(text: str) -> str:
    """`type/id` of a reference, folded; the text itself where it reads like none."""
    target = target_of(text.strip())
    return "/".join(target or (text.strip(),)).casefold()


def without_echoes(tree: Object, echoes: Echoes) -> Object:
    """Leave out what repeats pruned References; what must be there is masked."""

    def change(slot: Slot, place: Place) -> Slot:
        if slot.name in _EXTENSIONS:
            return each(slot, lambda one: _extension(one, echoes))
        return each(inside(slot, place, change), lambda one: _item(one, echoes))

    return rewritten(tree, Place(""), change)


def _item(one: Slot, echoes: Echoes) -> Slot:
    value = one.value
    if isinstance(value, str):
        quoted = one.name not in _FRAMES and echoes.quoted_in(value)
        return Slot(one.name) if quoted else one
    if not isinstance(value, dict):
        return one
    names = {name.removeprefix("_") for name in value}
    if names <= _IDENTIFIER and _says(value.get("value"), echoes.identifiers):
        return Slot(one.name)
    if names <= _REFERENCE and names & {"reference", "display", "identifier"}:
        return Slot(one.name, _silent(value, echoes), one.twin)
    return one


def _silent(reference: Object, echoes: Echoes) -> Json:
    """A Reference that leads elsewhere, or nowhere, without the display of a pruned one; nothing where only that was there."""
    if not _says(reference.get("display"), echoes.displays):
        return reference
    if "reference" not in reference and "identifier" not in reference:
        return None
    return {name: value for name, value in reference.items() if name.removeprefix("_") != "display"}


def _says(value: Json, told: frozenset[str]) -> bool:
    return isinstance(value, str) and value.strip().casefold() in told


def _extension(one: Slot, echoes: Echoes) -> Slot:
    """Leave out an extension that repeats something; a modifier stays as a mark."""
    value = one.value
    if not isinstance(value, dict) or value == MASKED:
        return one
    if not any(map(echoes.heard_in, _texts(value))):
        return one
    if one.name == "extension":
        return Slot(one.name)
    return Slot(one.name, {"url": value.get("url"), "extension": [dict(MASKED)]})


def _texts(value: Json) -> Iterable[str]:
    """Every string inside, but for those that say what an extension or a system is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("url", "system"):
                yield from _texts(inner)
