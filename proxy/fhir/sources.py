"""Which documents a resource was made from (DocumentReference.relatesTo, Observation.derivedFrom …; decisions §6).

A document that replaces or signs another states its own labels, as a new version does; any other relation to it gives them on.
What may be a document and cannot be told is said to be so. Pure.
"""

from collections.abc import Callable, Iterator
from typing import Any

from proxy.fhir.compartment import SOURCES
from proxy.fhir.content import nodes_of
from proxy.fhir.envelope import UNTOLD
from proxy.fhir.mentions import mention

DOCUMENTS = frozenset({"Composition", "DocumentManifest", "DocumentReference"})
"""Types whose labels are inherited by what was made from them."""
_OF_ITS_OWN = frozenset({"replaces", "signs"})
"""Relations to a document that say nothing of where the content comes from (document-relationship-type)."""


MOST_SOURCES = 250
"""Documents that one resource may name: what names more would use up the look-ups of all that stands beside it (T-211)."""


def bounded(sources: frozenset[str]) -> frozenset[str]:
    """The same; `UNTOLD` alone where there are more than are looked up."""
    return sources if len(sources) <= MOST_SOURCES else frozenset({UNTOLD})


def sources_of(
    tree: dict[str, Any], rtype: str, normal: Callable[[str], str | None]
) -> frozenset[str]:
    """The documents (`Type/id`) that a resource was made from, with `UNTOLD` where one may be hidden."""
    found = frozenset(
        mention(node, DOCUMENTS, normal)
        for head in SOURCES.get(rtype, ())
        for element in _listed(tree.get(head))
        if not _is_own(element)
        for node in nodes_of(element)
    )
    told = frozenset(one for one in found if one.partition("/")[0] in DOCUMENTS)
    # A Binary is to be treated as what its context is, so that there every other resource is one that cannot be told.
    others = found - told - {""} if rtype == "Binary" else found & {UNTOLD}
    return told | {UNTOLD} if others else told


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_own(element: Any) -> bool:
    """Whether it is a relation that gives no labels on; every code of it must say so."""
    code = element.get("code") if isinstance(element, dict) else None
    codes = [code] if isinstance(code, str) else [*_codes(code)]
    return bool(codes) and _OF_ITS_OWN.issuperset(codes)


def _codes(concept: Any) -> Iterator[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        yield str(coding.get("code")) if isinstance(coding, dict) else ""
