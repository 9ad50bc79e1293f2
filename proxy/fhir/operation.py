"""What an operation is given and gives: the Parameters resource (https://hl7.org/fhir/R4/operations.html, /parameters.html).

Read strictly: a parameter that is unknown, stands twice, has another type or more members than its value is refused, so
that nothing of a body is ever overlooked. Pure.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import Json, parse_strict
from proxy.fhir.coding import Coding, system_of

MAX_BYTES = 16_384
MAX_DEPTH = 8
_PATIENT = re.compile(r"Patient/(?!\.+\Z)[A-Za-z0-9.-]{1,64}")


def parameters_of(body: bytes, known: Mapping[str, str]) -> dict[str, Json]:
    """The values by name; `known` has the element of each (`valueString`). CallerError MALFORMED, PARAMETER, TOO_LARGE."""
    listed = listed_in(body)
    if not listed:
        raise CallerError(Refusal.MALFORMED, "the Parameters resource has no parameters")
    found: dict[str, Json] = {}
    for one in listed:
        name, value = _parameter(one, known)
        if name in found:
            raise CallerError(Refusal.PARAMETER, "a parameter of the body stands twice")
        found[name] = value
    return found


def listed_in(body: bytes) -> list[Json]:
    """The parameters of a Parameters resource; none where it has none. CallerError MALFORMED, TOO_LARGE."""
    tree = parse_strict(body, MAX_BYTES, MAX_DEPTH)
    if not isinstance(tree, dict) or tree.get("resourceType") != "Parameters":
        raise CallerError(Refusal.MALFORMED, "the body is no Parameters resource")
    listed = tree.get("parameter", [])
    if not set(tree) <= {"resourceType", "parameter"} or not isinstance(listed, list):
        raise CallerError(Refusal.MALFORMED, "the Parameters resource has other members")
    return listed


def _parameter(one: Json, known: Mapping[str, str]) -> tuple[str, Json]:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise CallerError(Refusal.MALFORMED, "a parameter of the body has no name")
    name = str(one["name"])
    element = known.get(name)
    if element is None or set(one) != {"name", element}:
        raise CallerError(
            Refusal.PARAMETER, "a parameter of the body is unknown, or of another type"
        )
    return name, one[element]


def patient_in(value: Json, public_url: str) -> str:
    """The patient (`Patient/x`) that a Reference names, relative or below the public base; CallerError for any other."""
    reference = value.get("reference") if isinstance(value, dict) and len(value) == 1 else None
    text = reference.removeprefix(f"{public_url}/") if isinstance(reference, str) else ""
    if not _PATIENT.fullmatch(text):
        raise CallerError(Refusal.PARAMETER, "the patient is not named by a reference `Patient/id`")
    return text


def coding_in(value: Json) -> Coding:
    """A Coding with system and code, and at most a display; CallerError for any other."""
    if isinstance(value, dict) and set(value) <= {"system", "code", "display"}:
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str) and system and code:
            return Coding(system_of(system), code)
    raise CallerError(Refusal.PARAMETER, "the reason is no coding with `system` and `code`")


def text_in(value: Json, fewest: int, most: int) -> str:
    """A text without control characters, white space run together; CallerError where it is shorter or longer."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text.isprintable() or not fewest <= len(text) <= most:
        raise CallerError(
            Refusal.PARAMETER, f"the text has not between {fewest} and {most} characters"
        )
    return text


def parameters(values: Mapping[str, tuple[str, object]]) -> bytes:
    """A Parameters resource: name -> (element, value)."""
    listed = [{"name": name, element: value} for name, (element, value) in values.items()]
    return msgspec.json.encode({"resourceType": "Parameters", "parameter": listed})


def instant(seconds: float) -> str:
    """A FHIR instant in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
