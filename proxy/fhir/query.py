"""Query strings and forms: application/x-www-form-urlencoded, read strictly and written canonically (WHATWG URL §5, RFC 3986).

What is read here is never forwarded: it is parsed into pairs, understood elsewhere, and written anew.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

from proxy.errors import CallerError, Refusal

MAX_BYTES = 65_536
"""Of one query string or one form."""
MAX_PAIRS = 100

Pair = tuple[str, str]

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode category Cc
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Delimiters that RFC 3986 §3.4 allows in a query and that carry no meaning between pairs.
_READABLE = ",/:"


def pairs_of(text: str) -> tuple[Pair, ...]:
    """Read a query string or form as name-value pairs, percent-decoded once as UTF-8.

    Raises CallerError: MALFORMED for what is not a form in visible ASCII, for an empty name or value and for
    control characters; TOO_LARGE above `MAX_BYTES` or `MAX_PAIRS`.
    """
    if not text:
        return ()
    if len(text) > MAX_BYTES:
        raise CallerError(Refusal.TOO_LARGE, "the query or form is too long")
    if not _VISIBLE_ASCII.fullmatch(text):
        raise CallerError(
            Refusal.MALFORMED, "the query or form has characters that must be encoded"
        )
    pieces = text.split("&")
    if len(pieces) > MAX_PAIRS:
        raise CallerError(Refusal.TOO_LARGE, "the query or form has too many parameters")
    return tuple(map(_pair, pieces))


def pairs_of_form(body: bytes) -> tuple[Pair, ...]:
    """Read the body of a POST `_search`; as `pairs_of`."""
    try:
        return pairs_of(body.decode("ascii"))
    except UnicodeDecodeError:
        raise CallerError(Refusal.MALFORMED, "the form is not ASCII; percent-encode it") from None


def _pair(piece: str) -> Pair:
    name, _, value = piece.partition("=")
    # An empty value is ignored by many servers and so widens the search (threats T-139).
    if not name or not value:
        raise CallerError(Refusal.MALFORMED, "a parameter has no name or no value")
    return _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    if _BROKEN_PERCENT.search(text):
        raise CallerError(Refusal.MALFORMED, "a percent sign is not followed by two hex digits")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise CallerError(Refusal.MALFORMED, "a parameter is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise CallerError(Refusal.MALFORMED, "a parameter has control characters")
    return decoded


def encode_query(pairs: Iterable[Pair]) -> str:
    """Write pairs as a query string: UTF-8, everything but unreserved characters and `,` `/` `:` percent-encoded."""
    return "&".join(
        f"{quote(name, safe=_READABLE)}={quote(value, safe=_READABLE)}" for name, value in pairs
    )
