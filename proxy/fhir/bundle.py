"""The Bundle frame: links and entries with each resource left as raw bytes (https://hl7.org/fhir/R4/bundle.html).

A Bundle that leaves is built anew from its parts; resources are joined in as the bytes they came as. Nothing
of upstream's frame passes by itself: not its id, its total, its links or its extensions.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from proxy.fhir.coding import CONFIDENTIALITY, Coding
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


class Frame(msgspec.Struct, frozen=True):
    """A Bundle as it came: its frame decoded, its resources not."""

    resourceType: Literal["Bundle"]  # noqa: N815  (FHIR's name)
    type: str
    link: Sequence[Link] = ()
    entry: Sequence[FrameEntry] = ()

    def next(self) -> str | None:
        """The URL of the following page, as upstream wrote it."""
        return next((link.url for link in self.link if link.relation == "next"), None)


class FrameError(Exception):
    """A body that is no Bundle of the expected type."""


_DECODER = msgspec.json.Decoder(Frame)


def frame_of(body: bytes, bundle_type: BundleType) -> Frame:
    """The frame of an upstream answer; `FrameError` when it is not a Bundle of that type."""
    try:
        frame = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        frame = _piecemeal(body)
    if frame.type != bundle_type:
        raise FrameError("upstream's Bundle is of another type")
    return frame


def _piecemeal(body: bytes) -> Frame:
    """The frame of a Bundle of which some entry cannot be read: that entry is one whose resource cannot, the others are as they are."""
    try:
        frame = _DECODER.decode(without(body, "entry"))
        entries = items_of(member(body, "entry", b"["))
        return msgspec.structs.replace(frame, entry=tuple(map(_entry, entries)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, SpansError):
        raise FrameError("upstream's answer is no Bundle") from None


_ENTRY = msgspec.json.Decoder(FrameEntry)


def _entry(text: bytes) -> FrameEntry:
    try:
        return _ENTRY.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        if not text.strip().startswith(b"{"):
            raise
        return FrameEntry(msgspec.Raw(text))


class OutEntry(NamedTuple):
    """One entry that leaves: `reference` is `Type/id` (empty for what has no identity), `resource` its bytes.

    `mode`: match, include or outcome.

    In a history `version` names the version and `deleted` an entry without resource.
    """

    reference: str
    resource: bytes | msgspec.Raw
    mode: str = ""
    version: str = ""
    deleted: bool = False


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
    frame = [b'{"resourceType":"Bundle"', _security(labels), b',"type":"%b"' % bundle_type.encode()]
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
    if entry.deleted:
        return (
            start,
            b'"request":{"method":"DELETE","url":"%b"},"response":{"status":"204"}}' % reference,
        )
    etag = b',"etag":"W/\\"%b\\""' % entry.version.encode() if entry.version else b""
    end = b',"request":{"method":"%b","url":"%b"},"response":{"status":"200"%b}}' % (
        entry.mode.encode(), reference, etag,
    )  # fmt: skip
    return start + b'"resource":', entry.resource, end


_FORMS: dict[BundleType, Callable[[OutEntry, bytes], tuple[bytes, ...]]] = {
    "searchset": _searched,
    "history": _versioned,
}


def _security(labels: Iterable[Coding]) -> bytes:
    codings = [{"system": label.system, "code": label.code} for label in sorted(labels)]
    return b',"meta":{"security":' + msgspec.json.encode(codings) + b"}" if codings else b""


def _quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


def high_water_mark(codes: Iterable[str]) -> tuple[Coding, ...]:
    """The highest of some confidentiality codes, as the label of what holds them (LBL-3); nothing for nothing."""
    highest = max((_ORDER.index(code) for code in codes if code), default=None)
    return () if highest is None else (Coding(CONFIDENTIALITY, _ORDER[highest]),)
