"""Shadows: what repeats a hidden element elsewhere in the letter (decisions §7; threats T-66, T-70 to T-76, T-79).

Narratives, strings that contain a hidden string, contained resources that only hidden elements referred to, and
what a Reference tells of a target whose name or identifier is hidden. What is found is left out; in doubt too.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.fhir.codec import Json
from proxy.obligations.letter import (
    MASKED,
    Change,
    Object,
    Place,
    Slot,
    each,
    inside,
    rewritten,
)
from proxy.obligations.operators import target_of

MIN_LENGTH = 4
"""Characters; a shorter string is found in too many others to tell anything."""

_FRAMES = frozenset(
    """
    resourceType system use url contentType language versionId lastUpdated profile rank unit comparator mode
    """.split()  # noqa: SIM905
)
"""Elements that say how something is written, not what: neither hidden nor searched."""

_WHOLE = frozenset(
    {"code", "reference", "type", "status", "gender", "valueCode", "valueUri", "id", "versionId"}
)
"""Elements whose string means something only as a whole: they repeat a hidden one only if they equal it."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What was hidden: its strings, folded for comparison."""

    strings: frozenset[str]

    def shows_in(self, name: str, text: str) -> bool:
        """Whether a string of this element repeats something hidden."""
        folded = text.casefold()
        if name in _WHOLE:
            return folded in self.strings and name != "id"
        return any(one in folded for one in self.strings)


def hidden_of(values: Iterable[Json]) -> Hidden:
    """Give the strings of hidden values by which they would be known again."""
    found = (
        text.casefold()
        for value in values
        for name, text in _strings("", value)
        if _tells(name, text)
    )
    return Hidden(frozenset(found))


def _strings(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """Give every string inside, with the name of its element."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(name, item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key, inner)


def _tells(name: str, text: str) -> bool:
    if len(text) < MIN_LENGTH or name in _FRAMES:
        return False
    # A code without a digit is a common word (`active`, `male`); one with digits names a concept.
    return name not in _WHOLE - {"reference"} or any(map(str.isdigit, text))


def without_repeats(tree: Object, hidden: Hidden) -> Object:
    """Leave out strings that repeat hidden ones."""
    return rewritten(tree, Place(""), _unrepeated(hidden)) if hidden.strings else tree


def _unrepeated(hidden: Hidden) -> Change:
    def change(slot: Slot, place: Place) -> Slot:
        if slot.name in ("extension", "modifierExtension"):
            return each(slot, lambda one: _extension(one, hidden))
        if slot.name in _FRAMES:
            return inside(slot, place, change)
        return each(inside(slot, place, change), lambda one: _unless_repeating(one, hidden))

    return change


def _unless_repeating(one: Slot, hidden: Hidden) -> Slot:
    if isinstance(one.value, str) and _repeats(one.name, one.value, hidden):
        return Slot(one.name)
    return one


def _repeats(name: str, text: str, hidden: Hidden) -> bool:
    return hidden.shows_in(name, text) or (name == "data" and hidden.shows_in(name, _decoded(text)))


def _decoded(text: str) -> str:
    """Read the text of an Attachment, as far as it is one."""
    try:
        return base64.b64decode(text, validate=False).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _extension(one: Slot, hidden: Hidden) -> Slot:
    """Leave out an extension that repeats something; a modifier stays as a mark, for it changes what the rest means."""
    value = one.value
    if not isinstance(value, dict) or value == MASKED:
        return one
    if not any(
        _repeats(name, text, hidden)
        for name, text in _strings("", value)
        if name != "url" or "/" not in text
    ):
        return one
    return _mark_left_of(one, value)


def _mark_left_of(one: Slot, extension: Object) -> Slot:
    """Leave of a modifier extension its url: what it modifies must not read as if it were not modified."""
    if one.name != "modifierExtension":
        return Slot(one.name)
    return Slot(one.name, {"url": extension.get("url"), "extension": [dict(MASKED)]})


def without_narratives(tree: Object) -> Object:
    """Leave out every Narrative: they repeat in prose what the elements say (T-71; standards RW-12)."""
    return rewritten(tree, Place(""), _narrated)


def _narrated(slot: Slot, place: Place) -> Slot:
    if slot.name == "text" and isinstance(slot.value, dict):
        return Slot(slot.name, dict(_EMPTY) if "section" in place.steps else None)
    return inside(slot, place, _narrated)


_EMPTY: Object = {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">-</div>'}
"""Narrative of a section, which must have a text or entries (invariant cmp-1)."""


def without_orphans(tree: Object, before: Object) -> tuple[Object, list[Json]]:
    """Leave out contained resources to which only hidden elements referred; give these too."""
    contained = tree.get("contained")
    if not isinstance(contained, list):
        return tree, []
    gone = _reached(before) - _reached(tree)
    orphans = [one for one in contained if _local_id(one) in gone]
    kept = [one for one in contained if _local_id(one) not in gone]
    rest = {
        name: kept if name == "contained" else value
        for name, value in tree.items()
        if name != "contained" or kept
    }
    return rest, orphans


def _local_id(resource: Json) -> Json:
    return resource.get("id") if isinstance(resource, dict) else None


def _reached(tree: Object) -> frozenset[str]:
    """Give the ids of contained resources that the container refers to, directly or through another contained one."""
    contained = tree.get("contained")
    named: dict[str, Json] = {}
    for one in contained if isinstance(contained, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            named[str(one["id"])] = one
    waiting = _local_references(
        {name: value for name, value in tree.items() if name != "contained"}
    )
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in named and name not in reached:
            reached.add(name)
            waiting |= _local_references(named[name])
    return frozenset(reached)


def _local_references(value: Json) -> set[str]:
    return {text[1:] for _, text in _strings("", value) if text.startswith("#")}


TOLD_BY = {"name": "display", "identifier": "identifier"}
"""Element of a resource, and what a Reference to the resource tells of it (T-76)."""


def without_telling(tree: Object, told: frozenset[tuple[str, str]]) -> Object:
    """Stop references telling of their targets: `told` are pairs of type, `*` for every type, and Reference child."""
    if not told:
        return tree

    def change(slot: Slot, place: Place) -> Slot:
        return each(
            inside(slot, place, change),
            lambda one: Slot(one.name, _silent(one.value, told), one.twin),
        )

    return rewritten(tree, Place(""), change)


_REFERENCE = frozenset({"reference", "type", "identifier", "display", "id", "extension"})


def _silent(value: Json, told: frozenset[tuple[str, str]]) -> Json:
    if not isinstance(value, dict) or not _is_reference(value):
        return value
    rtype = _target_type(value)
    untold = {child for target, child in told if target == "*" or rtype in (target, None)}
    return {
        name: inner for name, inner in value.items() if name.removeprefix("_") not in untold
    } or None


def _is_reference(node: Object) -> bool:
    names = {name.removeprefix("_") for name in node}
    return names <= _REFERENCE and bool(names & {"reference", "identifier", "display"})


def _target_type(node: Object) -> str | None:
    """Give the type a Reference names; `None` if it cannot be told."""
    rtype, reference = node.get("type"), node.get("reference")
    if isinstance(rtype, str):
        return rtype.rpartition("/")[2]
    found = target_of(reference) if isinstance(reference, str) else None
    return found[0] if found else None
