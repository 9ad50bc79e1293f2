"""Cuts single elements out of a letter, each at its very place (`Observation.component[1].valueQuantity`; DS4P inline labels).

Laws: what is cut is gone with its twin `_name`; nothing empty is left behind; what surrounds it stays as it is. An element
that must be there is not masked: the letter cannot be cut then, and its resource is withheld.
"""

import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import TypeAlias

from proxy.fhir.codec import Json
from proxy.fhir.envelope import Steps, UnreadableError
from proxy.obligations.letter import Object, Place, Slot, is_mandatory, place_of, slots_of

_Where: TypeAlias = dict[str | int, "_Where"]
"""Places as a tree of steps; an empty one is cut."""
_STEP = re.compile(r"\.([A-Za-z0-9]+)|\[([0-9]+)\]")


def steps_of(path: str) -> Steps:
    """The steps of a place as `proxy.decision.inline.path_of` writes it, below the resource."""
    return tuple(int(number) if number else name for name, number in _STEP.findall(path))


def without_parts(tree: Object, places: Iterable[Steps]) -> tuple[Object, list[Json]]:
    """The letter without the elements at these places, and their values.

    `UnreadableError` where one is not there, or must be there.
    """
    hidden: list[Json] = []
    shown = _object(tree, _where(places), Place(""), hidden)
    return shown, hidden


def _where(places: Iterable[Steps]) -> _Where:
    """The tree of steps; what stands in something that is cut goes with it."""
    root: _Where = {}
    for steps in sorted(places, key=len):
        at = root
        for step in steps[:-1]:
            if at.get(step) == {}:
                break
            at = at.setdefault(step, {})
        else:
            at[steps[-1]] = {}
    return root


def _object(node: Object, where: _Where, around: Place, hidden: list[Json]) -> Object:
    place = place_of(node, around)
    left = {
        slot.name: _slot(slot, where[slot.name], place.below(slot.name), hidden)
        for slot in slots_of(node)
        if slot.name in where
    }
    if left.keys() != where.keys():
        raise UnreadableError("what must be cut is not there")
    shown: Object = {}
    for key, value in node.items():
        name = key.removeprefix("_")
        kept = value if name not in left else left[name].twin if key != name else left[name].value
        if kept is not None:
            shown[key] = kept
    return shown


def _slot(slot: Slot, where: _Where, place: Place, hidden: list[Json]) -> Slot:
    if not where:
        hidden += [slot.value, slot.twin]
        left = Slot(slot.name)
    elif isinstance(slot.value, list) or isinstance(slot.twin, list):
        left = _items(slot, where, place, hidden)
    else:
        left = _item(slot, where, place, hidden)
    if not left.present and is_mandatory(place):
        raise UnreadableError("what must be cut must be there")
    return left


def _items(slot: Slot, where: _Where, place: Place, hidden: list[Json]) -> Slot:
    """What is left of a list: value and twin stay paired, items that nothing is left of are gone."""
    pairs = list(zip_longest(_listed(slot.value), _listed(slot.twin)))
    if not all(isinstance(step, int) and step < len(pairs) for step in where):
        raise UnreadableError("what must be cut is not there")
    left = [
        _within(Slot(slot.name, value, twin), where.get(number), place, hidden)
        for number, (value, twin) in enumerate(pairs)
    ]
    left = [one for one in left if one.present]
    values, twins = [one.value for one in left], [one.twin for one in left]
    return Slot(slot.name, _unless_void(values), _unless_void(twins))


def _within(item: Slot, where: _Where | None, place: Place, hidden: list[Json]) -> Slot:
    """One item of a list."""
    if where is None:
        return item
    if not where:
        hidden += [item.value, item.twin]
        return Slot(item.name)
    return _item(item, where, place, hidden)


def _item(slot: Slot, where: _Where, place: Place, hidden: list[Json]) -> Slot:
    """What is left of an object, which stands as value or, of a primitive, as twin."""
    value, twin = slot.value, slot.twin
    if isinstance(value, dict) and twin is None:
        return Slot(slot.name, _object(value, where, place, hidden) or None)
    if isinstance(twin, dict):
        return Slot(slot.name, value, _object(twin, where, place, hidden) or None)
    raise UnreadableError("what must be cut is not there")


def _listed(value: Json) -> list[Json]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _unless_void(values: list[Json]) -> Json:
    return values if any(value is not None for value in values) else None
