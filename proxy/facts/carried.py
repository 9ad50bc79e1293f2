"""Whether upstream's Bundles carry the security labels of what stands in them (threat T-53; hapi-fhir#8362).

A label filter in front of a server that leaves `meta.security` out of search entries lets everything through, and nothing looks wrong. So
labelled resources are looked for, read alone, and compared with how they come in each kind of Bundle that the gateway asks for.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from proxy.errors import UpstreamError
from proxy.fhir.coding import CONFIDENTIALITY

Get: TypeAlias = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Asks upstream for a target; status and body. `UpstreamError` when nothing usable came."""

PROBED = ("Observation", "Condition", "DocumentReference", "Encounter", "Patient", "Composition")
"""Types among which labelled resources are looked for, in this order."""
ENOUGH = 3
"""Labelled resources that are compared."""
SAMPLE = 5
"""Resources of a type that are looked at where none is found by its label."""
OK = 200
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PATIENT = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})")
_CODES = ("R", "V", "N", "M", "L")
_BY_LABEL = "_security=" + ",".join(f"{CONFIDENTIALITY}%7C{code}" for code in _CODES)

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What one odd resource must not stop the looking by."""

Labels: TypeAlias = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Carried:
    """What was found out: labelled resources that were compared, and the kinds of Bundles that lack their labels."""

    compared: int
    lost: frozenset[str]


class _Coding(msgspec.Struct, frozen=True):
    system: str = ""
    code: str = ""


class _Meta(msgspec.Struct, frozen=True):
    versionId: str = ""  # noqa: N815  (FHIR's name)
    security: tuple[_Coding, ...] = ()


class _Reference(msgspec.Struct, frozen=True):
    reference: str = ""


class _Entry(msgspec.Struct, frozen=True):
    resource: msgspec.Raw = msgspec.Raw(b"{}")


class _Bundle(msgspec.Struct, frozen=True):
    entry: tuple[_Entry, ...] = ()


class _Labelled(msgspec.Struct, frozen=True):
    resourceType: str = ""  # noqa: N815  (FHIR's name)
    id: str = ""
    meta: _Meta = _Meta()
    subject: _Reference = _Reference()

    @property
    def labels(self) -> Labels:
        """Its labels, as system and code."""
        return frozenset((one.system, one.code) for one in self.meta.security)


async def labels_carried(get: Get) -> Carried:
    """Compares up to `ENOUGH` labelled resources; a question that upstream does not answer tells nothing."""
    compared, lost = 0, set[str]()
    for rtype in PROBED:
        for sample in await _samples(get, rtype):
            whole = await _read(get, f"{rtype}/{sample.id}")
            if whole is None or not whole.labels:
                continue
            compared += 1
            lost |= {kind async for kind in _lost(get, whole, sample)}
            if compared == ENOUGH:
                return Carried(compared, frozenset(lost))
    return Carried(compared, frozenset(lost))


async def _samples(get: Get, rtype: str) -> list[_Labelled]:
    """Some resources of a type as a search gives them, labelled ones where they can be found."""
    found = await _entries(get, f"{rtype}?{_BY_LABEL}&_count={ENOUGH}")
    return found or await _entries(get, f"{rtype}?_count={SAMPLE}")


async def _lost(get: Get, whole: _Labelled, sample: _Labelled) -> AsyncIterator[str]:
    """The kinds of Bundles in which the resource, in the same version, comes with other labels."""
    if _differs(whole, [sample]):
        yield "search"
    for kind, target in _ways(whole):
        if _differs(whole, await _entries(get, target)):
            yield kind


def _ways(whole: _Labelled) -> Iterator[tuple[str, str]]:
    """How else the gateway has a resource brought to it in a Bundle."""
    yield "search by _id", f"{whole.resourceType}?_id={whole.id}"
    yield "history", f"{whole.resourceType}/{whole.id}/_history?_count=1"
    patient = _PATIENT.fullmatch(whole.subject.reference)
    if patient:
        yield "include", f"Patient?_id={patient[1]}&_revinclude={whole.resourceType}:patient"


def _differs(whole: _Labelled, entries: Iterable[_Labelled]) -> bool:
    return any(
        one.labels != whole.labels
        for one in entries
        if (one.resourceType, one.id) == (whole.resourceType, whole.id)
        and one.meta.versionId in ("", whole.meta.versionId)
    )


async def _read(get: Get, target: str) -> _Labelled | None:
    found = await _asked(get, target)
    return None if found is None else _told(found)


async def _entries(get: Get, target: str) -> list[_Labelled]:
    """What stands in a Bundle; nothing where there is none."""
    body = await _asked(get, target)
    try:
        frame = msgspec.json.decode(body or b"{}", type=_Bundle)
    except _UNREADABLE:
        return []
    told = (_told(one.resource) for one in frame.entry)
    return [one for one in told if one is not None and _ID.fullmatch(one.id)]


async def _asked(get: Get, target: str) -> bytes | None:
    try:
        status, body = await get(target)
    except UpstreamError:
        return None
    return body if status == OK else None


def _told(resource: bytes | msgspec.Raw) -> _Labelled | None:
    try:
        return msgspec.json.decode(resource, type=_Labelled)
    except _UNREADABLE:
        return None
