"""The Bundle frame: links and entries with each resource left as raw bytes (https://hl7.org/fhir/R4/bundle.html).

A Bundle that leaves is built anew from its parts; resources are joined in as the bytes they came as. Nothing
of upstream's frame passes by itself: not its id, its total, its links or its extensions.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.dates import INSTANT
from proxy.fhir.spans import SpansError, items_of, member, without

BundleType: TypeAlias = Literal["searchset", "history"]
_ORDER = "ULMNRV"


NO_RESOURCE = msgspec.Raw()


class Link(msgspec.Struct, frozen=True, gc=False):
    """`Bundle.link`."""

    relation: str
    url: str


class EntrySearch(msgspec.Struct, frozen=True, gc=False):
    """`Bundle.entry.search`."""

    mode: str = ""


class EntryRequest(msgspec.Struct, frozen=True, gc=False):
    """`Bundle.entry.request` of a history."""

    method: str = ""
    url: str = ""


class FrameEntry(msgspec.Struct, frozen=True, gc=False):
    """`Bundle.entry`; `resource` is the raw span of the resource, absent in a deletion of a history."""

    resource: msgspec.Raw = NO_RESOURCE
    search: EntrySearch | None = None
    request: EntryRequest | None = None


class EntryResponse(msgspec.Struct, frozen=True, gc=False):
    """`Bundle.entry.response` of a history."""

    etag: str = ""
    lastModified: str = ""  # noqa: N815  (FHIR's name)


class PastEntry(FrameEntry, frozen=True, gc=False):
    """`Bundle.entry` of a history, with all that tells which version it is of what."""

    fullUrl: str = ""  # noqa: N815  (FHIR's name)
    response: EntryResponse | None = None


class Frame(msgspec.Struct, frozen=True):
    """A Bundle as it came: its frame decoded, its resources not."""

    resourceType: Literal["Bundle"]  # noqa: N815  (FHIR's name)
    type: str
    link: Sequence[Link] = ()
    entry: Sequence[FrameEntry] = ()

    def next(self) -> str | None:
        """The URL of the following page, as upstream wrote it."""
        return next((link.url for link in self.link if link.relation == "next"), None)


class PastFrame(Frame, frozen=True):
    """A history as it came."""

    entry: Sequence[PastEntry] = ()


class FrameError(Exception):
    """A body that is no Bundle of the expected type."""


_DECODERS: dict[BundleType, msgspec.json.Decoder[Frame] | msgspec.json.Decoder[PastFrame]] = {
    "searchset": msgspec.json.Decoder(Frame),
    "history": msgspec.json.Decoder(PastFrame),
}


def frame_of(body: bytes, bundle_type: BundleType) -> Frame:
    """The frame of an upstream answer; `FrameError` when it is not a Bundle of that type."""
    try:
        frame: Frame = _DECODERS[bundle_type].decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        frame = _piecemeal(body, bundle_type)
    if frame.type != bundle_type:
        raise FrameError("upstream's Bundle is of another type")
    return frame


def _piecemeal(body: bytes, bundle_type: BundleType) -> Frame:
    """The frame of a Bundle of which some entry cannot be read: that entry is one whose resource cannot, the others are as they are."""
    try:
        frame: Frame = _DECODERS[bundle_type].decode(without(body, "entry"))
        entries = items_of(member(body, "entry", b"["))
        return msgspec.structs.replace(frame, entry=tuple(map(_entry, entries)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, SpansError):
        raise FrameError("upstream's answer is no Bundle") from None


_ENTRY = msgspec.json.Decoder(PastEntry)


def _entry(text: bytes) -> FrameEntry:
    try:
        return _ENTRY.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        if not text.strip().startswith(b"{"):
            raise
        return PastEntry(msgspec.Raw(text))


class OutEntry(NamedTuple):
    """One entry that leaves: `reference` is `Type/id` (empty for what has no identity), `resource` its bytes.

    `mode`: match, include or outcome.

    In a history `version` names the version, `modified` the instant it came about, and `deleted` an entry without resource.
    """

    reference: str
    resource: bytes | msgspec.Raw
    mode: str = ""
    version: str = ""
    deleted: bool = False
    modified: str = ""


def bundle_of(
    bundle_type: BundleType,
    entries: Iterable[OutEntry],
    *,
    public_url: str,
    links: Iterable[tuple[str, str]],
    total: int | None,
    labels: Iterable[Coding] = (),
) -> bytes:
    """The bytes of a Bundle. `links` are (relation, absolute URL); `labels` the high-water mark (DS4P LBL-8)."""
    frame = [
        b'{"resourceType":"Bundle"',
        security_of(labels),
        b',"type":"%b"' % bundle_type.encode(),
    ]
    if total is not None:
        frame.append(b',"total":%d' % total)
    encoded = [b'{"relation":%b,"url":%b}' % (_quoted(rel), _quoted(url)) for rel, url in links]
    frame.append(b',"link":[%b]' % b",".join(encoded))
    form, base = _FORMS[bundle_type], public_url.encode() + b"/"
    parts = [part for entry in entries for part in form(entry, base)]
    if parts:
        # every entry begins with the comma that parts it from the one before
        parts[0] = b',"entry":[' + parts[0][1:]
        parts.append(b"]")
    return b"".join((*frame, *parts, b"}"))


def _searched(entry: OutEntry, base: bytes) -> tuple[bytes, ...]:
    url = b'"fullUrl":"%b%b",' % (base, entry.reference.encode()) if entry.reference else b""
    start = b',{%b"resource":' % url
    return start, entry.resource, b',"search":{"mode":"%b"}}' % entry.mode.encode()


def _versioned(entry: OutEntry, base: bytes) -> tuple[bytes, ...]:
    reference = entry.reference.encode()
    start = b',{"fullUrl":"%b%b",' % (base, reference)
    method = b"DELETE" if entry.deleted else entry.mode.encode()
    end = b'"request":{"method":"%b","url":"%b"},"response":{%b}}' % (
        method, reference, _response(entry),
    )  # fmt: skip
    if entry.deleted:
        return start, end
    return start + b'"resource":', entry.resource, b"," + end


def _response(entry: OutEntry) -> bytes:
    """`Bundle.entry.response` of a history, as far as it is known."""
    told = [b'"status":"%b"' % (b"204" if entry.deleted else b"200")]
    if entry.version:
        told.append(b'"etag":"W/\\"%b\\""' % entry.version.encode())
    if INSTANT.fullmatch(entry.modified):
        told.append(b'"lastModified":"%b"' % entry.modified.encode())
    return b",".join(told)


_FORMS: dict[BundleType, Callable[[OutEntry, bytes], tuple[bytes, ...]]] = {
    "searchset": _searched,
    "history": _versioned,
}


def security_of(labels: Iterable[Coding]) -> bytes:
    """The member `meta` with these labels, and the comma before it; nothing for none."""
    codings = [{"system": label.system, "code": label.code} for label in sorted(labels)]
    return b',"meta":{"security":' + msgspec.json.encode(codings) + b"}" if codings else b""


def _quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


def high_water_mark(codes: Iterable[str]) -> tuple[Coding, ...]:
    """The highest of some confidentiality codes, as the label of what holds them (LBL-3); nothing for nothing."""
    highest = max((_ORDER.index(code) for code in codes if code), default=None)
    return () if highest is None else (Coding(CONFIDENTIALITY, _ORDER[highest]),)
