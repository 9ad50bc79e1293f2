"""Resources that hold others: what stands inside a stored Bundle, at any depth (https://hl7.org/fhir/R4/bundle.html; threats T-68, T-69).

A Bundle is about whomever the resources in it are about. Parameters are stored nowhere, and their values are about nobody known.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.fhir.envelope import UnreadableError

CONTAINERS = frozenset({"Bundle"})
MOST_NESTED = 8
"""Bundles in Bundles."""
_HOLDING = ("resource", "outcome", "issues")
"""Elements that hold a resource: of an entry, of its response, of the Bundle (R5)."""


def held_in(tree: Any) -> Iterator[bytes]:
    """Every resource that stands in a Bundle; one that is a Bundle holds what is in it. `UnreadableError` for what is no resource."""
    if _depth(tree) > MOST_NESTED:
        raise UnreadableError("Bundles are nested too deep")
    return map(msgspec.json.encode, _outermost(tree))


def _depth(tree: Any) -> int:
    """How many Bundles stand in one another."""
    deepest = 0
    stack: list[tuple[Any, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, dict):
            depth += node.get("resourceType") in CONTAINERS
            stack += [(value, depth) for value in node.values()]
        elif isinstance(node, list):
            stack += [(value, depth) for value in node]
        deepest = max(deepest, depth)
    return deepest


def _outermost(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources in one Bundle, but not those in them."""
    found: list[dict[str, Any]] = []
    stack: list[Any] = list(tree.items())
    while stack:
        name, node = stack.pop()
        if isinstance(node, list):
            stack += [(name, item) for item in node]
        elif isinstance(node, dict) and isinstance(node.get("resourceType"), str):
            found.append(node)
        elif name in _HOLDING and node is not None:
            raise UnreadableError("something is held that is no resource")
        elif isinstance(node, dict):
            stack += node.items()
    return found
