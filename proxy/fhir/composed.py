"""Operations that the gateway composes: `$everything`, `$lastn`, `$docref`, `$document`, `$summary`; their parameters understood.

Sources: https://hl7.org/fhir/R4/patient-operation-everything.html, https://hl7.org/fhir/R4/observation-operation-lastn.html,
https://hl7.org/fhir/R4/composition-operation-document.html, US Core `$docref`, International Patient Summary `$summary`. Whatever is not in the tables is refused: what is ignored would widen the answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import Json
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.operation import listed_in
from proxy.fhir.parameters import filter_of
from proxy.fhir.query import Pair

_DAY = re.compile("[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
_MOST = re.compile("[1-9][0-9]{0,2}")
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9.-]{1,64}")
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
    if request.cursor or request.id:
        return
    for alternatives in _NEEDED.get(request.interaction, ()):
        if named.isdisjoint(alternatives):
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


def with_types(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
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
    """`on-demand`, `persist`: no document is made that would stay, so only `false` can be answered."""
    if value != "false":
        raise CallerError(Refusal.NOT_SUPPORTED, "no document is generated and kept")
    return request


def _instance(request: FhirRequest, _: str, value: str, reading: Reading) -> FhirRequest:
    """`id` of a Composition, or its URL here: the same as the operation of that instance, beside which it does not stand."""
    name = value.removeprefix(f"{reading.public_url}/Composition/")
    if request.id or not _ID.fullmatch(name):
        raise _refused("`id` names one composition of this server, where the path names none")
    return replace(request, id=name)


def _identifier(request: FhirRequest, name: str, value: str, reading: Reading) -> FhirRequest:
    """`identifier` of a patient, as a search has it, where the path names none."""
    if request.id:
        raise _refused("`identifier` does not stand beside an id")
    return _filter(request, name, value, reading)


def _profile(request: FhirRequest, _: str, value: str, __: Reading) -> FhirRequest:
    """`profile` of a summary: there is one."""
    if value.partition("|")[0] not in _PROFILES:
        raise _refused("no summary of that profile is made")
    return request


_TAKEN: Mapping[Interaction, Mapping[str, Read]] = {
    Interaction.EVERYTHING: {"start": _argument(_DAY), "end": _argument(_DAY), "_type": with_types},
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
    Interaction.DOCUMENT: {"id": _instance, "persist": _nothing_new},
    Interaction.SUMMARY: {"identifier": _identifier, "profile": _profile},
}
_NEEDED: Mapping[Interaction, tuple[frozenset[str], ...]] = {
    Interaction.LASTN: (frozenset({"patient", "subject"}), frozenset({"category", "code"})),
    Interaction.DOCREF: (frozenset({"patient"}),),
    Interaction.DOCUMENT: (frozenset({"id"}),),
    Interaction.SUMMARY: (frozenset({"identifier"}),),
}
"""Of each of these sets one must stand, where the path names no instance."""

_PROFILES = frozenset(
    f"http://hl7.org/fhir/uv/ips/StructureDefinition/{one}-uv-ips"
    for one in ("Composition", "Bundle")
)
"""By which IPS 2.0 and 1.1 name their summary."""

_ELEMENTS: Mapping[Interaction, Mapping[str, tuple[str, ...]]] = {
    Interaction.EVERYTHING: {
        "start": ("valueDate",),
        "end": ("valueDate",),
        "_since": ("valueInstant",),
        "_type": ("valueCode",),
        "_count": ("valueInteger",),
    },
    Interaction.DOCUMENT: {"id": ("valueUri",), "persist": ("valueBoolean",)},
    Interaction.SUMMARY: {
        "identifier": ("valueString",),
        "profile": ("valueCanonical", "valueUri"),
    },
}
"""The parameters that may be posted, and the elements that each may stand in."""
TAKES_BODY = frozenset(_ELEMENTS)


def pairs_in(body: bytes, interaction: Interaction) -> tuple[Pair, ...]:
    """The parameters of a posted operation, as they would stand in its URL. CallerError MALFORMED, PARAMETER, TOO_LARGE."""
    return tuple(_pair(one, _ELEMENTS[interaction]) for one in listed_in(body))


def _pair(one: Json, known: Mapping[str, tuple[str, ...]]) -> Pair:
    name = one.get("name") if isinstance(one, dict) else None
    elements = known.get(name, ()) if isinstance(name, str) else ()
    element = next((each for each in elements if isinstance(one, dict) and each in one), None)
    if not isinstance(one, dict) or element is None or set(one) != {"name", element}:
        raise _refused("a parameter of the body is unknown, or of another type")
    value = one[element]
    is_boolean = isinstance(value, bool)
    if is_boolean is not (element == "valueBoolean") or not isinstance(value, str | int):
        raise _refused("a parameter of the body has another type")
    return str(name), str(value).lower() if is_boolean else str(value)


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)
