"""The letter: a whole resource as a JSON tree, opened without loss and walked element by element (FHIR JSON).

An element stands in one or two properties: `name`, and for primitives its twin `_name` with id and extensions
(https://hl7.org/fhir/R4/json.html#primitive). A `Slot` holds both, so that nobody treats one without the other.
Laws of the walk: what it was given stays as it is; nothing empty is left behind (no `{}`, no `[]`, no list of only
nulls); pairs in lists of primitives stay paired; an element that must be there is masked where it would vanish.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from proxy.errors import UpstreamError
from proxy.fhir import codec
from proxy.fhir.choices import choices_of, fits
from proxy.fhir.codec import Json
from proxy.fhir.envelope import UnreadableError
from proxy.obligations.mandatory import mandatory_of

Object: TypeAlias = dict[str, Json]

MAX_DEPTH = 64
"""Levels of a resource that is opened; a deeper one is withheld."""
ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MASKED: Object = {"url": ABSENT_REASON, "valueCode": "masked"}
"""R4 extension data-absent-reason (standards LBL-13)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One element of an object: its name, its value, and its twin `_name`; `None` is absent."""

    name: str
    value: Json = None
    twin: Json = None

    @property
    def present(self) -> bool:
        """Whether anything of the element is there."""
        return self.value is not None or self.twin is not None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element is: the type of the nearest resource around it, and the steps from there, as spelled."""

    rtype: str
    steps: tuple[str, ...] = ()

    def below(self, name: str) -> "Place":
        """Give the place of a child."""
        return Place(self.rtype, (*self.steps, name))


Change: TypeAlias = Callable[[Slot, Place], Slot]


def open_letter(raw: bytes) -> Object:
    """Open a resource as a tree; `UnreadableError` if it is none."""
    try:
        tree = codec.parse_upstream(raw, len(raw), MAX_DEPTH)
    except UpstreamError as error:
        raise UnreadableError(error.detail) from None
    if not isinstance(tree, dict) or not isinstance(tree.get("resourceType"), str):
        raise UnreadableError("not a resource")
    return tree


_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def may_be_deep(raw: bytes) -> bool:
    """Whether a resource may be nested deeper than `MAX_DEPTH`; cheap, and never wrongly no."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    left = raw.translate(None, _ALL_BUT_BRACKETS)
    for _ in range(MAX_DEPTH // 2):  # one level of each kind at once
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if not left:
            return False
    return True


def sealed(tree: Object) -> bytes:
    """Write the tree as JSON text, compact."""
    return codec.encode(tree)


def place_of(node: Object, around: Place) -> Place:
    """Give the place whose children the object's elements are: a resource inside a resource begins anew."""
    rtype = node.get("resourceType")
    return Place(rtype) if isinstance(rtype, str) else around


def slots_of(node: Object) -> Iterator[Slot]:
    """Give the elements of an object, in its order."""
    for name in dict.fromkeys(key.removeprefix("_") for key in node):
        yield Slot(name, node.get(name), node.get("_" + name))


def rewritten(node: Object, around: Place, change: Change) -> Object:
    """Change every element of an object; elements that must not vanish are masked instead."""
    place = place_of(node, around)
    slots = {slot.name: _changed(slot, place.below(slot.name), change) for slot in slots_of(node)}
    return _in_order(node, slots)


def _changed(slot: Slot, place: Place, change: Change) -> Slot:
    if slot.name == "resourceType":
        return slot
    return kept(change(slot, place), slot, place)


def kept(changed: Slot, slot: Slot, place: Place) -> Slot:
    """Give what an element was changed to; masked where it vanished and must be there."""
    if changed.present or not slot.present or not is_mandatory(place):
        return changed
    return masked(slot, place)


def _in_order(node: Object, slots: dict[str, Slot]) -> Object:
    """Write the slots as an object: properties in the order they had, a new twin right behind its element's place."""
    result: Object = {}
    for key in node:
        slot = slots[key.removeprefix("_")]
        for spelled, value in ((slot.name, slot.value), ("_" + slot.name, slot.twin)):
            if value is not None and (spelled == key or spelled not in node):
                result[spelled] = value
    return result


def inside(slot: Slot, place: Place, change: Change) -> Slot:
    """Change the elements inside an element."""
    if slot.twin is None and not isinstance(slot.value, dict | list):
        return slot

    def item(one: Slot) -> Slot:
        return Slot(one.name, _node(one.value, place, change), _node(one.twin, place, change))

    return each(slot, item)


def _node(value: Json, place: Place, change: Change) -> Json:
    if not isinstance(value, dict):
        return value
    return rewritten(value, place, change) or None


def each(slot: Slot, change: Callable[[Slot], Slot]) -> Slot:
    """Change each item of an element, value and twin as a pair; what becomes empty is left out."""
    if not isinstance(slot.value, list) and not isinstance(slot.twin, list):
        return change(slot)
    pairs = zip_longest(_listed(slot.value), _listed(slot.twin))
    items = [change(Slot(slot.name, value, twin)) for value, twin in pairs]
    items = [one for one in items if one.present]
    return Slot(
        slot.name,
        _unless_void([one.value for one in items]),
        _unless_void([one.twin for one in items]),
    )


def _listed(value: Json) -> list[Json]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _unless_void(values: list[Json]) -> Json:
    return values if any(value is not None for value in values) else None


def is_narrative(slot: Slot) -> bool:
    """Tell whether it is a Narrative, which cannot be masked: its `div` must hold text (XHTML, no extension)."""
    return slot.name == "text" and isinstance(slot.value, dict) and "div" in slot.value


def is_mandatory(place: Place) -> bool:
    """Whether an element must be there, in some FHIR version."""
    demanded = mandatory_of(place.rtype)
    key = ".".join(place.steps[-2:])
    return key in demanded or any(fits(one, key) for one in choices_of(key) if one in demanded)


def masked(slot: Slot, place: Place) -> Slot:
    """Hide an element's value and keep its place (data-absent-reason `masked`); of a list one item is left.

    How many there were is hidden too. Children that must be there are masked in their turn.
    """
    if slot.value is None and slot.twin is None:
        return slot
    first = next((one for one in _listed(slot.value) if one is not None), None)
    mark: Json = _mark(first, place) if isinstance(first, dict) else _mark({}, place)
    listed = isinstance(slot.value, list) or isinstance(slot.twin, list)
    mark = [mark] if listed else mark
    return Slot(slot.name, mark) if isinstance(first, dict) else Slot(slot.name, None, mark)


def _mark(node: Object, around: Place) -> Object:
    """Give what stands for a masked object: the reason, and the bare frame of what must be there."""
    place = place_of(node, around)
    demanded = {
        slot.name: masked(slot, place.below(slot.name))
        for slot in slots_of(node)
        if slot.name != "resourceType" and is_mandatory(place.below(slot.name))
    }
    frame = _in_order(
        {key: node[key] for key in node if key.removeprefix("_") in demanded}, demanded
    )
    return {"extension": [dict(MASKED)], **frame}
