"""Where the entries of a Bundle stand in its text, found without reading what is inside them (RFC 8259).

For bodies of which some entry is no JSON that can be read: half a surrogate pair, text that is not UTF-8, nesting without end. What
surrounds the entries must be sound; strings must end and brackets pair, else nothing is told. Pure, without recursion.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:"]', re.DOTALL)
_OPEN = {b"{": b"}", b"[": b"]"}
_SHUT = frozenset(_OPEN.values())
_PARTING = frozenset({b",", *_OPEN, *_SHUT})


class SpansError(Exception):
    """Text of which the parts cannot be told."""


def items_of(text: bytes) -> Iterator[bytes]:
    """The items of an array, or the members (`"name": value`) of an object, as they are written."""
    whole = text.strip()
    if whole[:1] not in _OPEN or whole[-1:] not in _SHUT:
        raise SpansError("neither array nor object")
    cuts = list(_cuts(whole))
    parts = [whole[start + 1 : end] for start, end in pairwise(cuts)]
    # nothing between two brackets is no item; nothing beside a comma is an item that no parser reads
    yield from parts if len(parts) > 1 or parts[0].strip() else ()


def _cuts(text: bytes) -> Iterator[int]:
    """Where the outermost brackets and the commas between them stand."""
    closing: list[bytes] = []
    ended = False
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if ended or mark == b'"' or not (closing or mark in _OPEN):
            raise SpansError("a string does not end, or something surrounds what is read")
        outermost = len(closing) == 1
        if mark in _OPEN:
            closing.append(_OPEN[mark])
            outermost = len(closing) == 1
        elif mark in _SHUT and closing.pop() != mark:
            raise SpansError("brackets do not pair")
        ended = not closing
        if outermost and mark in _PARTING:
            yield token.start()
    if not ended:
        raise SpansError("it does not end")


def member(text: bytes, name: str, opening: bytes = b"") -> bytes:
    """The value of a member of an object, which begins with `opening`; `SpansError` where there is none such, or two."""
    found = [value.strip() for own, value in map(_parted, items_of(text)) if own == name]
    if len(found) != 1 or not found[0].startswith(opening):
        raise SpansError("not exactly one member of this name")
    return found[0]


def without(text: bytes, name: str) -> bytes:
    """An object without one of its members."""
    left = [one for one in items_of(text) if _parted(one)[0] != name]
    return b"{" + b",".join(left) + b"}"


_MEMBER = re.compile(rb'\s*"((?:[^"\\]|\\.)*)"\s*:', re.DOTALL)


def _parted(text: bytes) -> tuple[str, bytes]:
    """Name and value of a member; a name with escapes is none that is asked for."""
    found = _MEMBER.match(text)
    if found is None:
        raise SpansError("no member of an object")
    if b"\\" in found[1]:
        raise SpansError("a name has escapes")
    return found[1].decode("utf-8", "replace"), text[found.end() :]
