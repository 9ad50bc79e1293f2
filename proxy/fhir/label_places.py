"""Where a resource states its security labels: `meta.security`, of itself and of what it contains, and inline (DS4P).

Read for explanations only; decisions read the envelope. The same labels are found as `reader` finds. Pure.
"""

from collections.abc import Iterator
from typing import Any

from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.compartment import LABELLED
from proxy.fhir.content import inline_labels, label_in, tree_of
from proxy.fhir.envelope import Resource


def label_places(raw: Resource) -> dict[Coding, tuple[str, ...]]:
    """Each label with the FHIRPaths at which it stands; `UnreadableError` where the resource is no JSON."""
    found: dict[Coding, list[str]] = {}
    for place, label in _labels_in(tree_of(bytes(raw)), ""):
        found.setdefault(label, []).append(place)
    return {label: tuple(places) for label, places in found.items()}


def _labels_in(tree: Any, path: str) -> Iterator[tuple[str, Coding]]:
    """Labels below a node, each with its path; without recursion, as deep as a resource may be."""
    stack: list[tuple[str, Any]] = [(path, tree)]
    while stack:
        place, node = stack.pop()
        if isinstance(node, list):
            stack += [(f"{place}[{n}]", one) for n, one in reversed(list(enumerate(node)))]
        elif isinstance(node, dict):
            yield from ((_joined(place, where), label) for where, label in _stated(node))
            yield from ((f"{place} (inline)", label) for label in inline_labels(_alone(node)))
            stack += [(_joined(place, name), below) for name, below in reversed(node.items())]


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _stated(node: dict[str, Any]) -> Iterator[tuple[str, Coding]]:
    """The labels of a node that is a resource, each with its path below it."""
    rtype = node.get("resourceType")
    meta = node.get("meta") if isinstance(rtype, str) else None
    yield from _codings("meta.security", meta.get("security") if isinstance(meta, dict) else None)
    name = LABELLED.get(rtype, "") if isinstance(rtype, str) else ""
    stated = node.get(name) if name else None
    if isinstance(stated, str):
        yield name, Coding(CONFIDENTIALITY, stated)
    for number, concept in enumerate(stated if isinstance(stated, list) else ()):
        codings = concept.get("coding") if isinstance(concept, dict) else None
        yield from _codings(f"{name}[{number}].coding", codings or [{}])


def _codings(path: str, codings: Any) -> Iterator[tuple[str, Coding]]:
    for number, label in enumerate(codings if isinstance(codings, list) else ()):
        if isinstance(label, dict):
            yield f"{path}[{number}]", label_in({"valueCoding": label})


def _alone(node: dict[str, Any]) -> dict[str, Any]:
    """The two members that make an inline label, without what is below other members."""
    return {name: node[name] for name in ("url", "valueCoding") if name in node}
