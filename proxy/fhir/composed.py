"""Operations that the gateway composes of searches: `$everything`, `$lastn`, `$docref`; their parameters understood.

Sources: https://hl7.org/fhir/R4/patient-operation-everything.html, https://hl7.org/fhir/R4/observation-operation-lastn.html,
US Core `$docref`. Whatever is not in the tables is refused: what is ignored would widen the answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import Json, parse_strict
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.operation import MAX_BYTES, MAX_DEPTH
from proxy.fhir.parameters import filter_of
from proxy.fhir.query import Pair

_DAY = re.compile("[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
_MOST = re.compile("[1-9][0-9]{0,2}")
_PATIENT = re.compile(r"(?:Patient/)?(?!\.+\Z)[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What parameters are read with."""

    definitions: Definitions
    public_url: str


Read = Callable[[FhirRequest, str, str, Reading], FhirRequest]
"""Reads one parameter, by name and value, into a request; CallerError for what it cannot be."""


def with_argument(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
    """The request with one parameter of its operation. Raises CallerError PARAMETER."""
    read = _TAKEN[request.interaction].get(name)
    if read is None:
        raise _refused("the operation has no such parameter, or it is not served")
    return read(request, name, value, reading)


def require_complete(request: FhirRequest) -> None:
    """Refuses a request of an operation in which something is missing that it needs."""
    named = {one.name for one in request.parameters}
    for alternatives in _NEEDED.get(request.interaction, ()):
        if not request.cursor and named.isdisjoint(alternatives):
            raise _refused(f"the operation needs one of {', '.join(sorted(alternatives))}")


def argument(request: FhirRequest, name: str) -> tuple[str, ...]:
    """The values of a parameter of the operation; none where it does not stand."""
    return tuple(v for one in request.arguments if one.name == name for v in one.values)


def _argument(pattern: re.Pattern[str]) -> Read:
    """A reader of a value that stands once."""

    def read(request: FhirRequest, name: str, value: str, _: Reading) -> FhirRequest:
        if not pattern.fullmatch(value) or argument(request, name):
            raise _refused("a parameter of the operation stands twice, or has another form")
        given = SearchParameter(name, "", (value,))
        return replace(request, arguments=(*request.arguments, given))

    return read


def _types(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
    """`_type`: types, separated by commas; it may stand several times."""
    named = value.split(",")
    if not reading.definitions.resource_types.issuperset(named):
        raise _refused("`_type` names types of resources")
    types = tuple(dict.fromkeys((*argument(request, name), *named)))
    others = tuple(one for one in request.arguments if one.name != name)
    return replace(request, arguments=(*others, SearchParameter(name, "", types)))


def _filter(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
    """A filter of the type, as a search has it."""
    if any(one.name == name for one in request.parameters):
        raise _refused("a parameter of the operation stands twice")
    found = filter_of(name, value, request.type, reading.definitions, reading.public_url)
    return replace(request, parameters=(*request.parameters, found))


def _patient(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
    """One patient, by id or reference."""
    if not _PATIENT.fullmatch(value.removeprefix(f"{reading.public_url}/")):
        raise _refused("the patient is named by an id")
    return _filter(request, name, value, reading)


def _nothing_new(request: FhirRequest, _: str, value: str, __: Reading) -> FhirRequest:
    """`on-demand`: documents are not made, so only `false` can be answered."""
    if value != "false":
        raise CallerError(Refusal.NOT_SUPPORTED, "documents are not generated")
    return request


_TAKEN: Mapping[Interaction, Mapping[str, Read]] = {
    Interaction.EVERYTHING: {"start": _argument(_DAY), "end": _argument(_DAY), "_type": _types},
    Interaction.LASTN: {
        "patient": _patient,
        "subject": _patient,
        "category": _filter,
        "code": _filter,
        "max": _argument(_MOST),
    },
    Interaction.DOCREF: {
        "patient": _patient,
        "type": _filter,
        "start": _argument(_DAY),
        "end": _argument(_DAY),
        "on-demand": _nothing_new,
    },
}
_NEEDED: Mapping[Interaction, tuple[frozenset[str], ...]] = {
    Interaction.LASTN: (frozenset({"patient", "subject"}), frozenset({"category", "code"})),
    Interaction.DOCREF: (frozenset({"patient"}),),
}
"""Of each of these sets one must stand."""

_ELEMENTS: Mapping[str, str] = {
    "start": "valueDate",
    "end": "valueDate",
    "_since": "valueInstant",
    "_type": "valueCode",
    "_count": "valueInteger",
}
"""The parameters of a posted `$everything`."""


def pairs_in(body: bytes) -> tuple[Pair, ...]:
    """The parameters of a posted `$everything`, as they would stand in its URL. CallerError MALFORMED, PARAMETER, TOO_LARGE."""
    tree = parse_strict(body, MAX_BYTES, MAX_DEPTH)
    if not isinstance(tree, dict) or tree.get("resourceType") != "Parameters":
        raise CallerError(Refusal.MALFORMED, "the body is no Parameters resource")
    listed = tree.get("parameter", [])
    if not set(tree) <= {"resourceType", "parameter"} or not isinstance(listed, list):
        raise CallerError(Refusal.MALFORMED, "the Parameters resource has other members")
    return tuple(map(_pair, listed))


def _pair(one: Json) -> Pair:
    name = one.get("name") if isinstance(one, dict) else None
    element = _ELEMENTS.get(name) if isinstance(name, str) else None
    if not isinstance(one, dict) or element is None or set(one) != {"name", element}:
        raise _refused("a parameter of the body is unknown, or of another type")
    value = one[element]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _refused("a parameter of the body has another type")
    return str(name), str(value)


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)
