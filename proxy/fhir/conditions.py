"""Conditions: search parameters held against one resource, as constrained scopes ask (SMART App Launch 2.2, finer-grained scopes).

Only what can be told from the resource alone, and in one way: token and reference parameters on plain element paths, without
modifier or chain. Laws: what cannot be evaluated is no condition (`None`), so that its scope grants nothing; a value that
cannot be read fulfils nothing, nor does one in an element with an inline label, which may be cut out.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from proxy.errors import CallerError
from proxy.fhir.choices import fits
from proxy.fhir.coding import system_of
from proxy.fhir.content import is_label, nodes_of
from proxy.fhir.definitions import Definitions
from proxy.fhir.parameters import filter_of, searchable

Constraint = tuple[str, str]
"""Parameter and value as a scope writes them, percent-decoded."""

_KINDS = frozenset({"token", "reference"})
_CODES = ("code", "value")
"""Where Coding, and Identifier or ContactPoint, have the value of a token."""


class Condition(NamedTuple):
    """One constraint on resources of one type; one of `values` must be found at one of `paths`."""

    constraint: Constraint
    rtype: str
    kind: str
    paths: tuple[tuple[str, ...], ...]
    values: tuple[str, ...]


def condition_of(
    rtype: str, constraint: Constraint, definitions: Definitions, public_url: str
) -> Condition | None:
    """The condition that a constraint sets for a type; None where it cannot be evaluated."""
    name, value = constraint
    parameter = searchable(rtype, definitions.fhir_version).get(name)
    if parameter is None or parameter.kind not in _KINDS or parameter.filtered:
        return None
    try:
        read = filter_of(name, value, rtype, definitions, public_url)
    except CallerError:
        return None
    if any("\\" in one for one in read.values):
        return None
    paths = tuple(tuple(path.split(".")) for path in parameter.paths)
    return Condition(constraint, rtype, parameter.kind, paths, read.values)


def holding(
    tree: Any, conditions: Iterable[Condition], normal: Callable[[str], str | None]
) -> frozenset[Constraint]:
    """The constraints that a resource fulfils; `normal` writes a reference as `Type/id`."""
    return frozenset(one.constraint for one in conditions if _holds(tree, one, normal))


def _holds(tree: Any, condition: Condition, normal: Callable[[str], str | None]) -> bool:
    matches = _token if condition.kind == "token" else _reference
    return any(
        matches(value, found, normal)
        for path in condition.paths
        for found in _at(tree, path)
        for value in condition.values
    )


def _at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What stands at a path, lists flattened; `value` is `valueCodeableConcept` too (choice types)."""
    if isinstance(node, list):
        for one in node:
            yield from _at(one, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        step, rest = path[0], path[1:]
        for name, below in node.items():
            shown = fits(step, name) and not _is_labelled(below)
            if shown and not _is_labelled(node.get(f"_{name}")):
                yield from _at(below, rest)


def _is_labelled(node: Any) -> bool:
    """Whether an element, an item of it or anything inside bears an inline label."""
    return any(is_label(one) for one in nodes_of(node))


def _token(value: str, found: Any, _: Callable[[str], str | None]) -> bool:
    """FHIR search.html#token: `code`, `system|code`, `|code`, `system|`."""
    system, bar, code = value.partition("|")
    if not bar:
        system, code = "", system
    return any(
        (not code or code == its_code)
        and (not bar or system_of(system) == (system_of(its_system) if its_system else ""))
        for its_system, its_code in _codes(found)
    )


def _codes(found: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of Coding, CodeableConcept, Identifier, ContactPoint, and of primitives without a system."""
    if isinstance(found, bool):
        yield "", "true" if found else "false"
    elif isinstance(found, str):
        yield "", found
    elif isinstance(found, dict):
        for coding in found.get("coding", ()) if isinstance(found.get("coding"), list) else ():
            yield from _codes(coding)
        system = found.get("system")
        for name in _CODES:
            if isinstance(found.get(name), str):
                yield system if isinstance(system, str) else "", found[name]


def _reference(value: str, found: Any, normal: Callable[[str], str | None]) -> bool:
    text = found.get("reference") if isinstance(found, dict) else None
    return isinstance(text, str) and normal(text) == value
