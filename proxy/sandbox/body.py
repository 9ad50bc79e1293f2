"""Resource bodies as bytes: what was given is kept, only id and meta are spliced in.

A resource is opened one level deep: the values of its elements stay raw JSON, so that decimals keep their digits,
integers of any size and escapes their spelling, and elements their order.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from proxy.fhir.definitions import Definitions
from proxy.sandbox.model import Tree, invalid

Fields = dict[str, msgspec.Raw]

_FIELDS = msgspec.json.Decoder(Fields)
_TREE = msgspec.json.Decoder(Tree, float_hook=Decimal)
_ANY = msgspec.json.Decoder()
_STRING = msgspec.json.Decoder(str)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# A quote inside a JSON string is escaped, so that this never matches inside one.
_REFERENCE = re.compile(rb'"reference":("(?:[^"\\]|\\.)*")')
_SUBSETTED = msgspec.Raw(
    b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource as a client sent it; `id` is empty if the body has none."""

    type: str
    id: str
    fields: Fields


def _opened(body: bytes) -> Fields:
    body.decode("utf-8")
    return _FIELDS.decode(msgspec.json.format(body, indent=-1))


def draft_of(body: bytes, definitions: Definitions) -> Draft:
    """Open a resource body; FhirError 400 if it is no JSON object of a known resource type with a legal id."""
    try:
        fields = _opened(body)
        kind = _string(fields.get("resourceType"))
        ident = _string(fields.get("id"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"the body is no FHIR JSON: {error}") from error
    if kind not in definitions.resource_types:
        raise invalid(f"the body has an unknown or missing resourceType `{kind}`")
    if ident and not is_id(ident):
        raise invalid(f"`{ident}` is no legal id")
    return Draft(kind, ident, fields)


def is_id(text: str) -> bool:
    """Whether a text is a legal resource id (FHIR R4 datatypes, id)."""
    return _ID.fullmatch(text) is not None


def _string(raw: msgspec.Raw | None) -> str:
    return "" if raw is None else _STRING.decode(raw)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _meta_of(fields: Fields) -> Fields:
    try:
        return _FIELDS.decode(fields["meta"]) if "meta" in fields else {}
    except msgspec.MsgspecError as error:
        raise invalid("meta is no JSON object") from error


def sealed(draft: Draft, ident: str, version: int, updated: str) -> bytes:
    """Write the JSON that is stored: the draft with this id, version and `meta.lastUpdated` (an instant)."""
    meta = {
        "versionId": _raw(str(version)),
        "lastUpdated": _raw(updated),
        **_without(_meta_of(draft.fields), "versionId", "lastUpdated"),
    }
    head = {
        "resourceType": _raw(draft.type),
        "id": _raw(ident),
        "meta": msgspec.Raw(msgspec.json.encode(meta)),
    }
    return msgspec.json.encode(head | _without(draft.fields, *head))


def _without(fields: Fields, *names: str) -> Fields:
    return {name: raw for name, raw in fields.items() if name not in names}


def content_of(body: bytes) -> bytes:
    """Give what counts when two versions are compared: everything but id, version and time."""
    fields = _FIELDS.decode(body)
    meta = _without(_meta_of(fields), "versionId", "lastUpdated")
    rest = {name: bytes(raw) for name, raw in _without(fields, "id", "meta").items()}
    pairs = sorted(rest.items()) + sorted((f"meta.{n}", bytes(r)) for n, r in meta.items())
    return repr(pairs).encode()


def tree_of(body: bytes) -> Tree:
    """Read a whole resource, decimals as Decimal."""
    return _TREE.decode(body)


def verbatim_tree_of(body: bytes) -> object:
    """Read any JSON so that it can be changed and written again: decimals keep their spelling."""
    decoder = msgspec.json.Decoder(float_hook=lambda spelling: msgspec.Raw(spelling.encode()))
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid(f"the body is no JSON: {error}") from error


def same_json(one: object, other: object) -> bool:
    """Whether two verbatim trees are the same JSON value."""
    first, second = (_ANY.decode(msgspec.json.encode(value)) for value in (one, other))
    return bool(first == second)


def subset(body: bytes, keep: Collection[str]) -> bytes:
    """Write a resource with some top-level elements only, tagged SUBSETTED (FHIR search, `_elements`)."""
    fields = _FIELDS.decode(body)
    meta = _meta_of(fields)
    tags = _LIST.decode(meta["tag"]) if "tag" in meta else []
    meta["tag"] = msgspec.Raw(msgspec.json.encode([*tags, _SUBSETTED]))
    fields["meta"] = msgspec.Raw(msgspec.json.encode(meta))
    kept = {"resourceType", "id", "meta", *keep}
    return msgspec.json.encode({n: raw for n, raw in fields.items() if n.lstrip("_") in kept})


def references_in(body: bytes) -> list[str]:
    """List the texts of all `Reference.reference` elements of a stored body."""
    return [_STRING.decode(match[1]) for match in _REFERENCE.finditer(body)]


def with_references(body: bytes, replaced: Callable[[str], str]) -> bytes:
    """Rewrite every `Reference.reference` of a body; everything else stays as it was spelled."""

    def rewritten(match: re.Match[bytes]) -> bytes:
        old = _STRING.decode(match[1])
        new = replaced(old)
        return match[0] if new == old else b'"reference":' + msgspec.json.encode(new)

    return _REFERENCE.sub(rewritten, msgspec.json.format(body, indent=-1))
