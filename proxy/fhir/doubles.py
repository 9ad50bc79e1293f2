"""Members that stand twice in a resource (RFC 8259 §4): a client might read another one than we do (threat T-153).

Whether any does is told exactly by `codec.repeats`, which is slow; here is told cheaply, and never wrongly no, whether one of
the elements that decide may: labels, and whom the resource is about. Pure.
"""

import re

_QUOTE = b'"'
_LABELS = b'"security'
"""As `"security"` begins: without the last quote it is looked for at three times the speed, and names that go on are few."""


def may_repeat(data: bytes, heads: tuple[bytes, ...]) -> bool:
    """Whether `meta`, a label, or one of the elements `heads` (`b'"subject"'`), or what stands in it, may stand twice.

    Of text without escapes that spell letters (`content.may_hide`).
    """
    if data.count(b'"meta"') > 1:
        return True
    start = data.find(_LABELS)
    if start >= 0 and _labels_may(data, start):
        return True
    for head in heads:
        start = data.find(head)
        if start >= 0 and _reference_may(data, head, start):
            return True
    return False


def _labels_may(data: bytes, start: int) -> bool:
    """Whether `security`, which begins at `start`, may stand twice, or a member of one of its Codings."""
    if data.find(_LABELS, start + 1) >= 0:
        return True
    span = data[start : data.find(b"]", start)]
    return (
        _is_broken(span)
        or span.count(b"[") != 1
        or any(
            coding.count(b'"code"') != 1 or coding.count(b'"system"') != 1
            for coding in span.split(b"{")[1:]
        )
    )


_USUAL = re.compile(
    rb'"\w+"\s*:\s*\{\s*"reference"\s*:\s*"[^"\\]*"\s*(?:,\s*"(?:display|type)"\s*:\s*"[^"\\]*"\s*)*\}'
)
"""A Reference as most servers write it."""


def _reference_may(data: bytes, head: bytes, start: int) -> bool:
    """Whether an element that begins at `start` may stand twice, or be anything else than one Reference without anything inside it."""
    if data.find(head, start + 1) >= 0:
        return True
    if _USUAL.match(data, start):
        return False
    span = data[start : data.find(b"}", start)]
    plain = span.count(b"{") == 1 and b"[" not in span and span.count(b'"reference"') == 1
    return _is_broken(span) or not plain


def _is_broken(span: bytes) -> bool:
    """Whether a span may end inside a string: then it says nothing of what follows."""
    return b"\\" in span or span.count(_QUOTE) % 2 != 0
