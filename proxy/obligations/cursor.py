"""Sealed page links: where a page begins, encrypted and bound to the caller (T-11, T-12, T-13).

A cursor holds a place, with an upstream page link, which never leaves in the clear, and the request it continues. It opens only for the
same caller and the same policies, until it expires; whoever opens it is judged anew. AES-256-GCM; any replica with the
key can open it (architecture §6).
"""

import hashlib

import msgspec

from proxy.errors import CallerError, Refusal
from proxy.identity.principal import Principal
from proxy.obligations.places import MARK_BYTES, REMEMBERED, Place
from proxy.obligations.seal import opened, sealed

_BLOCK = 256
_ROOMS = ((128, 512), (1024, 1024))
"""Bytes that a link of upstream is given, by the length of the query up to which it is so; beside a longer one none has room."""
_LENGTH_BYTES = 5
"""What msgpack needs at most to say how long a text is."""
_WIDEST = 2**63 - 1
_FULL = Place(
    *(bytes(MARK_BYTES),) * 2, _WIDEST, bytes(MARK_BYTES), (bytes(MARK_BYTES),) * REMEMBERED
)
UNTOLD_TOTAL = -1
"""Stands for a total that was not counted."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins, and the request it belongs to.

    `query` is the request's canonical query; `expires` in seconds since the epoch.
    """

    binding: str
    expires: float
    place: Place
    path: str
    query: str
    grants: tuple[str, ...] = ()
    """Ids of the break-glass grants that the pages so far needed; without them the link opens nothing."""
    total: int = UNTOLD_TOTAL
    """How many matches were counted with the first page, if they were."""


_DECODER = msgspec.msgpack.Decoder(Cursor)
_PURPOSE = b"fhir-consent-proxy page link v3"


def key_of(secret: bytes) -> bytes:
    """An AES-256 key from a secret of any length."""
    return hashlib.sha256(_PURPOSE + secret).digest()


def _person(principal: Principal | None) -> tuple[str, str, str]:
    if principal is None:
        return ("", "", "")
    return (principal.issuer, principal.subject, principal.fhir_user or "")


def binding_of(principal: Principal, digest: str) -> str:
    """Who may open a cursor, under the same policies: the same person, client, patient context, purposes and situation, for the same other."""
    parts = (
        *_person(principal), principal.client_id, principal.patient or "", " ".join(sorted(principal.purposes)),
        principal.situation.code if principal.situation else "", *_person(principal.delegator), digest,
    )  # fmt: skip
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def room_of(query: str) -> int:
    """Bytes that a link of upstream may have beside a query; one that is longer is left out, and the search read from its beginning."""
    return next((room for length, room in _ROOMS if len(query) <= length), 0)


def seal(cursor: Cursor, key: bytes, nonce: bytes) -> str:
    """The cursor as URL-safe text, without a hint that has no room. The nonce must be new for every call."""
    room = room_of(cursor.query)
    if len(cursor.place.hint.encode()) > room:
        cursor = msgspec.structs.replace(cursor, place=cursor.place._replace(hint=""))
    plain = msgspec.msgpack.encode(cursor)
    # Hidden entries decide how far upstream was read, and so which link of upstream stands here. It is padded to more than it
    # needs, so that the length does not tell: it depends on the request alone.
    bare = msgspec.structs.replace(cursor, place=_FULL)
    widest = len(msgspec.msgpack.encode(bare)) + _LENGTH_BYTES + room
    size = widest + 1 + -(widest + 1) % _BLOCK
    padded = (plain + b"\x80").ljust(size, b"\x00")
    return sealed(padded, key, nonce, _PURPOSE)


def unseal(text: str, key: bytes, binding: str, now: float) -> Cursor:
    """The cursor; `CallerError(NOT_FOUND)` when it was altered, is foreign or has expired: one answer for all."""
    try:
        cursor = _DECODER.decode((opened(text, key, _PURPOSE) or b"").rstrip(b"\x00")[:-1])
    except msgspec.DecodeError:
        raise CallerError(Refusal.NOT_FOUND, "a page link that was not sealed here") from None
    if cursor.binding != binding or cursor.expires < now:
        raise CallerError(
            Refusal.NOT_FOUND, "a page link of another caller or policy, or an expired one"
        )
    return cursor
