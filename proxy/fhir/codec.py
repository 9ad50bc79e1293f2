"""FHIR JSON, read strictly and written without loss (https://hl7.org/fhir/R4/json.html, RFC 8259, RFC 7493).

Laws:
- What two parsers could read as two documents is not read at all: duplicate names (after unescaping), a byte order
  mark, text that is not UTF-8, lone surrogates, NaN and Infinity, bytes after the end (threats T-153 to T-158).
- `encode(parse_strict(body))` keeps the order of names and the spelling of every number: decimals are precise
  in FHIR, `0.010` is not `0.01`.
"""

import json
import re
from collections.abc import Iterable
from typing import NoReturn, TypeAlias

import msgspec

from proxy.errors import CallerError, Refusal, UpstreamError

Json: TypeAlias = dict[str, "Json"] | list["Json"] | str | int | bool | msgspec.Raw | None
"""A JSON tree. A number that an int cannot spell is a `Raw` with its text."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_DIGITS = 1000
"""Digits of a number that is made an int; longer ones keep their text."""


class _NotStrictError(ValueError):
    """A body that is no strict JSON; says what is wrong without quoting it."""


def parse_strict(body: bytes, max_bytes: int, max_depth: int) -> Json:
    """Read what a caller wrote. `[]` is one level deep. Raises CallerError: TOO_LARGE or MALFORMED."""
    if len(body) > max_bytes:
        raise CallerError(Refusal.TOO_LARGE, "the body is too large")
    try:
        return _parse(body, max_depth)
    except _NotStrictError as error:
        raise CallerError(Refusal.MALFORMED, str(error)) from None


def parse_upstream(body: bytes, max_bytes: int, max_depth: int) -> Json:
    """Read what upstream answered, as strictly. Raises UpstreamError."""
    if len(body) > max_bytes:
        raise UpstreamError("the body is too large")
    try:
        return _parse(body, max_depth)
    except _NotStrictError as error:
        raise UpstreamError(str(error)) from None


def repeats(body: bytes) -> bool:
    """Whether an object inside has two members of one name; what is no JSON at all counts as well."""
    try:
        _DECODER.decode(body.decode("utf-8"))
    except (_NotStrictError, ValueError, RecursionError):
        return True
    return False


def encode(tree: Json) -> bytes:
    """Write a tree as JSON in UTF-8 without white space."""
    return msgspec.json.encode(tree)


def _parse(body: bytes, max_depth: int) -> Json:
    try:
        text = body.decode("utf-8")
        tree: Json = _DECODER.decode(text)
        if _SURROGATE.search(text):
            encode(tree)
    except UnicodeError:
        raise _NotStrictError("the body is not UTF-8, or has half a surrogate pair") from None
    except json.JSONDecodeError:
        raise _NotStrictError("the body is not JSON") from None
    except RecursionError:
        raise _NotStrictError("the body is nested too deeply") from None
    if _is_deeper(tree, max_depth):
        raise _NotStrictError("the body is nested too deeply")
    return tree


def _is_deeper(tree: Json, max_depth: int) -> bool:
    """Whether a tree has more than `max_depth` levels; level by level, so that no stack can overflow."""
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(max_depth):
        level = [c for node in level for c in _children(node) if isinstance(c, dict | list)]
    return bool(level)


def _children(node: Json) -> Iterable[Json]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise _NotStrictError("an object has two members of one name")
    return tree


def _integer(text: str) -> Json:
    # An int would lose the sign of `-0`; an endless one is not worth computing.
    return _spelled(text) if text == "-0" or len(text) > _MAX_DIGITS else int(text)


def _spelled(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode("ascii"))


def _constant(_: str) -> NoReturn:
    raise _NotStrictError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_spelled,
    parse_int=_integer,
    parse_constant=_constant,
)
