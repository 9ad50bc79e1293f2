"""Bulk Data Access: what an export asks for, what upstream can do, and its manifest (https://hl7.org/fhir/uv/bulkdata/export.html).

Laws:
- What cannot be guarded is refused and never ignored: `_typeFilter`, `_elements`, `patient`, `includeAssociatedData` (T-39).
- Our manifest depends on the request alone: one file for each type that is exported, whatever upstream has of it, without
  counts, errors or deletions, for each of these would tell of hidden resources. No URL of upstream is in it (T-41).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.codec import Json
from proxy.fhir.definitions import Definitions
from proxy.fhir.ndjson import MEDIA_TYPE
from proxy.fhir.operation import parameters_of
from proxy.fhir.query import Pair, encode_query

SYSTEM, PATIENT, GROUP = "", "Patient", "Group"
"""The levels of an export, by the type that its path begins with."""

_INSTANT = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    r":(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_FORMATS = frozenset(
    {"application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"}
)
_JOB = re.compile("[A-Za-z0-9_-]{1,4096}")
_POSTED = {"_type": "valueString", "_since": "valueInstant", "_outputFormat": "valueString"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be exported. `types` as named, each once; none named: everything of the level that may be exported."""

    types: tuple[str, ...] = ()
    since: str = ""


def posted(body: bytes) -> tuple[Pair, ...]:
    """The parameters of a kick-off by POST (Parameters). Raises CallerError."""
    return tuple((name, _text(value)) for name, value in parameters_of(body, _POSTED).items())


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise _refused("a parameter of an export is no text")
    return value


def wish_of(pairs: tuple[Pair, ...], definitions: Definitions) -> Wish:
    """Read the parameters of a kick-off. Raises CallerError: PARAMETER, NOT_ACCEPTABLE."""
    given = _once(pairs, {"_type", "_since", "_outputFormat"})
    if given.get("_outputFormat", MEDIA_TYPE) not in _FORMATS:
        raise CallerError(Refusal.NOT_ACCEPTABLE, "an export is given as NDJSON alone")
    types = tuple(dict.fromkeys(given["_type"].split(","))) if "_type" in given else ()
    if not definitions.resource_types.issuperset(types):
        raise _refused("`_type` names a type that is unknown")
    since = given.get("_since", "")
    # `+` decodes to a space in a query; an instant has none.
    if "_since" in given and not _INSTANT.fullmatch(since.replace(" ", "+")):
        raise _refused("`_since` is an instant")
    return Wish(types, since.replace(" ", "+"))


def job_of(pairs: tuple[Pair, ...]) -> str:
    """Read what a status request names: the sealed job. Raises CallerError."""
    return _sealed(_once(pairs, {"_job"}))


def file_of(pairs: tuple[Pair, ...]) -> tuple[str, str]:
    """Read what a file request names: the sealed job and the type. Raises CallerError."""
    given = _once(pairs, {"_job", "_type"})
    return _sealed(given), given.get("_type", "")


def _sealed(given: Mapping[str, str]) -> str:
    if not _JOB.fullmatch(given.get("_job", "")):
        raise _refused("`_job` names no export of this gateway")
    return given["_job"]


def _once(pairs: tuple[Pair, ...], known: set[str]) -> Mapping[str, str]:
    given = dict(pairs)
    if len(given) != len(pairs) or not set(given) <= known:
        raise _refused("a parameter of an export stands twice, or is not served")
    return given


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)


def types_of(level: str, definitions: Definitions) -> tuple[str, ...]:
    """Give every type that an export of a level may hold: all, or those of the patient compartment."""
    if level == SYSTEM:
        return tuple(sorted(definitions.resource_types))
    return tuple(sorted({PATIENT, *definitions.compartment_patient}))


def query_of(wish: Wish) -> str:
    """Write the query of a kick-off; empty where nothing is asked for in particular."""
    pairs = [("_type", ",".join(wish.types)), ("_since", wish.since)]
    return encode_query([pair for pair in pairs if pair[1]])


class _Operation(msgspec.Struct, frozen=True):
    name: str = ""


class _Resource(msgspec.Struct, frozen=True):
    type: str
    operation: tuple[_Operation, ...] = ()


class _Rest(msgspec.Struct, frozen=True):
    mode: str
    resource: tuple[_Resource, ...] = ()
    operation: tuple[_Operation, ...] = ()


class _Statement(msgspec.Struct, frozen=True):
    """A CapabilityStatement, as far as it speaks of exports."""

    rest: tuple[_Rest, ...] = ()


_NAMED: Mapping[tuple[str, str], str] = {
    (SYSTEM, "export"): SYSTEM,
    (SYSTEM, "patient-export"): PATIENT,
    (SYSTEM, "group-export"): GROUP,
    (PATIENT, "export"): PATIENT,
    (PATIENT, "patient-export"): PATIENT,
    (GROUP, "export"): GROUP,
    (GROUP, "group-export"): GROUP,
}
"""(type that states it, name of the operation) to the level that it exports; servers write both."""


def levels_of(statement: bytes) -> frozenset[str]:
    """Tell which levels of export a CapabilityStatement states; none where it cannot be read."""
    try:
        rests = msgspec.json.decode(statement, type=_Statement).rest
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return frozenset()
    named = [
        (place, one.name)
        for rest in rests
        if rest.mode == "server"
        for place, operations in (
            ("", rest.operation),
            *((r.type, r.operation) for r in rest.resource),
        )
        for one in operations
    ]
    return frozenset(_NAMED[one] for one in named if one in _NAMED)


class _Output(msgspec.Struct, frozen=True):
    type: str
    url: str


class _Link(msgspec.Struct, frozen=True):
    relation: str = ""


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """Upstream's manifest, as far as it is read."""

    transaction_time: str
    requires_access_token: bool
    output: tuple[_Output, ...]
    link: tuple[_Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What upstream has made: `files` are (type, URL), `instant` the time to which it is complete."""

    instant: str
    files: tuple[tuple[str, str], ...]

    def urls(self, rtype: str) -> tuple[str, ...]:
        """Give the URLs of the files of a type."""
        return tuple(url for kind, url in self.files if kind == rtype)


def manifest_of(body: bytes) -> Manifest:
    """Read upstream's manifest. One that goes on elsewhere would be half an export: UpstreamError, as for any other fault."""
    try:
        found = msgspec.json.decode(body, type=_Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise UpstreamError("the manifest of an export cannot be read") from None
    if not _INSTANT.fullmatch(found.transaction_time):
        raise UpstreamError("the manifest of an export states no instant")
    if any(link.relation == "next" for link in found.link):
        raise UpstreamError("the manifest of an export goes on elsewhere")
    return Manifest(found.transaction_time, tuple((one.type, one.url) for one in found.output))


def written(
    instant: str, request: str, types: tuple[str, ...], url_of: Callable[[str], str]
) -> bytes:
    """Write our manifest: one file a type, `request` the URL of the kick-off."""
    return msgspec.json.encode(
        {
            "transactionTime": instant,
            "request": request,
            "requiresAccessToken": True,
            "output": [{"type": rtype, "url": url_of(rtype)} for rtype in types],
            "error": [],
        }
    )


_DEFINED = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_OPERATIONS: Mapping[str, tuple[str, str]] = {
    SYSTEM: ("export", "export"),
    PATIENT: ("export", "patient-export"),
    GROUP: ("export", "group-export"),
}


def operation_of(level: str) -> dict[str, str]:
    """Write `CapabilityStatement.rest(.resource).operation` of a level."""
    name, definition = _OPERATIONS[level]
    return {"name": name, "definition": _DEFINED + definition}
