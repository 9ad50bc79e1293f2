"""Bulk Data Access, kick-off request: what an export asks for (https://hl7.org/fhir/uv/bulkdata/export.html#query-parameters).

Laws:
- What cannot be guarded is refused and never ignored: `includeAssociatedData`, `organizeOutputBy`, searches in `_typeFilter` that no
  single resource answers (T-39).
- Whatever goes up to narrow an export is held against every line here once more: `Wish` is read again from its own URL.
- Written and read again, a wish is the same wish.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import Json, encode
from proxy.fhir.conditions import Condition, condition_of
from proxy.fhir.definitions import Definitions
from proxy.fhir.ndjson import MEDIA_TYPE
from proxy.fhir.operation import listed_in, patient_in
from proxy.fhir.query import Pair, encode_query, pairs_of

MOST_PATIENTS = 50
MOST_FILTERS = 20
MOST_ELEMENTS = 50

INSTANT = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    r":(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_FORMATS = frozenset(
    {"application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"}
)
_ELEMENT = re.compile("(?:([A-Z][A-Za-z]*)[.])?[a-z][A-Za-z0-9]*")
_PATIENT = re.compile(r"Patient/(?!\.+\Z)[A-Za-z0-9.-]{1,64}")
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]*\?)")
"""The comma between two searches; one inside a search parts its values."""

_ONCE = {
    "_type": "valueString",
    "_since": "valueInstant",
    "_until": "valueInstant",
    "_outputFormat": "valueString",
    "_elements": "valueString",
}
_OF_PATIENT = "patient"
_SEVERAL = {"_typeFilter": "valueString", _OF_PATIENT: "valueReference"}
_POSTED = {**_ONCE, **_SEVERAL}
"""What may be posted, and in which element."""


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """One search of `_typeFilter`: resources of the type that fulfil every condition."""

    rtype: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be exported. `types` as named, each once; none named: everything of the level that may be exported.

    `patients` (`Patient/x`): nobody else, if any is named. `elements`: as written, `name` or `Type.name`; none: all of them.
    """

    types: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    patients: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    filters: tuple[TypeFilter, ...] = ()

    @property
    def is_dated(self) -> bool:
        """Whether what is exported depends on when it was changed."""
        return bool(self.since or self.until)

    def elements_of(self, rtype: str) -> tuple[str, ...]:
        """The elements that are asked for of a type; none where it is wanted whole."""
        named = (one.rpartition(".") for one in self.elements)
        return tuple(name for head, _, name in named if head in ("", rtype))

    def filters_of(self, rtype: str) -> tuple[TypeFilter, ...]:
        """The searches for a type, of which a resource must answer one; none where all are wanted."""
        return tuple(one for one in self.filters if one.rtype == rtype)


def posted(body: bytes, public_url: str) -> tuple[Pair, ...]:
    """The parameters of a kick-off by POST (Parameters). Raises CallerError."""
    return tuple(_pair(one, public_url) for one in listed_in(body))


def _pair(one: Json, public_url: str) -> Pair:
    name = one.get("name") if isinstance(one, dict) else None
    element = _POSTED.get(name, "") if isinstance(name, str) else ""
    if not isinstance(one, dict) or set(one) != {"name", element}:
        raise _refused("a parameter of the body is unknown, or of another type")
    value = one[element]
    if name == _OF_PATIENT:
        return _OF_PATIENT, patient_in(value, public_url)
    if not isinstance(value, str):
        raise _refused("a parameter of an export is no text")
    return str(name), value


