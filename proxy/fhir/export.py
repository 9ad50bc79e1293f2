"""Bulk Data Access: which job and file is asked for, what upstream can do, and its manifest (https://hl7.org/fhir/uv/bulkdata/export.html).

Laws:
- Our manifest depends on the request alone: one file for each type that is exported, whatever upstream has of it, without
  counts, errors or deletions, for each of these would tell of hidden resources. No URL of upstream is in it (T-41).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.definitions import Definitions
from proxy.fhir.kickoff import INSTANT, once
from proxy.fhir.query import Pair

SYSTEM, PATIENT, GROUP = "", "Patient", "Group"
"""The levels of an export, by the type that its path begins with."""

LONGEST_JOB = 6144
"""Characters of a sealed job: with the rest of its URL they fit into a request line."""
_JOB = re.compile(f"[A-Za-z0-9_-]{{1,{LONGEST_JOB}}}")


def job_of(pairs: tuple[Pair, ...]) -> str:
    """Read what a status request names: the sealed job. Raises CallerError."""
    return _sealed(once(pairs, {"_job"}))


def file_of(pairs: tuple[Pair, ...]) -> tuple[str, str]:
    """Read what a file request names: the sealed job and the type. Raises CallerError."""
    given = once(pairs, {"_job", "_type"})
    return _sealed(given), given.get("_type", "")


def _sealed(given: Mapping[str, str]) -> str:
    if not _JOB.fullmatch(given.get("_job", "")):
        raise _refused("`_job` names no export of this gateway")
    return given["_job"]


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)


def types_of(level: str, definitions: Definitions) -> tuple[str, ...]:
    """Give every type that an export of a level may hold: all, or those of the patient compartment.

    A Group is in the compartment of each member, and holds all of them: of patients it is exported only where it is named, and
    servers (HAPI FHIR) do not take it for a type of theirs.
    """
    if level == SYSTEM:
        return tuple(sorted(definitions.resource_types))
    types = {PATIENT, *definitions.compartment_patient}
    return tuple(sorted(types - {GROUP} if level == PATIENT else types))


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
    if not INSTANT.fullmatch(found.transaction_time):
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
