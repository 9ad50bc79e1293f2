"""Which references occur in a resource (https://hl7.org/fhir/R4/references.html), at any depth, `contained` included.

Asked only where a Consent or a token speaks of what belongs to an instance (`related`, `dependents`). What cannot be told is said
to be so: a logical reference, `urn:` and another server's URL may name one of the wanted instances. A reference that has
nothing but a `display` names nobody.
"""

from collections.abc import Callable
from typing import Any

from proxy.fhir.content import nodes_of, tree_of
from proxy.fhir.envelope import UNTOLD, Resource


def mentions_in(
    raw: Resource, wanted: frozenset[str], normal: Callable[[str], str | None]
) -> frozenset[str]:
    """Those of the wanted references (`Type/id`) that occur in a resource, and `UNTOLD` where one may be hidden.

    `normal` gives a reference as `Type/id`, None where it is not one of ours. `UnreadableError` when it is no JSON.
    """
    kinds = frozenset(one.partition("/")[0] for one in wanted)
    found = frozenset(mention(node, kinds, normal) for node in nodes_of(tree_of(bytes(raw))))
    return found & (wanted | {UNTOLD})


def mention(
    node: dict[str, Any], kinds: frozenset[str], normal: Callable[[str], str | None]
) -> str:
    """What a Reference names: `Type/id`, `UNTOLD` where it may name an instance of these types, or nothing."""
    text, kind = node.get("reference"), node.get("type")
    if isinstance(text, str):
        hidden = text.startswith("urn:") or any(f"{one}/" in text for one in kinds)
        return normal(text) or (UNTOLD if hidden else "")
    logical = isinstance(node.get("identifier"), dict)
    other = isinstance(kind, str) and kind.rpartition("/")[2] not in kinds
    return UNTOLD if logical and not other else ""
