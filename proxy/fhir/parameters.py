"""Search parameters: which exist, which modifiers each kind takes, what a value may look like (https://hl7.org/fhir/R4/search.html).

An allow-list by exact name, so that no other spelling, chain, `_has` or vendor parameter can pass (threats T-2
to T-6, T-22). Values are read strictly and references come out in one spelling, `Type/id`.
"""

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import Definitions, SearchParam, definitions_of
from proxy.fhir.interaction import EVERY_TYPE, SearchParameter
from proxy.fhir.links import reference_of

MAX_VALUES = 1000
"""Of all filters of one request together."""

# FHIR search.html#modifiers, less those that need terminology, text indexes or hierarchies of upstream.
# A reference also takes each of its target types, which is read away (`subject:Patient=1` is `subject=Patient/1`).
MODIFIERS: Mapping[str, frozenset[str]] = {
    "token": frozenset({"", "not", "missing"}),
    "string": frozenset({"", "exact", "contains", "missing"}),
    "reference": frozenset({"", "identifier", "missing"}),
    "date": frozenset({"", "missing"}),
    "number": frozenset({"", "missing"}),
    "quantity": frozenset({"", "missing"}),
    "uri": frozenset({"", "missing"}),
}

# Of the parameters of every resource only these two: labels, tags, profiles and sources betray policy (threats T-14).
_OF_EVERY_RESOURCE = frozenset({"_id", "_lastUpdated"})

_ESCAPED = r"\\[,$|\\]"
_LIST = re.compile(rf"(?:[^,\\]|{_ESCAPED})+(?:,(?:[^,\\]|{_ESCAPED})+)*")
_ITEM = re.compile(rf"(?:[^,\\]|{_ESCAPED})+")

_TEXT = r"(?:[^|\\]|\\.)+"
_PREFIX = "(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?"
_DAY = "[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?)?"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_TOKEN = rf"{_TEXT}(?:\|(?:{_TEXT})?)?|\|{_TEXT}"
_ID = r"(?!\.+\Z)[A-Za-z0-9.-]{1,64}"

_VALUES: Mapping[str, re.Pattern[str]] = {
    "token": re.compile(_TOKEN),
    "string": re.compile(r"(?s:.)*\S(?s:.)*"),
    "date": re.compile(rf"{_PREFIX}{_DAY}(?:{_TIME}{_ZONE}?)?)?)?"),
    "number": re.compile(rf"{_PREFIX}{_NUMBER}"),
    "quantity": re.compile(rf"{_PREFIX}{_NUMBER}(?:\|(?:{_TEXT})?\|{_TEXT})?"),
    "uri": re.compile(r"\S+"),
    "id": re.compile(_ID),
    "missing": re.compile("true|false"),
    "identifier": re.compile(_TOKEN),
}


@functools.cache
def searchable(resource_type: str, fhir_version: str) -> Mapping[str, SearchParam]:
    """Give the filters that a type may be searched by, by name; empty for an unknown type.

    Only parameters whose element paths are known: what a predicate reads must be visible to be judged. All types at once
    are searched by those that every type has (FHIR http.html#vsearch).
    """
    tables = definitions_of(fhir_version).search_params
    params = tables.get("Basic" if resource_type == EVERY_TYPE else resource_type, {})
    if resource_type == EVERY_TYPE:
        params = {name: one for name, one in params.items() if name in _OF_EVERY_RESOURCE}
    return MappingProxyType({name: p for name, p in params.items() if _is_plain(p)})


def _is_plain(param: SearchParam) -> bool:
    is_own = not param.name.startswith("_") or param.name in _OF_EVERY_RESOURCE
    return bool(param.paths) and param.kind in MODIFIERS and is_own


def targets_of(resource_type: str, param: SearchParam, definitions: Definitions) -> frozenset[str]:
    """Give the types that a reference parameter of a type can really name: by its definition and its elements'."""
    return _targets_of(resource_type, param, definitions.fhir_version)


@functools.cache
def _targets_of(resource_type: str, param: SearchParam, fhir_version: str) -> frozenset[str]:
    elements = definitions_of(fhir_version).references.get(resource_type, {})
    named = frozenset(target for path in param.paths for target in elements.get(path, ()))
    return frozenset(param.targets) & named if named else frozenset(param.targets)


def filter_of(
    key: str, value: str, resource_type: str, definitions: Definitions, public_url: str
) -> SearchParameter:
    """Read one filter, `name[:modifier]=value`, of a search on a type.

    References below `public_url` become relative. Raises CallerError: PARAMETER for what is not on the
    allow-list or not a value of its kind, MALFORMED for empty values and broken escapes.
    """
    name, colon, modifier = key.partition(":")
    param = searchable(resource_type, definitions.fhir_version).get(name)
    if param is None or (colon and not modifier):
        raise _refused("the parameter is not known for this type")
    values = split_values(value)
    targets = targets_of(resource_type, param, definitions)
    if param.kind == "reference" and (modifier in targets or not modifier):
        values = tuple(_reference(v, name, modifier, targets, public_url) for v in values)
        return SearchParameter(name, "", values)
    _require(param, modifier, values)
    return SearchParameter(name, modifier, values)


def split_values(value: str) -> tuple[str, ...]:
    """Split an OR-list at its unescaped commas; escapes stay. MALFORMED for empty members and unknown escapes."""
    if not _LIST.fullmatch(value):
        raise CallerError(Refusal.MALFORMED, "a value is empty or has an unknown escape")
    return tuple(_ITEM.findall(value))


def _require(param: SearchParam, modifier: str, values: tuple[str, ...]) -> None:
    allowed = frozenset({""}) if param.name in _OF_EVERY_RESOURCE else MODIFIERS[param.kind]
    if modifier not in allowed:
        raise _refused("the modifier is not allowed for this parameter")
    if modifier == "missing" and len(values) > 1:
        raise _refused("`:missing` takes one value")
    pattern = _VALUES[_syntax_of(param, modifier)]
    if not all(map(pattern.fullmatch, values)):
        raise _refused("a value is not of the kind of its parameter")


def _syntax_of(param: SearchParam, modifier: str) -> str:
    """Name the row of `_VALUES` that a value must match."""
    if modifier in ("missing", "identifier"):
        return modifier
    return "id" if param.name == "_id" else param.kind


def _reference(
    value: str, name: str, modifier: str, targets: frozenset[str], public_url: str
) -> str:
    """Write a reference value as `Type/id` (FHIR search.html#reference)."""
    reference: str | None
    if _VALUES["id"].fullmatch(value):
        reference = f"{modifier or _only_target(name, targets)}/{value}"
    else:
        # A version would be dropped, and the search would be another one.
        reference = None if "/_history/" in value else reference_of(value, (public_url,))
    target = reference.partition("/")[0] if reference else ""
    if reference is None or target not in targets or (modifier and target != modifier):
        raise _refused(
            "a reference names a type that this parameter does not reach, or another server"
        )
    return reference


def _only_target(name: str, targets: frozenset[str]) -> str:
    """Tell the type of a bare id: the only target, or Patient for `patient`; else empty, which no target is."""
    if name == "patient":
        return "Patient"
    return next(iter(targets)) if len(targets) == 1 else ""


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)
