"""Bulk Data Access of the embedded server: kick-off, status, files, deletion (https://hl7.org/fhir/uv/bulkdata/export.html).

An export is a picture of the moment it was begun, ready at once; jobs live as long as the server.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from proxy.sandbox.dates import interval_of
from proxy.sandbox.everything import in_compartment
from proxy.sandbox.index import Index
from proxy.sandbox.model import Answer, Ask, FhirError, Version, invalid
from proxy.sandbox.search import Search

NDJSON = "application/fhir+ndjson"
FILE_LINES = 1000
"""Resources of one file; more of a type go into several."""
_KNOWN = {"_type", "_since", "_until", "_outputFormat", "_typeFilter", "patient"}
_NEXT = re.compile(r",(?=[A-Z][A-Za-z]*\?)")
_MEMBER = re.compile(rb'"reference"\s*:\s*"Patient/([A-Za-z0-9.-]{1,64})"')
_OK, _ACCEPTED = 200, 202


class _Reference(msgspec.Struct, frozen=True):
    reference: str


class _Parameter(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value_string: str = ""
    value_instant: str = ""
    value_reference: _Reference | None = None


class _Parameters(msgspec.Struct, frozen=True):
    parameter: tuple[_Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """One export: when it was begun and by which URL, and its files by number."""

    instant: str
    request: str
    files: tuple[tuple[str, bytes], ...]


class Exports:
    """The exports of one store."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._store = index.store
        self._jobs: dict[str, _Job] = {}

    def answer(self, ask: Ask) -> Answer | None:
        """Answer a request that is about an export; None for any other."""
        match ask.path:
            case ("$export",) | ("Patient", "$export") | ("Group", _, "$export"):
                return self._begun(ask)
            case ("$export-job", name):
                return self._job(ask, name)
            case ("$export-job", name, number) if ask.method == "GET":
                return self._file(self._of(name), number)
            case _:
                return None

    def _begun(self, ask: Ask) -> Answer:
        if "respond-async" not in ask.headers.get("prefer", ""):
            raise invalid("an export needs Prefer: respond-async")
        pairs = (*ask.query, *(_posted(ask.body) if ask.method == "POST" else ()))
        query = dict(pairs)
        if not set(query) <= _KNOWN:
            raise invalid(f"an export has {', '.join(sorted(_KNOWN))} alone")
        first, last = _edge(query.get("_since"), 0.0), _edge(query.get("_until"), float("inf"))
        types = [one for one in query.get("_type", "").split(",") if one]
        files: list[tuple[str, bytes]] = []
        for kind in sorted(types or self._store.types()):
            found = self._wanted(pairs, kind, self._members(ask.path, kind), ask.base)
            kept = [one for one in found if first <= _updated(one) <= last]
            files += [(kind, _lines(some)) for some in _parted(kept)]
        instant = datetime.fromtimestamp(self._store.clock(), UTC).isoformat(
            timespec="milliseconds"
        )
        name = self._store.new_id()
        self._jobs[name] = _Job(instant, "/".join((ask.base, *ask.path)), tuple(files))
        return Answer(_ACCEPTED, headers={"Content-Location": f"{ask.base}/$export-job/{name}"})

    def _wanted(
        self, pairs: Iterable[tuple[str, str]], kind: str, members: list[Version], base: str
    ) -> list[Version]:
        """Those that one of the searches for their type finds, and that are about one of the patients that are named."""
        named = [value for name, value in pairs if name == "patient"]
        searches = [
            one.partition("?")[2]
            for name, value in pairs
            if name == "_typeFilter"
            for one in _NEXT.split(value)
            if one.startswith(f"{kind}?")
        ]
        search = Search(self._index)
        found = {
            id(one)
            for text in searches
            for one in search.find(search.query(kind, tuple(parse_qsl(text)), base))
        }
        owned = {
            ident
            for who in named
            for ident in (
                {who.rpartition("/")[2]}
                if kind == "Patient"
                else in_compartment(self._index, who.rpartition("/")[2], kind)
            )
        }
        return [
            one
            for one in members
            if (not searches or id(one) in found) and (not named or one.id in owned)
        ]

    def _members(self, path: tuple[str, ...], kind: str) -> list[Version]:
        found = self._store.everything(kind)
        if len(path) == 1:
            return list(found.values())
        if kind == "Patient":
            return [found[one] for one in self._patients(path) if one in found]
        if kind not in self._store.definitions.compartment_patient:
            return []
        ids = {
            one for who in self._patients(path) for one in in_compartment(self._index, who, kind)
        }
        return [found[one] for one in sorted(ids)]

    def _patients(self, path: tuple[str, ...]) -> list[str]:
        if path[0] == "Patient":
            return list(self._store.everything("Patient"))
        body = self._store.read("Group", path[1]).body or b""
        return [name.decode() for name in _MEMBER.findall(body)]

    def _of(self, name: str) -> _Job:
        if name not in self._jobs:
            raise FhirError(404, "not-found", "there is no such export")
        return self._jobs[name]

    def _job(self, ask: Ask, name: str) -> Answer:
        job = self._of(name)
        if ask.method == "DELETE":
            del self._jobs[name]
            return Answer(_ACCEPTED)
        if ask.method != "GET":
            raise FhirError(405, "not-supported", f"{ask.method} is not possible here")
        place = f"{ask.base}/$export-job/{name}"
        output = [
            {"type": kind, "url": f"{place}/{number}", "count": lines.count(b"\n")}
            for number, (kind, lines) in enumerate(job.files)
        ]
        manifest = {
            "transactionTime": job.instant,
            "request": job.request,
            "requiresAccessToken": False,
            "output": output,
            "error": [],
        }
        return Answer(_OK, msgspec.json.encode(manifest), {"Content-Type": "application/json"})

    def _file(self, job: _Job, number: str) -> Answer:
        if not number.isdecimal() or int(number) >= len(job.files):
            raise FhirError(404, "not-found", "the export has no such file")
        return Answer(_OK, job.files[int(number)][1], {"Content-Type": NDJSON})


def _posted(body: bytes) -> Iterator[tuple[str, str]]:
    """The parameters of a posted kick-off."""
    try:
        listed = msgspec.json.decode(body, type=_Parameters).parameter
    except msgspec.MsgspecError:
        raise invalid("an export is posted as Parameters") from None
    for one in listed:
        reference = one.value_reference.reference if one.value_reference else ""
        yield one.name, one.value_string or one.value_instant or reference


def _edge(text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    when = interval_of(text)
    if when is None:
        raise invalid("_since and _until must be instants")
    return when[0]


def _parted(versions: list[Version]) -> Iterable[list[Version]]:
    return (versions[n : n + FILE_LINES] for n in range(0, len(versions), FILE_LINES))


def _lines(versions: Iterable[Version]) -> bytes:
    """One resource a line; outside of strings an end of line is white space."""
    bodies = (version.body or b"" for version in versions)
    return b"".join(body.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n" for body in bodies)


def _updated(version: Version) -> float:
    return datetime.fromisoformat(version.updated).timestamp()
