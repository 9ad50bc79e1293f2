"""Parts of resources: `_summary` and `_elements`, cut here from what may leave (https://hl7.org/fhir/R4/search.html#summary, #elements).

Upstream is always asked for whole resources, so that no label, patient or date is missing when they are judged (T-51, T-52). Laws:
what must be there and what may change the meaning stays; a part says that it is one (`SUBSETTED`); what stays is as it was.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from proxy.fhir.choices import fits
from proxy.fhir.definitions import Definitions
from proxy.fhir.envelope import Resource, UnreadableError
from proxy.fhir.interaction import EVERY_TYPE, FhirRequest
from proxy.obligations.letter import Object, open_letter, sealed

SUBSETTED: Object = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}

_OF_EVERY_PART = frozenset({"resourceType", "id", "meta", "implicitRules"})
# Elements at top level that are modifiers in some type (FHIR conformance-rules.html#isModifier): without them a resource may
# mean something else. A name counts in every type; at worst a part is larger than it need be.
_MODIFIERS = frozenset(
    """
    active clinicalStatus deceased doNotPerform immutable isSubpotent link mode modifierExtension
    status verificationStatus
    """.split()  # noqa: SIM905
)

_Keeps: TypeAlias = Callable[[str], bool]
"""Whether an element at top level, as spelled without `_`, stays."""


def parts(request: FhirRequest, rtype: str) -> bool:
    """Whether only a part of resources of this type is asked for; `_elements` speaks of the type that is asked for.

    Who counts them asks for no part: a resource of which none could be cut counts like any other.
    """
    asked = request.type in (rtype, EVERY_TYPE)
    return request.summary not in ("", "count") or (bool(request.elements) and asked)


def opens(raw: Resource) -> bool:
    """Whether a part can be cut from a resource at all."""
    try:
        open_letter(bytes(raw))
    except UnreadableError:
        return False
    return True


def part_of(raw: bytes, rtype: str, request: FhirRequest, definitions: Definitions) -> bytes:
    """The part of a resource that is asked for. `UnreadableError` where it does not open."""
    tree = open_letter(raw)
    keeps = _BY_SUMMARY[request.summary](rtype, request, definitions)
    kept = {key: value for key, value in tree.items() if keeps(key.removeprefix("_"))}
    return sealed(_marked(kept))


def _marked(tree: Object) -> Object:
    """With the tag that says it is a part."""
    meta = tree.get("meta")
    stated: Object = dict(meta) if isinstance(meta, dict) else {}
    tags = stated.get("tag")
    stated["tag"] = [*(tags if isinstance(tags, list) else []), dict(SUBSETTED)]
    marked: Object = {key: tree[key] for key in ("resourceType", "id") if key in tree}
    marked["meta"] = stated
    return marked | {key: one for key, one in tree.items() if key != "meta"}


def _summary(rtype: str, _: FhirRequest, definitions: Definitions) -> _Keeps:
    kept = definitions.summary.get(rtype, frozenset()) | {"modifierExtension"}
    return _any_of(kept | _mandatory(rtype, definitions))


def _text(rtype: str, _: FhirRequest, definitions: Definitions) -> _Keeps:
    return _any_of(_mandatory(rtype, definitions) | {"text"})


def _without_text(_: str, __: FhirRequest, ___: Definitions) -> _Keeps:
    return lambda name: name != "text"


def _elements(rtype: str, request: FhirRequest, definitions: Definitions) -> _Keeps:
    return _any_of(frozenset(request.elements) | _MODIFIERS | _mandatory(rtype, definitions))


def _mandatory(rtype: str, definitions: Definitions) -> frozenset[str]:
    return definitions.mandatory.get(rtype, frozenset()) | _OF_EVERY_PART


def _any_of(names: frozenset[str]) -> _Keeps:
    """Choices too: `value` keeps `valueQuantity`."""
    return lambda name: name in names or any(fits(one, name) for one in names)


_BY_SUMMARY: Mapping[str, Callable[[str, FhirRequest, Definitions], _Keeps]] = {
    "true": _summary,
    "text": _text,
    "data": _without_text,
    "": _elements,
}
