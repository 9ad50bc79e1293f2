"""Strict reading of FHIR elements out of JSON: what is there and says nothing is refused, never skipped.

An element that is absent means "no constraint"; `[]`, `null`, a coding without code or a period without dates must not
come to mean the same. All functions raise `UnsupportedError`, whose text quotes no content. Pure.
"""

from datetime import tzinfo

from proxy.facts.model import Period
from proxy.fhir.coding import Coding, Identifier, coding_of, system_of
from proxy.fhir.dates import Interval, interval_of

Json = dict[str, object]

ELEMENT = frozenset({"id", "extension"})
"""What every element may carry without changing its meaning."""


class UnsupportedError(ValueError):
    """Something in a resource that is not understood; the text quotes no content of it."""


def only(node: Json, known: frozenset[str], what: str) -> None:
    """Refuse an element that is not in the table; the twin of a primitive (`_status`) may stand beside it."""
    for key in node:
        if key not in known and not (key[:1] == "_" and key[1:] in known and key[1:] in node):
            raise UnsupportedError(f"an element of {what} that is not understood")


def object_of(node: Json, key: str) -> Json:
    """Give the object of an element that must be there."""
    value = node.get(key)
    if not isinstance(value, dict) or not value:
        raise UnsupportedError(f"{key} is not an object")
    return value


def objects_of(node: Json, key: str) -> tuple[Json, ...]:
    """Give the objects of a repeated element; absent is none, but present and empty is refused."""
    if key not in node:
        return ()
    value = node[key]
    if not isinstance(value, list) or not value:
        raise UnsupportedError(f"{key} is not a list, or an empty one")
    if not all(isinstance(item, dict) and item for item in value):
        raise UnsupportedError(f"{key} holds something that is no object")
    return tuple(value)


def text_of(node: Json, key: str) -> str:
    """Give the text of an element that must be there."""
    value = node.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedError(f"{key} is not a code")
    return value


def coding_at(node: Json) -> Coding:
    """Give a Coding; one without code is refused."""
    system = node.get("system", "")
    if not isinstance(system, str):
        raise UnsupportedError("a coding whose system is no URI")
    return coding_of(system, text_of(node, "code"))


def codings_of(node: Json, key: str) -> frozenset[Coding]:
    """Give the codings of a repeated Coding element."""
    return frozenset(coding_at(item) for item in objects_of(node, key))


def concept_of(concept: Json) -> frozenset[Coding]:
    """Give the codings of a CodeableConcept; one with text only says nothing to a machine."""
    if "coding" not in concept:
        raise UnsupportedError("a concept without coding")
    return codings_of(concept, "coding")


def concepts_of(node: Json, key: str) -> frozenset[Coding]:
    """Give all codings of a repeated CodeableConcept element."""
    return frozenset(coding for concept in objects_of(node, key) for coding in concept_of(concept))


def identifier_of(node: Json) -> Identifier | None:
    """Give the business identifier of a Reference; None if it has none with a value."""
    value = node.get("identifier")
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return None
    system = value.get("system")
    return Identifier(system_of(system if isinstance(system, str) else ""), value["value"].strip())


def period_of(node: Json, key: str, zone: tzinfo) -> Period | None:
    """Read a Period into a closed interval; None if absent."""
    if key not in node:
        return None
    period = object_of(node, key)
    only(period, ELEMENT | {"start", "end"}, "a period")
    starts, ends = (_bound(period, bound, zone) for bound in ("start", "end"))
    first, last = starts.start if starts else None, ends.end if ends else None
    if first is not None and last is not None and first > last:
        raise UnsupportedError("a period that ends before it starts")
    return Period(first, last)


def _bound(period: Json, key: str, zone: tzinfo) -> Interval | None:
    if key not in period:
        return None
    found = interval_of(text_of(period, key), zone)
    if found is None or "/" in text_of(period, key):
        raise UnsupportedError("a period whose bound is no date")
    return found
