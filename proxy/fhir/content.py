"""What stands inside a resource: codings and inline labels, found without and with opening it (DS4P; decisions §6)."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from proxy.fhir.coding import INLINE_LABEL, Coding, coding_of, spelt_alike
from proxy.fhir.envelope import UnreadableError

_MOST_SEEN = 8192


_CODE = re.compile(rb'"code"\s*:\s*"([^"]*)')


_NAME = INLINE_LABEL.rpartition("/")[2]
_NAMES = frozenset({_NAME, _NAME.removeprefix("extension-")})
_MARK = _NAME.removeprefix("extension-").encode()


def bears_marks(data: bytes) -> bool:
    """Whether inline labels may stand in some JSON, as far as it has no escapes."""
    return _MARK in data


def may_hide(data: bytes) -> bool:
    """Whether escapes inside could spell a letter or a slash otherwise: then bytes alone do not tell what stands there."""
    # One byte is found at the speed of memory, two are not: most resources have no backslash at all.
    return b"\\" in data and (b"\\u" in data or b"\\/" in data)


class Wanted:
    """Which codings an envelope should carry: code strings and prefixes of codes, compared without case.

    `spellings` are pairs of a spelling and the code that it means: who wants one of them wants all that mean the same.
    """

    __slots__ = ("_seen", "_spellings", "codes", "prefixes")

    def __init__(
        self,
        codes: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        spellings: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.codes = frozenset(map(spelt_alike, codes))
        self.prefixes = tuple(sorted(set(map(spelt_alike, prefixes))))
        self._spellings = spellings
        self.codes |= {spelt_alike(code) for spelling, code in spellings if spelling in self}
        self.codes |= {spelt_alike(spelling) for spelling, code in spellings if code in self}
        self._seen: dict[frozenset[bytes], bool] = {}

    def __or__(self, codes: frozenset[str]) -> "Wanted":
        other = Wanted(codes, spellings=self._spellings)
        other.codes |= self.codes
        other.prefixes = self.prefixes
        return other

    def __bool__(self) -> bool:
        return bool(self.codes or self.prefixes)

    def __contains__(self, code: str) -> bool:
        folded = spelt_alike(code)
        return folded in self.codes or folded.startswith(self.prefixes)

    def any_in(self, data: bytes) -> bool:
        """Whether one of these codes stands in some JSON, as far as it has no escapes."""
        # Resources of one kind bear the same few codes: each set of codes is compared once.
        found = frozenset(_CODE.findall(data))
        answer = self._seen.get(found)
        if answer is None:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            # an escape may spell white space around the code (`\\n`), which is taken off when it is compared
            answer = self._seen[found] = any(
                b"\\" in code or code.decode("utf-8", "replace") in self for code in found
            )
        return answer


def tree_of(data: bytes) -> Any:
    """The JSON tree of a resource; `UnreadableError` when it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UnreadableError("not JSON") from None


def nodes_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside, without recursion."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def codings_of(data: bytes) -> Iterator[Coding]:
    """Every coding anywhere in a resource: contained resources, components, extensions and quantities included."""
    for node in nodes_of(tree_of(data)):
        code = node.get("code")
        if isinstance(code, str):
            system = node.get("system")
            yield coding_of(system if isinstance(system, str) else "", code)


def inline_labels(tree: Any) -> Iterator[Coding]:
    """Values of the DS4P inline label extension, at any depth (standards LBL-9..11)."""
    return (label_in(node) for node in nodes_of(tree) if is_label(node))


def is_label(node: Any) -> bool:
    """Whether it is that extension, however its URL is spelled: an older or versioned one must not make the label vanish."""
    if not isinstance(node, dict):
        return False
    url = str(node.get("url", "")).partition("|")[0].strip().rstrip("/")
    return url.rpartition("/")[2].casefold() in _NAMES


def label_in(extension: dict[str, Any]) -> Coding:
    """The label that an extension holds; one that holds none is a label nobody knows."""
    value = extension.get("valueCoding")
    value = value if isinstance(value, dict) else {}
    system, code = value.get("system"), value.get("code")
    return coding_of(
        system if isinstance(system, str) else "", code if isinstance(code, str) else ""
    )
