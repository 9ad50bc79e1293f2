"""Rereading: what upstream gives in a Bundle is read again, each resource by itself, and put in its place (threat T-53).

For a server that leaves security labels out of search results: it is asked for each resource alone (https://hl7.org/fhir/R4/http.html#read), of a
history for each version (#vread). Whatever the gateway judges it has then read; links, modes and the order stay.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import msgspec

from proxy.errors import OversizedError, UpstreamError
from proxy.fhir.interaction import Answer
from proxy.fhir.spans import SpansError, items_of, member, without

OK = 200
_GONE = frozenset({404, 410})
AT_ONCE = 16
"""Resources that one answer has read at once."""
_INSTANCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_UNREADABLE = (SpansError, msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_UNJUDGED = b"{}"
"""Stands for a resource that cannot be read: it is withheld alone, and the operator hears of it (T-156)."""
_BY_LABELS = frozenset({"_id", "location"})
"""Parameters of the look-ups whose answers are judged by their labels: targets of references, documents, what holds a Binary."""


class Getting(Protocol):
    """Port: upstream, or a stand-in."""

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        """One answer to a target below the base."""
        ...


class Searching(Protocol):
    """Port: searches with the gateway's own rights."""

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        """Every matching resource."""
        ...


class _Meta(msgspec.Struct, frozen=True):
    versionId: str = ""  # noqa: N815  (FHIR's name)


class _Named(msgspec.Struct, frozen=True):
    resourceType: str = ""  # noqa: N815  (FHIR's name)
    id: str = ""
    meta: _Meta = _Meta()


class _Kind(msgspec.Struct, frozen=True):
    resourceType: str = ""  # noqa: N815  (FHIR's name)
    type: str = ""


class _Asking(NamedTuple):
    """On whose behalf is read again."""

    request_id: str
    authorization: str


@dataclass(slots=True)
class Switch:
    """Whether what comes in Bundles is read again; once on it stays on."""

    on: bool


class Rereading:
    """Upstream; while the switch is on, every resource of a Bundle is the one that a read gives."""

    def __init__(self, upstream: Getting, switch: Switch) -> None:
        self._upstream = upstream
        self._switch = switch

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        """Port `Upstream`. `UpstreamError` where a resource cannot be read again; one that is gone is left out."""
        answer = await self._upstream.get(target, request_id, authorization)
        if (
            not self._switch.on
            or answer.status != OK
            or _INSTANCE.fullmatch(target.partition("?")[0])
        ):
            return answer
        asking = _Asking(request_id, authorization)
        try:
            return replace(answer, body=await self._reread(answer.body, asking))
        except _UNREADABLE:
            raise UpstreamError("upstream's Bundle cannot be read again entry by entry") from None

    async def _reread(self, body: bytes, asking: _Asking) -> bytes:
        frame = without(body, "entry")
        kind = msgspec.json.decode(frame, type=_Kind)
        listed = [one for one in items_of(body) if one.lstrip().startswith(b'"entry"')]
        if kind.resourceType != "Bundle" or not listed:
            return body
        turns = asyncio.Semaphore(AT_ONCE)

        async def read(entry: bytes) -> bytes | None:
            async with turns:
                return await self._entry(entry, kind.type, asking)

        entries = await asyncio.gather(*map(read, items_of(member(body, "entry", b"["))))
        kept = b",".join(one for one in entries if one is not None)
        return _with_member(frame, b"entry", b"[" + kept + b"]")

    async def _entry(self, entry: bytes, kind: str, asking: _Asking) -> bytes | None:
        """The entry with what a read gives; None for a resource that is gone or says not what it is."""
        try:
            return await self._again(entry, kind, asking)
        except (OversizedError, *_UNREADABLE):
            return b'{"resource":%b}' % _UNJUDGED

    async def _again(self, entry: bytes, kind: str, asking: _Asking) -> bytes | None:
        if not any(one.lstrip().startswith(b'"resource"') for one in items_of(entry)):
            return entry  # a deletion: it has no labels
        resource = member(entry, "resource", b"{")
        try:
            target = _target_of(msgspec.json.decode(resource, type=_Named), kind)
        except _UNREADABLE:
            return None
        if target is None:
            return None
        answer = await self._upstream.get(target, asking.request_id, asking.authorization)
        if answer.status in _GONE:
            return None
        if answer.status != OK or not _is_named(answer.body, target):
            raise UpstreamError(f"a resource read again was answered with status {answer.status}")
        return _with_member(without(entry, "resource"), b"resource", answer.body)


def _target_of(named: _Named, kind: str) -> str | None:
    """Where a resource of a Bundle is read: its version in a history."""
    own = f"{named.resourceType}/{named.id}"
    if kind == "history":
        version = named.meta.versionId
        own = f"{own}/_history/{version}" if _ID.fullmatch(version) else ""
    return own if _INSTANCE.fullmatch(own) else None


def _is_named(body: bytes, target: str) -> bool:
    named = msgspec.json.decode(body, type=_Named)
    return target.partition("/_history")[0] == f"{named.resourceType}/{named.id}"


def _with_member(text: bytes, name: bytes, value: bytes) -> bytes:
    """An object with one member more."""
    comma = b"," if text.strip() != b"{}" else b""
    return text.rstrip()[:-1] + comma + b'"' + name + b'":' + value + b"}"


class LabelledReader:
    """Port `FhirReader`: the look-ups whose answers are judged by their labels go the one way, the others the other."""

    def __init__(self, labelled: Searching, plain: Searching) -> None:
        self._labelled = labelled
        self._plain = plain

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        """Every matching resource; those that are found by id or by what they hold are read again where that is needed."""
        judged = not _BY_LABELS.isdisjoint(name for name, _ in parameters)
        reader = self._labelled if judged else self._plain
        return await reader.search(resource_type, parameters)
