"""Which HTTP headers pass, in each direction: tables (RFC 9110; FHIR http.html#custom; architecture §4 rule 4).

Every other header of the client, of upstream and of the transport stays on its own side.
"""

import re
from collections.abc import Iterable, Mapping

READ_FROM_CLIENT = frozenset(
    {
        "accept",
        "authorization",
        "client-cert",
        "content-encoding",
        "content-length",
        "content-type",
        "dpop",
        "if-none-match",
        "prefer",
        "transfer-encoding",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-request-id",
        "x-situation",
    }
)
"""Client headers that the gateway understands; the method overrides only to refuse them."""

READ_FROM_UPSTREAM = frozenset({"content-type"})
"""Upstream headers that the gateway understands. Validators, cookies, locations and hints never pass."""

PASSED_UP = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "content-type",
        "if-match",
        "if-modified-since",
        "if-none-exist",
        "if-none-match",
        "prefer",
    }
)
"""Client headers that go up where the gateway only observes: without them a write would mean something else."""

PASSED_DOWN = frozenset(
    {"content-location", "content-type", "etag", "last-modified", "location", "retry-after"}
)
"""Upstream headers that come down where the gateway only observes."""

ALWAYS_SENT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "server": "gateway",
    "vary": "Authorization, Accept, X-Situation",
    "x-content-type-options": "nosniff",
}
"""On every answer of the public listener: no cache may keep a view that belongs to one caller, and no browser runs what is in it (T-239)."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(text: str | None) -> str | None:
    """The client's request id when it is well-formed, else None."""
    return text if text and _REQUEST_ID.fullmatch(text) else None


def understood(
    raw: Iterable[tuple[bytes, bytes]], names: frozenset[str] = READ_FROM_CLIENT
) -> tuple[dict[str, str], frozenset[str]]:
    """Client headers of these names, in lower case, and the names that came more than once."""
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1").lower()
        if name not in names:
            continue
        value = raw_value.decode("latin-1")
        if name in found:
            repeated.add(name)
            value = f"{found[name]}, {value}"
        found[name] = value
    return found, frozenset(repeated)


JSON_TYPES = frozenset({"application/fhir+json", "application/json"})
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that it is JSON in UTF-8: what is something else cannot be judged (T-54, T-55)."""
    return _is_utf8(headers) and media_type(headers) in JSON_TYPES


NDJSON_TYPES = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"})


def is_ndjson(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that it is NDJSON in UTF-8."""
    return _is_utf8(headers) and media_type(headers) in NDJSON_TYPES


def _is_utf8(headers: Mapping[str, str]) -> bool:
    charset = _CHARSET.search(headers.get("content-type", ""))
    return charset is None or charset[1].lower() == "utf-8"


def media_type(headers: Mapping[str, str]) -> str:
    """The media type of an answer, lower case, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