def wish_of(pairs: tuple[Pair, ...], definitions: Definitions, public_url: str = "") -> Wish:
    """Read the parameters of a kick-off. Raises CallerError: PARAMETER, NOT_ACCEPTABLE."""
    given = once(tuple(one for one in pairs if one[0] not in _SEVERAL), _ONCE)
    if given.get("_outputFormat", MEDIA_TYPE) not in _FORMATS:
        raise CallerError(Refusal.NOT_ACCEPTABLE, "an export is given as NDJSON alone")
    types = tuple(dict.fromkeys(given["_type"].split(","))) if "_type" in given else ()
    if not definitions.resource_types.issuperset(types):
        raise _refused("`_type` names a type that is unknown")
    searches = [one for name, text in pairs if name == "_typeFilter" for one in _parted(text)]
    filters = tuple(_filter(one, definitions, public_url) for one in searches)
    if len(filters) > MOST_FILTERS or (types and not {one.rtype for one in filters} <= set(types)):
        raise _refused("`_typeFilter` stands too often, or searches a type that is not exported")
    return Wish(
        types,
        _instant(given, "_since"),
        _instant(given, "_until"),
        _patients(pairs),
        _elements(given, definitions),
        filters,
    )


def once(pairs: tuple[Pair, ...], known: Collection[str]) -> Mapping[str, str]:
    """Parameters that may stand once each. Raises CallerError."""
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= set(known):
        raise _refused("a parameter of an export stands twice, or is not served")
    return given


def _instant(given: Mapping[str, str], name: str) -> str:
    # `+` decodes to a space in a query; an instant has none.
    text = given.get(name, "").replace(" ", "+")
    if name in given and not INSTANT.fullmatch(text):
        raise _refused(f"`{name}` is an instant")
    return text


def _patients(pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(value for name, value in pairs if name == _OF_PATIENT))
    if len(named) > MOST_PATIENTS or not all(map(_PATIENT.fullmatch, named)):
        raise _refused(f"`patient` names one patient, and stands {MOST_PATIENTS} times at most")
    return named


def _elements(given: Mapping[str, str], definitions: Definitions) -> tuple[str, ...]:
    if "_elements" not in given:
        return ()
    named = tuple(dict.fromkeys(given["_elements"].split(",")))
    found = [_ELEMENT.fullmatch(one) for one in named]
    types = {one[1] for one in found if one and one[1]}
    if len(named) > MOST_ELEMENTS or not all(found) or not types <= definitions.resource_types:
        raise _refused("`_elements` takes names of elements at top level, `name` or `Type.name`")
    return named


def _parted(text: str) -> list[str]:
    return _NEXT_FILTER.split(text)


def _filter(text: str, definitions: Definitions, public_url: str) -> TypeFilter:
    """One search, `Type?name=value&…`, of conditions that can be told from one resource alone."""
    rtype, _, query = text.partition("?")
    found = [condition_of(rtype, one, definitions, public_url) for one in pairs_of(query)]
    conditions = tuple(one for one in found if one is not None)
    if not conditions or len(conditions) < len(found):
        raise _refused("`_typeFilter` takes tokens and references, without modifier or chain")
    return TypeFilter(rtype, conditions)


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)


def _written(wish: Wish) -> list[Pair]:
    """The parameters but those of the answer's form, as they go up; `_elements` is done here (T-51)."""
    once_each = [("_type", ",".join(wish.types)), ("_since", wish.since), ("_until", wish.until)]
    searches = [
        f"{one.rtype}?"
        + encode_query((each.constraint[0], ",".join(each.values)) for each in one.conditions)
        for one in wish.filters
    ]
    return [pair for pair in once_each if pair[1]] + [("_typeFilter", one) for one in searches]


def query_of(wish: Wish) -> str:
    """Write the whole wish as a query; empty where nothing is asked for in particular."""
    pairs = _written(wish) + [(_OF_PATIENT, one) for one in wish.patients]
    if wish.elements:
        pairs.append(("_elements", ",".join(wish.elements)))
    return encode_query(pairs)


def asked_of_upstream(wish: Wish) -> tuple[str, bytes]:
    """Write what upstream is asked: a query; or, where patients are named, which only a POST may, a Parameters resource."""
    if not wish.patients:
        return encode_query(_written(wish)), b""
    listed: list[Json] = [{"name": name, _POSTED[name]: value} for name, value in _written(wish)]
    listed += [
        {"name": _OF_PATIENT, _POSTED[_OF_PATIENT]: {"reference": one}} for one in wish.patients
    ]
    return "", encode({"resourceType": "Parameters", "parameter": listed})
